"""The kind of a column, numbers, dates or words, and how it writes them."""

import re
import warnings
from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from pandas.tseries.api import guess_datetime_format

from zeroin.data.amounts import Style, amounts, style_of
from zeroin.errors import TaskError
from zeroin.wording import counted

MIXED = 0.5  # from this share of numbers on, a column is one of numbers, and words in it are mistakes
MANY, FEW = 40, 3  # so is one of more different numbers and no more different words: those stand for missing
DATES = 0.95  # from this share of dates on, a column is one of dates
LARGEST = 1e30  # larger numbers are clipped here, so that their squares are finite
ISO = "ISO8601"
SHORT = re.compile(r"\d{1,2}([-/. ])(?:\d{1,2}|[^\W\d_]{3})\1\d{2}")  # a date whose year has two digits
LOOKS_LIKE_A_DATE = re.compile(rf"\d{{4}}|\d{{1,2}}:\d{{2}}|{SHORT.pattern}")
MONTHS = ("%b %Y", "%b-%Y", "%B %Y", "%m/%Y")
WHOLE = re.compile(r"^([-+]?\d+)\.0$")  # a whole number as it is written in a column that also has decimals
TIMES = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")

ColumnKind: TypeAlias = Literal["number", "category", "date"]


def kind_of(values: pd.Series, otherwise: str = "leave the column out with --drop") -> ColumnKind:
    """The kind of a column; a category is a word or a truth value.

    Args:
        values: the column.
        otherwise: what else can be done about numbers and words in one column; its name follows.

    Raises:
        TaskError: numbers and words mixed.

    >>> kind_of(pd.Series(["2024-01-31", "2024-02-01"])), kind_of(pd.Series(["1", "2", None]))
    ('date', 'number')
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        return "date"
    if pd.api.types.is_bool_dtype(values) or isinstance(values.dtype, pd.CategoricalDtype):
        return "category"
    if pd.api.types.is_numeric_dtype(values):
        return "number"
    there = values.dropna()
    if all_numbers(there, otherwise):
        return "number"
    return "date" if form_of(there) else "category"


def all_numbers(there: pd.Series, otherwise: str = "leave the column out with --drop") -> bool:
    """Whether a column without missing values holds numbers, in whatever style.

    Raises:
        TaskError: numbers and words mixed.
    """
    plain = as_numbers(there).notna()
    if plain.all() or style_of(there):
        return bool(len(there))
    commas = amounts(there, Style(",")).notna()
    known = max(plain, commas, key=lambda some: int(some.sum()))
    many = there[known].nunique() > MANY and there[~known].nunique() <= FEW  # numbers, and a few words for missing
    if float(known.mean()) > MIXED or many:
        odd = str(there[~known].iloc[0])[:40]
        raise TaskError(
            f"a column holds numbers or words; {there.name!r} holds {int(known.sum()):,} numbers and "
            f"{counted(int((~known).sum()), 'other')} such as {odd!r}: fix those, add --missing {odd!r} if it stands "
            f"for missing, or {otherwise} {there.name!r}."
        )
    return False


def form_of(there: pd.Series) -> str:
    """The format in which nearly all of these words write a date or a time of day; empty if they do not.

    >>> form_of(pd.Series(["01/02/2024", "31/12/2024"])), form_of(pd.Series(["a", "b"]))
    ('%d/%m/%Y', '')
    """
    first = str(there.iloc[0]).strip() if len(there) else ""
    if not LOOKS_LIKE_A_DATE.search(first):
        return ""
    guesses = [ISO, *(form for form in _forms(first) if as_dates(pd.Series([first]), form).notna().all())]
    fits = {form: _fit(as_dates(there, form)) for form in guesses}
    best = max(fits, key=fits.__getitem__)
    return best if fits[best][0] > DATES else ""


def _fit(dates: pd.Series) -> tuple[float, float]:
    """How well a form fits words: the share that are dates in it; of equal ones, over how few years these spread, since
    days that are taken for years spread over many."""
    years = dates.dt.year
    return float(dates.notna().mean()), -float(np.nan_to_num(years.max() - years.min()))


def _forms(word: str) -> Iterator[str]:
    """Forms in which a word may write a date, a time of day, or both."""
    orders = (True, False) if "." in word else (False, True)  # points are written where the day comes first
    day, *between = re.split(r"([ ,T]*)\d{1,2}:\d{2}", word, maxsplit=1)[:2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas warns where both orders of day and month come to the same
        whole, dates = ([guess_datetime_format(one, dayfirst=d) for d in orders] for one in (word, day))
    yield from filter(None, whole)
    if found := SHORT.fullmatch(day):
        forms = ("%d-%m-%y", "%m-%d-%y") if orders[0] else ("%m-%d-%y", "%d-%m-%y")
        dates = [form.replace("-", found[1]) for form in (*forms, "%y-%m-%d", "%d-%b-%y")]
        yield from dates
    yield from MONTHS
    yield from (f"{date}{a}{time}" for a in between for date in ("", *filter(None, dates)) for time in TIMES)


def other_order(form: str) -> str:
    """A form of dates with day and month exchanged; empty where it has a month's name, or the year first.

    >>> other_order("%m/%d/%Y %H:%M"), other_order("%d %b %Y"), other_order("ISO8601")
    ('%d/%m/%Y %H:%M', '', '')
    """
    day, month = form.find("%d"), form.find("%m")
    if min(day, month) != 0:
        return ""
    return form.replace("%d", "%%").replace("%m", "%d").replace("%%", "%m")


def as_dates(values: pd.Series, form: str) -> pd.Series:
    """Dates from words in one format; dates are returned as they are, and anything else is missing."""
    if not pd.api.types.is_datetime64_any_dtype(values):
        values = values.astype(str).where(values.notna())
    return pd.to_datetime(values, format=form or ISO, errors="coerce", utc=True).dt.tz_localize(None)


def as_numbers(values: pd.Series, style: Style | None = None) -> pd.Series:
    """Numbers, written plainly or in a style; anything else, and infinity, is missing."""
    real = amounts(values, style) if style else pd.to_numeric(values, errors="coerce").astype(float)
    known = real.to_numpy(float)  # NumPy's: pandas' `replace` and `clip` take ten times as long on a few hundred rows
    return pd.Series(np.where(np.isfinite(known), known.clip(-LARGEST, LARGEST), np.nan), real.index, name=real.name)


def written(values: pd.Series, mark: str | None = None) -> Style | None:
    """The style in which a column writes its numbers; None: plainly.

    Args:
        values: the column.
        mark: the decimal mark of its file; if it is a comma, `1.250` is 1250.
    """
    style = style_of(values, mark)
    has_commas = style is not None and style.mark == mark == ","
    return style if has_commas or as_numbers(values.dropna()).isna().any() else None


def as_words(values: pd.Series) -> pd.Series:
    """The column as text; None where it is missing.

    A whole number is written without decimals wherever it comes from: a missing one beside it makes 3 a 3.0. Blanks
    around a word are no part of it.

    >>> as_words(pd.Series(["1", "2.0", 3.0, " v4.0"])).tolist()
    ['1', '2', '3', 'v4.0']
    """
    return values.astype(object).where(values.notna(), None).map(_word)


def _word(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return WHOLE.sub(r"\1", str(value).strip())
