# SPDX-License-Identifier: Apache-2.0
"""Samples of two things that take turns, so that what else the machine does hits both."""

import statistics

from processes import milliseconds

WARM_UP = 20


class Samples:
    """Milliseconds of one thing, sorted."""

    def __init__(self, values):
        self._values = sorted(values)

    @property
    def count(self):
        return len(self._values)

    @property
    def median(self):
        return statistics.median(self._values)

    @property
    def p99(self):
        """The value that one in a hundred passes. Under a hundred samples it is the largest."""
        return self._values[min(self.count - 1, self.count * 99 // 100)]


def take_turns(ours, other, count):
    """Runs both `count` times, one after the other, and changes who begins."""
    for _ in range(WARM_UP):
        ours()
        other()
    our_values, other_values = [], []
    for number in range(count):
        turns = [(ours, our_values), (other, other_values)]
        for action, values in turns if number % 2 == 0 else reversed(turns):
            values.append(milliseconds(action))
    return Samples(our_values), Samples(other_values)


def alone(action, count):
    """Runs one thing `count` times."""
    for _ in range(WARM_UP):
        action()
    return Samples(milliseconds(action) for _ in range(count))
