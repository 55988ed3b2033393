"""Encoding the columns of a table as numbers for a network.

What is learned from the training rows is plain data and not fitted objects, so that an exported model can be loaded
without running code that it contains.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from zeroin.data.amounts import Style, amounts
from zeroin.data.files import check_plain
from zeroin.data.kinds import ISO, MIXED, ColumnKind, as_dates, as_numbers, as_words, form_of, kind_of, written
from zeroin.errors import TaskError
from zeroin.wording import listed

MOST = 40  # categories of a column that get a number of their own; the others share one
SEEN = 3  # training rows at least of a category with a number of its own
FAR = 5.0  # numbers are clipped at so many standard deviations from the mean: a network does not extrapolate
SKEWED = 2.0  # from this skewness on, a column of amounts is encoded as log(1 + x)
FARTHEST, WILD = 0.01, 10.0  # the share of rows at an end that are mistakes if the others deviate so much less
BINS, LEAST = 16, 8  # of a number, at most and at least; numbers of no more different values have none
EACH, WIDEST = 8, 1024  # training rows for each of the bins of all numbers together at least, and these at most
YEAR = 365.2425  # days
# (days of a period, how many sines and cosines encode where a date lies in it); three distinguish the days of a week
WAVES = ((YEAR, 8), (7, 3), (1, 2))

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Column:
    """How a column becomes numbers.

    Args:
        name: in the table.
        kind: what it holds.
        fill: of a number that is missing: the training median.
        gaps: whether training rows lack it; being missing is then a number of its own.
        log: taken as log(1 + x), for amounts with a long tail.
        mean, scale: of the number, or of the years since 2000 of a date, in the training rows.
        options: categories with a number of their own.
        shares: of each of these in the training rows, and of all others together; those of models that do not say it
            are not known.
        form: how dates are written, as `strptime` names it, or "ISO8601".
        style: how numbers are written; None: plainly.
        bins: ends of the pieces in which a network takes the number, as it is after `mean` and `scale`; none: as it is.
        waves: of dates, as `WAVES`; those of models that do not say it are the first of each period.
    """

    name: str
    kind: ColumnKind
    fill: float = 0.0
    gaps: bool = False
    log: bool = False
    mean: float = 0.0
    scale: float = 1.0
    options: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    form: str = ""
    style: Style | None = None
    bins: tuple[float, ...] = ()
    waves: tuple[tuple[float, int], ...] = ((YEAR, 1), (7, 1), (1, 1))

    @property
    def width(self) -> int:
        """How many numbers it is encoded as."""
        waves = 2 * sum(count for _, count in self.waves)
        return self.gaps + {"number": 1, "date": 1 + waves, "category": len(self.options) + 1}[self.kind]


def learn(frame: pd.DataFrame, styles: Mapping[str, Style] = MappingProxyType({})) -> tuple[Column, ...]:
    """Learn from the training rows how to encode each column; columns that never change are left out.

    How numbers are written is no knowledge of what they are: `styles` may be those of all rows.

    Raises:
        TaskError: numbers and words mixed in one column.
    """
    names = [name for name in frame.columns if frame[name].nunique(dropna=False) > 1]  # missing is a value
    return tuple(_learn(str(name), frame[name], styles.get(str(name))) for name in names)


def in_bins(columns: Sequence[Column], frame: pd.DataFrame) -> tuple[Column, ...]:
    """The same columns, numbers with the ends of bins that hold as many of these training rows each.

    Fewer bins where there are few rows, or so many numbers that the network would become wide; none below `LEAST`.
    """
    many = [column for column in columns if column.kind == "number"]
    count = min(BINS, min(len(frame) // EACH, WIDEST) // max(1, len(many)))
    return tuple(_in_bins(one, frame[one.name], count) if one in many and count >= LEAST else one for one in columns)


def _in_bins(column: Column, values: pd.Series, count: int) -> Column:
    known = _standard(column, values[measured(column, values).notna()])
    if len(np.unique(known)) <= LEAST:
        return column
    ends = np.unique(np.quantile(known, np.linspace(0, 1, count + 1)).astype(np.float32))
    return replace(column, bins=tuple(ends.tolist())) if len(ends) > 2 else column


def numbers(columns: Sequence[Column], frame: pd.DataFrame) -> Array:
    """The rows of a table as [N, F]: numbers with the training rows' mean 0 and deviation 1, categories as 0 and 1.

    Raises:
        TaskError: a column is not there, or holds something else than it did in training.
    """
    check_there(frame, [c.name for c in columns])
    none = np.empty((len(frame), 0), np.float32)
    return np.concatenate([none, *(_applied(column, frame[column.name]) for column in columns)], 1)


def check_there(frame: pd.DataFrame, names: Collection[str]) -> None:
    """Whether a table to predict has these columns.

    Raises:
        TaskError: it lacks some, or they hold lists or bytes.
    """
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise TaskError(
            f"a table to predict has the columns of the training table; it lacks {listed(map(repr, missing), 5)}: "
            f"add what is missing, empty if not known."
        )
    check_plain(frame, names)


def in_time(values: pd.Series, mark: str | None = None) -> pd.Series:
    """The numbers by which rows are ordered in time: years for dates, or the numbers themselves.

    Args:
        values: the column.
        mark: the decimal mark of its file.

    Raises:
        TaskError: it holds words.
    """
    column = _read("", values)
    if column.kind == "category":
        raise TaskError(f"--order is a column of dates or numbers; {values.name!r} holds words: name another.")
    return measured(replace(column, style=written(values, mark)) if column.kind == "number" else column, values)


def measured(column: Column, values: pd.Series) -> pd.Series:
    """The numbers of a column, or the years since 2000 of its dates; missing where there is neither."""
    if column.kind == "number":
        return as_numbers(values, column.style)
    return (as_dates(values, column.form) - pd.Timestamp("2000-01-01")) / pd.Timedelta(days=1) / YEAR


def no_dates(column: Column, values: pd.Series) -> pd.Series:
    """The values of a column of dates that are not dates, and so count as missing; empty for other columns."""
    there = values.dropna()
    return there[as_dates(there, column.form).isna()] if column.kind == "date" else there[:0]


def _read(name: str, values: pd.Series) -> Column:
    """The kind of a column, and how it is written."""
    kind = kind_of(values)
    if kind == "number":
        return Column(name, kind, style=written(values))
    if kind == "date":
        is_date = pd.api.types.is_datetime64_any_dtype(values)
        return Column(name, kind, waves=WAVES, form=ISO if is_date else form_of(values.dropna()))
    return Column(name, kind)


def _learn(name: str, values: pd.Series, style: Style | None) -> Column:
    column = replace(_read(name, values), gaps=bool(values.isna().any()))
    column = replace(column, style=style or column.style) if column.kind == "number" else column
    if column.kind == "category":
        counts = as_words(values).dropna().value_counts()
        options = sorted(counts[counts >= SEEN].index[:MOST])
        known = counts[options].to_numpy()
        shares = np.array([*known, counts.sum() - known.sum()]) / max(1, counts.sum())
        return replace(column, options=tuple(options), shares=tuple(shares.tolist()))
    real = measured(column, values).dropna()
    log = column.kind == "number" and len(real) > SEEN and float(real.min()) >= 0 and float(real.skew()) > SKEWED
    return _scaled(replace(column, fill=float(real.median()), log=bool(log)), values)


def _applied(column: Column, values: pd.Series) -> Array:
    """A column as [N, F]."""
    if column.kind == "category":
        words = as_words(values)
        missing = words.isna().to_numpy()
        places = pd.Index(column.options, dtype=object).get_indexer(pd.Index(words, dtype=object))  # -1: another
        other = (places < 0) & ~missing
        each = np.concatenate([places[:, None] == np.arange(len(column.options)), other[:, None]], 1).astype(np.float32)
        # What no training row had has weights as they were drawn: it counts as those rows do on average.
        if column.shares:
            each[other & (not column.shares[-1])] = column.shares
            each[missing & (not column.gaps)] = column.shares
        return np.concatenate([each, missing[:, None]], 1).astype(np.float32) if column.gaps else each
    if column.kind == "number":
        _check_numbers(column, values)
    else:
        _check_dates(column, values)
    parts = [_standard(column, values)[:, None]]
    if column.kind == "date":  # and where it stands in its year, its week and its day
        amount = _amount(column, values)
        often = [wave * YEAR / days for days, count in column.waves for wave in range(1, count + 1)]  # in a year
        turns = amount[:, None] * np.array(often) * 2 * np.pi  # [N, waves]
        parts += [np.sin(turns), np.cos(turns)]
    if column.gaps:
        parts.append(measured(column, values).isna().to_numpy()[:, None])
    return np.concatenate(parts, 1).astype(np.float32)


def _amount(column: Column, values: pd.Series) -> NDArray[np.float64]:
    """The numbers of a column, or the years of its dates, before they are normalised [N]."""
    filled = measured(column, values).fillna(column.fill).to_numpy(float)
    return np.asarray(np.log1p(np.maximum(filled, 0)) if column.log else filled)


def _standard(column: Column, values: pd.Series) -> NDArray[np.float64]:
    """Numbers, or years, with the training rows' mean 0 and deviation 1 [N]."""
    return np.clip((_amount(column, values) - column.mean) / column.scale, -FAR, FAR)


def _scaled(column: Column, values: pd.Series) -> Column:
    """A column with the mean and the deviation of its training rows; where a few far ones make up most of that, of the
    others, as all others would be alike beside a single 1e12.
    """
    amount = _amount(column, values)
    low, high = np.quantile(amount, FARTHEST, method="higher"), np.quantile(amount, 1 - FARTHEST, method="lower")
    usual = amount.clip(low, high)
    known = usual if 0 < usual.std() * WILD < amount.std() else amount
    return replace(column, mean=float(known.mean()), scale=float(known.std()) or 1.0)


def _check_numbers(column: Column, values: pd.Series) -> None:
    read = amounts(values, column.style) if column.style else pd.to_numeric(values, errors="coerce")
    odd = values[values.notna() & read.isna()]
    if len(odd):
        how = f" written like {column.style.example if column.style else '1234.5'!r}"
        raise TaskError(
            f"a column keeps its kind; {column.name!r} held numbers{how} in training and here holds "
            f"{str(odd.iloc[0])[:40]!r}: fix it, or leave it empty."
        )


def _check_dates(column: Column, values: pd.Series) -> None:
    odd = no_dates(column, values)
    if len(odd) > (1 - MIXED) * values.notna().sum():
        raise TaskError(
            f"a column keeps its kind; {column.name!r} held dates written as {column.form} in training and here "
            f"holds {str(odd.iloc[0])[:40]!r}: write them so, or leave them empty."
        )
