"""Splitting examples into sets to train, validate and test, always in the same way."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

SEED = 1  # part of every task: the same data are always split in the same way
# Rows are sorted by target, ties at random. Of every 20 consecutive rows, those at these places are for validation and
# for testing.
OF = 20
VALID, TEST = (3, 10, 17), (6, 13, 19)
SHARES = (0.7, 0.15, 0.15)
FIFTHS = (0.2, 0.4, 0.6, 0.8)

Rows: TypeAlias = NDArray[np.int64]


class Cut(NamedTuple):
    """Rows of each part, in rising order."""

    train: Rows
    valid: Rows
    test: Rows


def in_order(values: NDArray[Any]) -> Cut:
    """Split by value, usually time: the lowest 70 % of the rows to train, the next 15 % to validate, the rest to test.

    Rows with the same value, such as those of a day, stay together.

    >>> [len(rows) for rows in in_order(np.arange(100))]
    [70, 15, 15]
    """
    order = np.argsort(values, kind="stable")
    ends = np.searchsorted(values[order], values[order][[int(len(order) * share) for share in (0.7, 0.85)]])
    train, valid, test = (np.sort(rows) for rows in np.split(order, ends))
    return Cut(train, valid, test)


def split(y: NDArray[Any]) -> Cut:
    """A stratified split: 70 % of the rows to train, 15 % each to validate and to test.

    Every part has the same share of each class, or the same distribution of a number.

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


def parted(y: NDArray[Any], count: int, seed: int) -> tuple[Rows, Rows]:
    """Part rows at random into the rest and `count` of them, each class in its share, in random order.

    Args:
        y: classes [N].
        count: rows of the second part.
        seed: decides.

    Source: `train_test_split(..., stratify=y)` of scikit-learn, which takes a second to import, here cuts digits alike.

    >>> [len(rows) for rows in parted(np.arange(100) % 3, 20, seed=0)]
    [80, 20]
    """
    _, sizes = np.unique(y, return_counts=True)
    chance = np.random.RandomState(seed)
    exact = sizes / len(y) * (len(y) - count)
    rest = np.floor(exact).astype(int)  # of each class
    for part in np.unique(exact % 1)[::-1]:  # what is missing goes to the classes that were cut most
        alike = np.flatnonzero(exact % 1 == part)
        missing = len(y) - count - rest.sum()
        if missing:
            rest[chance.choice(alike, min(len(alike), missing), replace=False)] += 1
    of_class = np.split(np.argsort(y, kind="stable"), np.cumsum(sizes)[:-1])
    mixed = [rows[chance.permutation(len(rows))] for rows in of_class]
    first = np.concatenate([rows[:cut] for rows, cut in zip(mixed, rest, strict=True)])
    second = np.concatenate([rows[cut:] for rows, cut in zip(mixed, rest, strict=True)])
    return chance.permutation(first), chance.permutation(second)


def by_group(groups: NDArray[Any], y: NDArray[Any], shares: Sequence[float] = SHARES, seed: int = SEED) -> list[Rows]:
    """Split rows by groups, which stay together, into parts of about these shares.

    Each part gets about the same share of each class, or about the same distribution of a number. The largest groups
    are assigned first, each to the part that most lacks rows of its classes; if there are enough groups, no part stays
    empty.

    Args:
        groups: of each row, numbers or words [N].
        y: targets [N]: classes as whole numbers, else numbers.
        shares: of the rows in each part.
        seed: decides among groups of one size.

    >>> [len(rows) for rows in by_group(np.arange(100) // 5, np.arange(100) % 2)]
    [70, 15, 15]
    """
    _, group = np.unique(groups, return_inverse=True)
    _, kind = np.unique(y if y.dtype.kind in "iu" else np.searchsorted(np.quantile(y, FIFTHS), y), return_inverse=True)
    counts = np.zeros((group.max() + 1, kind.max() + 1))
    np.add.at(counts, (group, kind), 1.0)
    wanted = np.outer(shares, counts.sum(0))  # [parts, kinds]
    have, part = np.zeros_like(wanted), np.empty(len(counts), int)
    chance = np.random.default_rng(seed).permutation(len(counts))
    order = chance[np.argsort(-counts[chance].sum(1), kind="stable")]
    for left, one in zip(range(len(order), 0, -1), order, strict=True):
        # By how much the squared distance from what is wanted grows, in units of that.
        worse = ((2 * (have - wanted) + counts[one]) * counts[one] / wanted).sum(1)
        empty = have.sum(1) == 0
        part[one] = np.argmin(np.where(empty | (left > empty.sum()), worse, np.inf))
        have[part[one]] += counts[one]
    return [np.flatnonzero(part[group] == p) for p in range(len(shares))]
