"""Columns that say whom or what a row belongs to: rows of one patient in several sets make the score too good."""

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import f

from zeroin.data.answer import Answer
from zeroin.data.columns import MOST, Column, measured

# How a column is called that says it; not `customers` or `user_age`, which are numbers of something.
NAMED = re.compile(
    r"(?:^|[^a-z])(?:id|uid|uuid|guid|pid|(?:patient|subject|participant|person|speaker|user|customer|client|member|"
    r"household|animal|session|device|sensor|machine|store)(?:[^a-z]?(?:id|no|nr|number|code|key|name))?)$"
)
SEVERAL = 8  # different ones at least: fewer are rather kinds (mobile, tablet)
ALIKE = 1e-6  # the chance of answers as alike as those of one group, if groups said nothing of them


def note_on_groups(name: str, answer: Answer) -> str:
    """What is told of rows that belong together and are cut at random."""
    return (
        f"rows of one {name!r} are alike in {answer.name!r} and are cut at random, into several sets: to predict "
        f"it for others, add --group {name!r}"
    )


def are_groups(column: Column, values: pd.Series, target: pd.Series, answer: Answer) -> bool:
    """Whether a column names what rows belong to, several each, and these have alike answers: it is called so, or has
    more words than are learned one by one."""
    many = column.kind == "category" and values.nunique() > MOST
    if column.kind == "date" or not (many or _is_called_so(column.name)):
        return False
    if column.kind == "number" and not (measured(column, values).dropna() % 1 == 0).all():
        return False
    group = values.factorize(use_na_sentinel=False)[0]
    return SEVERAL <= group.max() + 1 <= len(values) / 2 and _chance(group, target, answer) < ALIKE


def _is_called_so(name: str) -> bool:
    """
    >>> [_is_called_so(name) for name in ("patientId", "USER_ID", "user_age", "customers", "paid", "subject")]
    [True, True, False, False, False, True]
    """
    return bool(NAMED.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))


def _chance(group: NDArray[Any], target: pd.Series, answer: Answer) -> float:
    """That answers of one group are as alike as these if groups say nothing of them: the F test of an analysis of
    variance. A class counts as 1 of its own, 0 of all others."""
    y = answer.encoded(target)
    real = np.eye(len(answer.classes))[y] if answer.classes else y[:, None].astype(float)
    apart, sizes = real - real.mean(0), np.bincount(group)
    sums = np.stack([np.bincount(group, one) for one in apart.T])  # [outputs, groups]
    between, whole = float((sums**2 / sizes).sum()), float((apart**2).sum())
    groups, rows = len(sizes) - 1, len(real) - len(sizes)
    within = max(whole - between, 1e-12 * whole) / rows
    return float(f.sf(between / groups / within, groups, rows))
