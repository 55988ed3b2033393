"""A table's columns as numbers that a network takes: what is learned from the training rows is plain data.

Plain data rather than fitted objects, so that an exported model can be read without running anything it contains.
"""

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.tseries.api import guess_datetime_format

from zeroin.errors import TaskError

MOST = 40  # categories of a column that get a number of their own; the others share one
SEEN = 3  # training rows at least of a category with a number of its own
FAR = 5.0  # deviations from the mean beyond which a number is taken as that far: a network does not extrapolate
SKEWED = 2.0  # the skewness from which a column of amounts is taken as log(1 + x)
MIXED = 0.5  # the share of numbers from which a column is one of numbers, and its words are mistakes
DATES = 0.95  # the share of dates from which a column is one of dates
LARGEST = 1e30  # larger amounts are taken as this: their squares are still numbers
YEAR = 365.2425  # days
ISO = "ISO8601"
GROUPED = r"\d{1,3}(?:[,.' ]\d{3})+"  # thousands
DRESSED = re.compile(
    rf"[-+]?\s?(?P<before>[$€£¥₹]?)\s?[-+]?(?P<digits>(?:{GROUPED}|\d+)(?:[.,]\d+)?)\s?(?P<after>[$€£¥₹%]|[^\W\d_]{{0,4}})"
)
LOOKS_LIKE_A_DATE = re.compile(r"\d{4}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}")

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Column:
    """How a column becomes numbers.

    Args:
        name: in the table.
        kind: "number", "category" or "date".
        fill: of a number that is missing: the training median.
        gaps: whether training rows lack it; being missing is then a number of its own.
        log: taken as log(1 + x), for amounts with a long tail.
        mean, scale: of the number, or of the years since 2000 of a date, in the training rows.
        options: categories with a number of their own.
        form: how dates are written, as `strptime` names it, or "ISO8601".
    """

    name: str
    kind: str
    fill: float = 0.0
    gaps: bool = False
    log: bool = False
    mean: float = 0.0
    scale: float = 1.0
    options: tuple[str, ...] = ()
    form: str = ""

    @property
    def width(self) -> int:
        """How many numbers it becomes."""
        return self.gaps + {"number": 1, "date": 7, "category": len(self.options) + 1}[self.kind]


def learn(frame: pd.DataFrame) -> tuple[Column, ...]:
    """What the training rows say of each column; columns that never change are left out.

    Raises:
        TaskError: numbers and words mixed in one column.
    """
    return tuple(_learn(str(name), frame[name]) for name in frame.columns if varies(frame[name]))


def varies(values: pd.Series) -> bool:
    """Whether a column holds two different values; missing is one.

    >>> varies(pd.Series([1, None])), varies(pd.Series(["a", "a"]))
    (True, False)
    """
    return bool(values.nunique(dropna=False) > 1)


def numbers(columns: Sequence[Column], frame: pd.DataFrame) -> Array:
    """The rows of a table as [N, F]: numbers with the training rows' mean 0 and deviation 1, categories as 0 and 1.

    Raises:
        TaskError: a column is not there, or holds something else than it did in training.
    """
    check_there(frame, [c.name for c in columns])
    none = np.empty((len(frame), 0), np.float32)
    return np.concatenate([none, *(_applied(column, frame[column.name]) for column in columns)], 1)


def check_there(frame: pd.DataFrame, names: Iterable[str]) -> None:
    """Whether a table to predict has these columns.

    Raises:
        TaskError: it lacks some.
    """
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise TaskError(
            f"a table to predict has the columns of the training table; it lacks {', '.join(map(repr, missing[:5]))}"
            f"{f' and {len(missing) - 5} more' if len(missing) > 5 else ''}: add what is missing."
        )


def kind_of(values: pd.Series, otherwise: str = "leave the column out with --drop") -> str:
    """What a column holds: "number", "category" or "date".

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
    known = as_numbers(there).notna()
    share = float(known.mean()) if len(there) else 0.0
    if share == 1.0:
        return "number"
    if share > MIXED:
        odd = str(there[~known].iloc[0])[:40]
        raise TaskError(
            f"a column holds numbers or words; {values.name!r} holds {int(known.sum()):,} numbers and "
            f"{int((~known).sum()):,} others such as {odd!r}: mend those, add --missing {odd!r} if it stands for "
            f"missing, or {otherwise} {values.name!r}."
        )
    return "date" if form_of(there) else "category"


def number_in_words(there: pd.Series) -> tuple[str, str] | None:
    """The longest word of a column whose words are all numbers with one sign or unit, or with commas, and that number.

    >>> number_in_words(pd.Series(["$1,250.50", "$990"]))
    ('$1,250.50', '1250.50')
    >>> number_in_words(pd.Series(["a1", "a2"]))
    """
    found = [DRESSED.fullmatch(str(word).strip()) for word in there.unique()]
    if not all(found) or len({(one["before"], one["after"]) for one in found if one}) != 1:
        return None
    first = max((one for one in found if one), key=lambda one: len(one[0]))
    digits = first["digits"]
    grouped = re.fullmatch(GROUPED, digits) or re.fullmatch(r"\d+", digits)
    whole, point, part = (digits, "", "") if grouped else re.fullmatch(r"(.*)([.,])(\d*)", digits).groups()  # type: ignore[union-attr]
    return first[0], re.sub(r"\D", "", whole) + ("." + part if point else "")


def form_of(there: pd.Series) -> str:
    """How nearly all of these words write a date; empty where they do not.

    >>> form_of(pd.Series(["01/02/2024", "31/12/2024"])), form_of(pd.Series(["a", "b"]))
    ('%d/%m/%Y', '')
    """
    if not len(there) or not LOOKS_LIKE_A_DATE.search(first := str(there.iloc[0])):
        return ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas warns where both orders of day and month come to the same
        guesses = [ISO, *filter(None, (guess_datetime_format(first, dayfirst=d) for d in (False, True)))]
    shares = [float(as_dates(there, form).notna().mean()) for form in guesses]
    best = int(np.argmax(shares))
    return guesses[best] if shares[best] > DATES else ""


def as_dates(values: pd.Series, form: str) -> pd.Series:
    """Dates written in one form, or dates already; what is none is missing."""
    if not pd.api.types.is_datetime64_any_dtype(values):
        values = values.astype(str).where(values.notna())
    return pd.to_datetime(values, format=form or ISO, errors="coerce", utc=True).dt.tz_localize(None)


def as_numbers(values: pd.Series) -> pd.Series:
    """Numbers; what is none, or is infinite, is missing."""
    real = pd.to_numeric(values, errors="coerce").astype(float)
    return real.replace([np.inf, -np.inf], np.nan).clip(-LARGEST, LARGEST)


def in_time(values: pd.Series) -> pd.Series:
    """What rows are ordered by: years of dates, or numbers; missing where neither is given.

    Raises:
        TaskError: it holds words.
    """
    kind = kind_of(values)
    if kind == "category":
        raise TaskError(f"--order is a column of dates or numbers; {values.name!r} holds words: name another.")
    return _measured(values, kind, form_of(values.dropna()) if kind == "date" else "")


def as_words(values: pd.Series) -> pd.Series:
    """Text in each row, None where it is missing."""
    return values.astype(object).where(values.notna(), None).map(lambda v: None if v is None else str(v))


def _learn(name: str, values: pd.Series) -> Column:
    kind = kind_of(values)
    gaps = bool(values.isna().any())
    if kind == "number":
        real = as_numbers(values).dropna()
        log = len(real) > SEEN and float(real.min()) >= 0 and float(real.skew()) > SKEWED
        return _scaled(Column(name, kind, float(real.median()), gaps, bool(log)), values)
    if kind == "date":
        form = ISO if pd.api.types.is_datetime64_any_dtype(values) else form_of(values.dropna())
        return _scaled(Column(name, kind, float(_years(as_dates(values, form)).median()), gaps, form=form), values)
    counts = values.dropna().astype(str).value_counts()
    options = sorted(counts[counts >= SEEN].index[:MOST])
    return Column(name, kind, gaps=gaps, options=tuple(options))


def _applied(column: Column, values: pd.Series) -> Array:
    """A column as [N, F]."""
    if column.kind == "category":
        words = as_words(values)
        places = pd.Index(column.options, dtype=object).get_indexer(pd.Index(words, dtype=object))  # -1: another
        known = places[:, None] == np.arange(len(column.options))
        other = ((places < 0) & words.notna().to_numpy())[:, None]
        gap = [words.isna().to_numpy()[:, None]] if column.gaps else []
        return np.concatenate([known, other, *gap], 1).astype(np.float32)
    if column.kind == "number":
        _only_numbers(column.name, values)
    else:
        _mostly_dates(column, values)
    amount = _amount(column, values)
    parts = [np.clip((amount - column.mean) / column.scale, -FAR, FAR)[:, None]]
    if column.kind == "date":  # and where it stands in its year, its week and its day, each on a circle
        turns = np.stack([amount, amount * YEAR / 7, amount * YEAR], 1) * 2 * np.pi  # [N, 3]
        parts += [np.sin(turns), np.cos(turns)]
    if column.gaps:
        given = as_dates(values, column.form) if column.kind == "date" else as_numbers(values)
        parts.append(given.isna().to_numpy()[:, None])
    return np.concatenate(parts, 1).astype(np.float32)


def _amount(column: Column, values: pd.Series) -> NDArray[np.float64]:
    """A number, or the years of a date, as it is before its mean is taken away [N]."""
    real = _measured(values, column.kind, column.form)
    filled = real.fillna(column.fill).to_numpy(float)
    return np.asarray(np.log1p(np.maximum(filled, 0)) if column.log else filled)


def _scaled(column: Column, values: pd.Series) -> Column:
    """A column with the mean and the deviation of its training rows."""
    amount = _amount(column, values)
    return replace(column, mean=float(amount.mean()), scale=float(amount.std()) or 1.0)


def _only_numbers(name: str, values: pd.Series) -> None:
    odd = values[values.notna() & pd.to_numeric(values, errors="coerce").isna()]
    if len(odd):
        raise TaskError(
            f"a column stays of one kind; {name!r} held numbers in training and here holds "
            f"{str(odd.iloc[0])[:40]!r}: mend it, or leave it empty."
        )


def _mostly_dates(column: Column, values: pd.Series) -> None:
    there = values.dropna()
    read = as_dates(there, column.form).notna()
    if read.mean() < MIXED:
        raise TaskError(
            f"a column stays of one kind; {column.name!r} held dates written as {column.form} in training and here "
            f"holds {str(there[~read].iloc[0])[:40]!r}: write them so, or leave them empty."
        )


def _measured(values: pd.Series, kind: str, form: str) -> pd.Series:
    """Dates in years, else numbers."""
    return _years(as_dates(values, form)) if kind == "date" else as_numbers(values)


def _years(dates: pd.Series) -> pd.Series:
    """Years since 2000 with their fraction."""
    return (dates - pd.Timestamp("2000-01-01")) / pd.Timedelta(days=1) / YEAR
