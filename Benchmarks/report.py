# SPDX-License-Identifier: Apache-2.0
"""Figures: as a table for a person, as JSON for a program."""

import dataclasses
import json


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
        return {**{name: fields[name] for name in names}, "holds": self.holds,
                "unit": self.unit, "runs": self.runs}


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


def write_json(figures, path):
    with open(path, "w", encoding="utf-8") as file:
        json.dump([figure.as_json() for figure in figures], file, indent=2)
        file.write("\n")
