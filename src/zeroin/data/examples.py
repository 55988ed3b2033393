"""Examples as scikit-learn passes them to `fit`: which of them count, and which are held out for validation."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import _check_sample_weight, column_or_1d

from zeroin.data.split import by_group

LEAST = 4  # examples: three to train on, one to judge by


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Inputs X [N, features] and targets y [N]; groups and weights [N] where there are any."""

    X: Any
    y: Any
    groups: Any
    weights: Any


def counting(X: Any, y: Any, groups: Any, sample_weight: Any) -> Examples:
    """The examples that count; those of weight 0 are removed.

    Raises:
        ValueError: fewer than four count, a weight is negative, or there is not one group for each example.

    >>> counting(np.zeros((5, 1)), np.arange(5), None, [1, 2, 0, 1, 1]).y
    array([0, 1, 3, 4])
    """
    groups = None if groups is None else _numbered(groups, len(y))
    if sample_weight is None:
        return Examples(X, y, groups, None)
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    there = weights > 0
    if there.sum() < LEAST:
        raise ValueError(
            f"{LEAST} examples count, three to train on and one to judge by; sample_weight is above 0 for "
            f"{there.sum()}: give weights above 0."
        )
    groups = None if groups is None else _numbered(groups[there], there.sum())
    return Examples(X[there], y[there], groups, weights[there])


def split(y: Any, groups: Any, share: float, stratified: bool, seed: int) -> tuple[Any, Any]:
    """The indices of the examples to train on and to validate; stratified if there are enough of each class.

    Args:
        y: targets [N].
        groups: [N], each of which is kept in one of the two sets; None: there are none.
        share: of the examples that are for validation.
        stratified: whether targets are classes.
        seed: decides the split.

    Raises:
        ValueError: `share` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(
            f"validation_fraction is a share of the examples, between 0 and 1; validation_fraction={share!r}: use 0.2."
        )
    if groups is not None:
        train, valid = by_group(groups, y, (1 - share, share), seed)
        return train, valid
    count = min(max(1, round(share * len(y))), len(y) - 1)
    classes, sizes = np.unique(y, return_counts=True) if stratified else ((), ())
    enough = stratified and min(sizes) >= 2 and len(classes) <= min(count, len(y) - count)
    train, valid = train_test_split(
        np.arange(len(y)), test_size=count, random_state=seed, stratify=y if enough else None
    )
    return train, valid


def _numbered(groups: Any, count: int) -> NDArray[Any]:
    """The group of each example, as numbers."""
    names = column_or_1d(groups)
    if missing := sum(name is None or name != name for name in names.tolist()):
        raise ValueError(
            f"groups say of each example what it belongs to; {missing} of {len(names)} are missing: leave those "
            f"examples out, or give each a group of its own."
        )
    known: NDArray[Any] = np.unique(names, return_inverse=True)[1]
    if len(known) != count or known.max() < 1:
        raise ValueError(
            f"groups are of each example, two different ones at least; there are {len(known)} for {count} examples, "
            f"{known.max() + 1} different: leave groups out, or give examples of another."
        )
    return known
