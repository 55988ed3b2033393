"""Checks of a table for leaks, ids and other problems; the user is told before training, and decides."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.tree import DecisionTreeClassifier

from zeroin.data.amounts import longest
from zeroin.data.answer import Answer
from zeroin.data.columns import Column, measured, no_dates
from zeroin.data.groups import are_groups, note_on_cut_groups
from zeroin.data.kinds import DATES, ColumnKind, as_dates, as_numbers, as_words, other_order
from zeroin.wording import listed, percent

ENOUGH = 0.999  # a leak is suspected if a column alone explains this share of the target
MONOTONE = 0.9999  # from this rank correlation on, a number is taken for a disguise of another
DATE = r"\d{4}-\d{1,2}-\d{1,2}\b.*|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}\b.*"
OWN = 0.9  # if this share of the rows have a word of their own, a column tells nothing about new rows
LOOKED_AT = 20_000  # rows that are examined
FEW = 0.01  # the user is told if so few of the rows make up
MOST = 0.5  # this share of a target's variance


def notes_on(
    frame: pd.DataFrame,
    target: pd.Series,
    answer: Answer,
    columns: Sequence[Column],
    *,
    texts: Collection[str] = (),
    at_random: bool = True,
) -> Iterator[str]:
    """Notes on the columns that are learned from.

    Args:
        frame: those columns.
        target: of each row, none missing.
        answer: what the target was taken for.
        columns: how the columns are read, learned from the training rows.
        texts: the columns that are read as texts.
        at_random: whether rows are split at random, and not by time or by groups.
    """
    yield from (note for name in texts for note in _of_text(frame[name]))
    repeated = int(pd.concat([frame, target], axis=1).duplicated().sum())
    yield from _note_on_constant(frame, {*texts, *(column.name for column in columns)})
    if at_random:
        yield from _note_on_dates_in_order(frame, columns)
    if not answer.classes:
        yield from _note_on_far(answer, answer.numbers(target))
    if at_random:
        yield from (note_on_cut_groups(c.name, answer) for c in columns if are_groups(c, frame[c.name], target, answer))
    for column in columns:
        yield from _note_on_style(column, frame[column.name])
    rows = np.random.default_rng(0).permutation(len(frame))[:LOOKED_AT]
    y = answer.encoded(target.iloc[rows]) if answer.classes else answer.numbers(target.iloc[rows]).to_numpy()
    for column in columns:
        yield from _of_column(column, frame[column.name].iloc[rows], y, answer)
    yield from note_on_repeats(repeated, len(frame), "row")


def _note_on_constant(frame: pd.DataFrame, learned: Collection[str]) -> Iterator[str]:
    """What is told of columns that are not learned from, as they never change."""
    if constant := [str(name) for name in frame.columns if name not in learned]:
        what, change, are = ("column", "changes", "is") if len(constant) == 1 else ("columns", "change", "are")
        yield f"{what} {listed(map(repr, constant), 5)} never {change} in the training rows and {are} left out"


def _note_on_dates_in_order(frame: pd.DataFrame, columns: Sequence[Column]) -> Iterator[str]:
    """What is told of rows that are cut at random though they are in the order of a date."""
    dates = [column for column in columns if column.kind == "date"]
    if ordered := [c.name for c in dates if _in_order(measured(c, frame[c.name]))]:
        yield (
            f"rows are in the order of {', '.join(map(repr, ordered))} and are cut at random, so that test rows lie "
            f"between training rows: to predict the future, add --order {ordered[0]!r}"
        )


def _note_on_style(column: Column, values: pd.Series) -> Iterator[str]:
    """What is told of a column of numbers that are not written plainly."""
    if column.style and (shown := longest(values, column.style)):
        word, number = shown
        yield (
            f"{column.name!r} is read as numbers, such as {word!r} as {number}; if it names things, "
            f"add --words {column.name!r}"
        )


def note_on_repeats(repeated: int, count: int, what: str) -> Iterator[str]:
    """What is told of examples that are there several times."""
    if repeated:
        repeat = "repeats" if repeated == 1 else "repeat"
        yield f"{repeated:,} of {count:,} {what}s {repeat} an earlier one; copies in two sets make the score too good"


def _of_column(column: Column, values: pd.Series, y: NDArray[Any], answer: Answer) -> Iterator[str]:
    """Notes on one column."""
    name, is_words = column.name, column.kind == "category"
    real = as_words(values) if is_words else measured(column, values)
    if is_words and (two := _two_forms(real.dropna())):
        yield f"{name!r} holds dates written in several ways, such as {' and '.join(map(repr, two))}: write them alike"
    elif _names_rows(real, column.kind):
        yield f"{name!r} looks like an id, the number or name of a row: if it is, add --drop {name!r}"
    elif is_words and _is_own(real.dropna()):
        yield f"{name!r} has another word in nearly every row, which tells nothing of new rows: see --text"
    elif _tells(real, column.kind, y, answer):
        yield (
            f"a leak? {name!r} alone determines {answer.name!r}: if it is not known when predicting, "
            f"add --drop {name!r}"
        )
    if len(odd := no_dates(column, values)):
        yield note_on_no_dates(name, odd, len(values))
    yield from _note_on_order(column, values.dropna())
    yield from note_on_endless(column, values)


def note_on_endless(column: Column, values: pd.Series) -> Iterator[str]:
    """What is told of a column of numbers some of which are infinite."""
    if column.kind != "number" or column.style:
        return
    if endless := int(np.isinf(pd.to_numeric(values, errors="coerce").astype(float)).sum()):
        yield f"{column.name!r} is infinite in {endless:,} of {len(values):,} rows, which is taken as missing"


def _note_on_order(column: Column, there: pd.Series) -> Iterator[str]:
    """What is told of dates whose day and month could be each other."""
    if column.kind != "date" or not (other := other_order(column.form)):
        return
    if as_dates(there, other).notna().all():
        shown = there[as_dates(there, other) != as_dates(there, column.form)]
        word = str((shown if len(shown) else there).iloc[0])
        date = as_dates(pd.Series([word]), column.form).iloc[0]
        yield (
            f"{column.name!r} could have the day first or the month: {word!r} is read as {date.day} {date:%B}; if that "
            f"is wrong, write dates as 2024-01-31"
        )


def _note_on_far(answer: Answer, real: pd.Series) -> Iterator[str]:
    """A note if a few rows make up most of the target's variance, because squared errors and r2 then depend on these.

    >>> next(_note_on_far(Answer("price"), pd.Series([5.0, 6.0] * 50 + [1e9])))[:72]
    "1 of 101 rows makes up 100 % of the spread of 'price', such as 1e+09 whe"
    """
    apart = ((real - real.median()) ** 2).sort_values(ascending=False)
    shares = apart.cumsum() / apart.sum()
    few = int((shares <= MOST).sum()) + 1
    if few > max(1, FEW * len(real)):
        return
    logs = "predict a column of its logarithm, or " if (real > 0).all() else ""
    yield (
        f"{few:,} of {len(real):,} rows make{'s' * (few == 1)} up {percent(shares.iloc[few - 1])} of the spread of "
        f"{answer.name!r}, such as {real[apart.index[0]]:g} where the middle one is {real.median():g}; r2 and mse "
        f"judge by these alone: fix them if they are mistakes, else {logs}add --metric mae"
    )


def note_on_no_dates(name: str, odd: pd.Series, rows: int) -> str:
    """A note on a column of dates in which some values are not dates."""
    return f"{name!r} holds no date in {len(odd):,} of {rows:,} rows, such as {odd.iloc[0]!r}, taken as missing"


def _two_forms(words: pd.Series) -> list[str]:
    """Two dates of a column that are written in different ways; empty if there are none, or it is not one of dates."""
    shapes = words.str.replace(r"\d+", "0", regex=True)
    if not len(words) or shapes.nunique() == 1 or words.str.fullmatch(DATE).mean() < DATES:
        return []
    return list(words[~shapes.duplicated()].iloc[:2])


def _in_order(values: pd.Series) -> bool:
    step = values.diff().dropna()
    return bool(step.any() and ((step >= 0).all() or (step <= 0).all()))


def _names_rows(values: pd.Series, kind: ColumnKind) -> bool:
    if kind == "date" or values.isna().any() or values.nunique() < len(values):
        return False
    if kind == "category":
        return True
    real = values.to_numpy()
    spread = real.max() - real.min()
    return bool((real == np.round(real)).all()) and spread < 20 * len(real)  # numbered, perhaps with gaps


def _of_text(values: pd.Series) -> Iterator[str]:
    if as_numbers(values.dropna()).notna().all():
        yield f"--text {values.name!r} holds numbers, which would be read as numbers without --text"
    if gone := int(values.isna().sum()):
        yield f"{gone:,} of {len(values):,} rows have no {values.name!r} and are taken as empty texts"


def _is_own(words: pd.Series) -> bool:
    return bool(len(words)) and words.nunique() > OWN * len(words)


def _tells(values: pd.Series, kind: ColumnKind, y: NDArray[Any], answer: Answer) -> bool:
    """Whether a column alone determines the target."""
    if not answer.classes:
        return _same_number(values, y) if kind == "number" else _group_means(values, y) > ENOUGH
    usual = float(np.bincount(y).max()) / len(y)
    return _hits(values, kind, y, len(answer.classes)) - usual > ENOUGH * (1 - usual)


def _hits(values: pd.Series, kind: ColumnKind, y: NDArray[Any], classes: int) -> float:
    """The accuracy with which a column alone predicts the class."""
    if kind == "number":
        x = values.fillna(-1e30).to_numpy()[:, None]
        return float(DecisionTreeClassifier(max_leaf_nodes=max(2, classes), random_state=0).fit(x, y).score(x, y))
    words = as_words(values).fillna("")
    if words.nunique() > len(words) / 2:
        return 0.0
    return float(pd.crosstab(words, y).max(axis=1).sum()) / len(y)


def _same_number(values: pd.Series, y: NDArray[Any]) -> bool:
    there = values.notna().to_numpy()
    if there.sum() < max(10, 0.5 * len(y)):
        return False
    a, b = rankdata(values.to_numpy()[there]), rankdata(y[there])
    return bool(a.std() > 0 and b.std() > 0 and abs(np.corrcoef(a, b)[0, 1]) > MONOTONE)


def _group_means(values: pd.Series, y: NDArray[Any]) -> float:
    """The share of a number's variance that is explained by the groups of a column."""
    words = as_words(values).fillna("")
    if words.nunique() > len(words) / 2:
        return 0.0
    left = y - pd.Series(y).groupby(words.to_numpy()).transform("mean").to_numpy()
    return float(1 - left.var() / y.var())
