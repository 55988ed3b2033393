"""Finding columns that group rows, such as a patient's id: rows of one group in several sets make scores too good."""

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import f

from zeroin.data.answer import Answer
from zeroin.data.columns import MOST, Column, measured

# Names of such columns; but not `customers` or `user_age`, which are numbers of something.
NAMED = re.compile(
    r"(?:^|[^a-z])(?:id|uid|uuid|guid|pid|(?:patient|subject|participant|person|speaker|user|customer|client|member|"
    r"household|animal|session|device|sensor|machine|store)(?:[^a-z]?(?:id|no|nr|number|code|key|name))?)$"
)
SEVERAL = 8  # so many groups at least; fewer are rather categories (mobile, tablet)
ALIKE = 1e-6  # the p-value below which answers within groups count as alike


def note_on_cut_groups(name: str, answer: Answer) -> str:
    """A note on rows that belong together but are split at random."""
    return (
        f"rows of one {name!r} are alike in {answer.name!r} and are cut at random, into several sets: to predict "
        f"it for others, add --group {name!r}"
    )


def are_groups(column: Column, values: pd.Series, target: pd.Series, answer: Answer) -> bool:
    """Whether a column groups rows, several in each group, with similar answers within groups.

    It must have a name like an id, or more different words than are encoded one by one.
    """
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
    """The p-value of an F test (analysis of variance) for answers that do not depend on the group.

    Classes are encoded one-hot.
    """
    y = answer.encoded(target)
    real = np.eye(len(answer.classes))[y] if answer.classes else y[:, None].astype(float)
    apart, sizes = real - real.mean(0), np.bincount(group)
    sums = np.stack([np.bincount(group, one) for one in apart.T])  # [outputs, groups]
    between, whole = float((sums**2 / sizes).sum()), float((apart**2).sum())
    groups, rows = len(sizes) - 1, len(real) - len(sizes)
    within = max(whole - between, 1e-12 * whole) / rows
    return float(f.sf(between / groups / within, groups, rows))
