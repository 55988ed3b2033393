"""A fixed cut of the examples into those to train on, to validate and to test."""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

SEED = 1  # part of every task: the same data are always cut in the same way
OF = 20  # of so many neighbours by target, in an order of chance
VALID, TEST = (3, 10, 17), (6, 13, 19)  # these are for validation and for the test

Rows: TypeAlias = NDArray[np.int64]


class Cut(NamedTuple):
    """Rows of each part, in rising order."""

    train: Rows
    valid: Rows
    test: Rows


def in_order(values: NDArray[Any]) -> Cut:
    """The lowest 70 % of the rows to train on, the next 15 % to validate, the highest to test: by time, usually.

    Rows of one value stay together, as those of a day.

    >>> [len(rows) for rows in in_order(np.arange(100))]
    [70, 15, 15]
    """
    order = np.argsort(values, kind="stable")
    ends = np.searchsorted(values[order], values[order][[int(len(order) * share) for share in (0.7, 0.85)]])
    train, valid, test = (np.sort(rows) for rows in np.split(order, ends))
    return Cut(train, valid, test)


def split(y: NDArray[Any]) -> Cut:
    """70 % of the rows to train on, 15 % each to validate and to test, with the same share of each class, or of each
    size of a number, in every part.

    Args:
        y: targets [N], classes or numbers.

    >>> [len(rows) for rows in split(np.arange(100) % 3)]
    [70, 15, 15]
    """
    chance = np.random.default_rng(SEED).permutation(len(y))
    place = np.empty(len(y), int)
    place[np.lexsort((chance, y))] = np.arange(len(y)) % OF
    valid, test = np.isin(place, VALID), np.isin(place, TEST)
    return Cut(np.flatnonzero(~valid & ~test), np.flatnonzero(valid), np.flatnonzero(test))
