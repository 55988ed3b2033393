"""Splitting a user's examples into sets to train, validate and test: at random, by time, or by groups."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import pandas as pd

from zeroin.data.answer import Answer
from zeroin.data.columns import in_time
from zeroin.data.files import column_of
from zeroin.data.kinds import as_words
from zeroin.data.split import Cut, by_group, in_order, split
from zeroin.errors import TaskError

Cutting: TypeAlias = Callable[[pd.Series, Answer, pd.Series], Cut]  # of which rows are usable, and their target


def cutting(frame: pd.DataFrame, target: str, order: str | None, group: str | None) -> Cutting:
    """How to split a table, by the columns that its user named.

    Raises:
        TaskError: there is no such column, it cannot order rows, or both were named.
    """
    if order and group:
        raise TaskError(
            f"rows are split by time or by groups; got --order {order!r} and --group {group!r}: leave one of them out."
        )
    if group:
        if column_of(frame, group, "--group") == target:
            raise TaskError(f"--group and --target are two columns; both are {group!r}: name another --group.")
        return grouped(as_words(frame[group]))
    return partial(_by_order, _times(frame, order)) if order else at_random


def _times(frame: pd.DataFrame, order: str) -> pd.Series:
    return in_time(frame[column_of(frame, order, "--order")], frame.attrs.get("mark"))


def grouped(groups: pd.Series) -> Cutting:
    """A split that keeps groups together; `groups` has the name that the user gave."""
    return partial(_by_group, groups)


def at_random(_usable: pd.Series, answer: Answer, values: pd.Series) -> Cut:
    """A random split."""
    return split(answer.encoded(values))


def _by_order(order: pd.Series, usable: pd.Series, answer: Answer, values: pd.Series) -> Cut:
    known = _given("--order", "when each row was", order[usable])
    return _varied("--order", known, in_order(known.to_numpy()), answer, values)


def _by_group(groups: pd.Series, usable: pd.Series, answer: Answer, values: pd.Series) -> Cut:
    known = _given("--group", "what each example belongs to", groups[usable])
    if (different := known.nunique()) < len(Cut._fields):
        raise TaskError(
            f"groups are split into three sets; {groups.name!r} has {different}: add examples of others, or leave "
            f"--group out."
        )
    parts = by_group(known.factorize()[0], answer.encoded(values))
    return _varied("--group", known, Cut(*parts), answer, values)


def _given(option: str, what: str, values: pd.Series) -> pd.Series:
    if values.isna().any():
        raise TaskError(
            f"{option} says {what}; {values.name!r} is missing in {int(values.isna().sum()):,} of "
            f"{len(values):,}: fill it in, or leave {option} out."
        )
    return values


def _varied(option: str, by: pd.Series, cut: Cut, answer: Answer, values: pd.Series) -> Cut:
    """The split, if each of its parts has at least two different answers; else an error."""
    for part, rows in zip(cut._fields, cut, strict=True):
        if (different := values.iloc[rows].nunique()) < 2:
            raise TaskError(
                f"each set holds two different answers; cut by {by.name!r} {part} has {len(rows):,} examples with "
                f"{different} of {answer.name!r}: leave {option} out."
            )
    return cut
