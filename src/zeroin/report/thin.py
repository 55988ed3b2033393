"""Choosing which of many trials to draw: the best, and an even selection of the others, always the same."""

import heapq
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from zeroin.history import rank
from zeroin.types import Trial

TRIALS = 2_000  # points on an axis plot that a browser draws at once
BEST_TRIALS = 500
CURVES = 200
BEST_CURVES = 50
CURVE_POINTS = 200
ROUNDS = 8  # intervals drawn below an axis plot: two rows of plots fit on a sheet of paper
LINES = 60  # of events

T = TypeVar("T")


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most `most` items, evenly spaced, with the first and the last.

    >>> evenly(range(10), 4)
    [0, 3, 6, 9]
    """
    if len(items) <= most:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int).tolist()] if most else []


def the_best(trials: Sequence[Trial], most: int) -> list[Trial]:
    """The trials of lowest loss, the best first."""
    return heapq.nsmallest(most, (t for t in trials if t.loss is not None), key=rank)


def thinned(trials: Sequence[Trial], most: int, best: int) -> list[Trial]:
    """At most `most` trials, by number: the `best` best ones, and an even selection of the others."""
    if len(trials) <= most:
        return list(trials)
    kept = the_best(trials, best)
    numbers = {t.number for t in kept}
    rest = evenly([t for t in trials if t.number not in numbers], most - len(kept))
    return sorted([*kept, *rest], key=lambda t: t.number)
