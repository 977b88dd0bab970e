# SPDX-License-Identifier: Apache-2.0
"""Figures: as a table for a person, as JSON for a program."""

import dataclasses
import glob
import json
import os
import sys


@dataclasses.dataclass
class Figure:
    """One figure beside what it is held against.

    With a goal, it holds when `ratio` is at most `goal`; so a ratio is always made in such a way
    that less is better. Without one, it is there to be compared with.
    """

    name: str
    ours: float | None
    other: float | None
    ratio: float | None
    goal: float | None
    unit: str
    runs: int
    # What it is to be read with; a line of its own below the figure.
    notes: str = ""

    @property
    def holds(self):
        if self.goal is None:
            return None
        return self.ratio is not None and self.ratio <= self.goal

    def as_json(self):
        fields = dataclasses.asdict(self)
        for key in ("ours", "other", "ratio"):
            if fields[key] is not None:
                fields[key] = round(fields[key], 4)
        names = ["name", "ours", "other", "ratio", "goal"]
        notes = {"notes": self.notes} if self.notes else {}
        return {**{name: fields[name] for name in names}, "holds": self.holds,
                "unit": self.unit, "runs": self.runs, **notes}


def of_samples(name, ours, other, goal):
    """The medians, which may have a goal, and the 99th percentiles, which tell of the tail."""
    return [
        Figure(name, ours.median, other.median, ours.median / other.median, goal, "ms",
               ours.count),
        Figure(f"{name}, 99th percentile", ours.p99, other.p99, ours.p99 / other.p99, None, "ms",
               ours.count),
    ]


def _number(value):
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    return f"{value:.2f}"


_ROW = "{:<58} {:>10} {:>10} {:<5} {:>6} {:>6}  {:<5} {:>6}"


def print_header():
    print(_ROW.format("", "ours", "other", "unit", "ratio", "goal", "holds", "runs"))


def print_figure(figure):
    holds = {True: "yes", False: "NO", None: ""}[figure.holds]
    goal = "" if figure.goal is None else f"{figure.goal:.2f}"
    line = _ROW.format(
        figure.name, _number(figure.ours), _number(figure.other), figure.unit,
        _number(figure.ratio), goal, holds, figure.runs)
    print(line.rstrip(), flush=True)
    if figure.notes:
        print(f"    {figure.notes}", flush=True)


def write_json(figures, path):
    """Writes a part of the figures to DIRECTORY/PART.json, and all parts to DIRECTORY.json."""
    _write([figure.as_json() for figure in figures], path)
    directory = os.path.dirname(path)
    whole = []
    for part in sorted(glob.glob(os.path.join(directory, "*.json"))):
        with open(part, encoding="utf-8") as file:
            whole += json.load(file)
    _write(whole, directory + ".json")


def _write(objects, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(objects, file, indent=2)
        file.write("\n")


class Table:
    """The figures of one program, printed as they come."""

    def __init__(self):
        self._figures = []
        print_header()

    def add(self, *figures):
        for figure in figures:
            self._figures.append(figure)
            print_figure(figure)

    def end(self, path, no_fail):
        """Writes them down, names those that do not hold, and answers the exit status."""
        write_json(self._figures, path)
        missed = [figure.name for figure in self._figures if figure.holds is False]
        for name in missed:
            print(f"bench: does not hold: {name}", file=sys.stderr)
        return 1 if missed and not no_fail else 0
