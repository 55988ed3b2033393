"""Reading tables from CSV and Parquet files, with an error that explains what is wrong with a file."""

import csv
import difflib
import gzip
import io
import re
import warnings
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype

from zeroin.data.amounts import mark_of
from zeroin.data.names import PARQUET, TEXT, is_packed, remedy, suffix
from zeroin.errors import TaskError
from zeroin.wording import first_line, listed

Content = TypeVar("Content", str, bytes)

SEPARATORS = ",;\t|"
LONGEST = 1_000_000  # characters of a field; a longer one is a quote that is never closed
SAID = re.compile(r"sep=([,;\t|])\n")  # a first line that names the separator
BLANK = re.compile(r"^ +$", re.MULTILINE)  # a line that pandas takes for empty
OTHER = re.compile(r"\s*(\{\s*\"|\[\s*[\[{]|<(!doctype|html|\?xml|table))", re.IGNORECASE)  # JSON, HTML, XML
# Words that stand for a missing value: those of pandas, and that of UCI's data sets.
MISSING = (
    *("", "?", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"),
    *("N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
INDEX = "__index_level_"  # how pandas calls the columns that keep an index without a name
WITH_GAPS = {pa.bool_(): pd.BooleanDtype(), pa.int64(): pd.Int64Dtype()}  # else floats where one value is missing
LOOKED_AT = 1000  # cells of a column that show what stands before decimals


def read(path: Path, missing: Sequence[str] = (), *, header: bool = True) -> pd.DataFrame:
    """A table; the cells of a CSV file are words, whatever they hold, so that they mean the same in another file.

    What its numbers have before decimals is in `attrs["mark"]`, for columns that could be read either way.

    Args:
        path: .csv, .tsv, .txt, .parquet or .pq, as it is or packed by gzip (.csv.gz).
        missing: words that stand for a missing value, beside the usual ones ("", "NA", "?", ...).
        header: whether the first row of a CSV file has the names of the columns; they are `column 1`, ... if not.

    Raises:
        TaskError: a file that cannot be read as a table.
    """
    if suffix(path) not in TEXT + PARQUET:
        raise TaskError(f"a table is a {', '.join(TEXT + PARQUET)} file; {str(path)!r} is none: {remedy(path)}.")
    if suffix(path) in PARQUET and not header:
        raise TaskError(f"--no-header is about CSV files; {path.name} names its columns: leave it out.")
    frame = _parquet(path, missing) if suffix(path) in PARQUET else _csv(path, missing, header)
    if not len(frame):
        raise TaskError(f"a table has rows; {path.name} has only a header: fill it.")
    return frame


def column_of(frame: pd.DataFrame, name: str, option: str) -> str:
    """The name of a column that an option of the command line gave, if there is such a column.

    Raises:
        TaskError: there is none.
    """
    if name not in frame.columns and frame.shape[1] == 1:
        raise TaskError(
            f"{option} names a column; there is no {name!r}, as all of the table is one column, {frame.columns[0]!r}: "
            f"separate its columns by commas, semicolons, tabs or bars."
        )
    if name not in frame.columns:
        small = {str(known).lower(): str(known) for known in frame.columns}
        near = [small[word] for word in difflib.get_close_matches(name.lower(), small, n=1)] or [str(frame.columns[-1])]
        known = listed((repr(str(one)) for one in frame.columns), 12)
        raise TaskError(f"{option} names a column; there is no {name!r} among {known}: use {option} {near[0]!r}.")
    return name


def bytes_of(path: Path) -> bytes:
    """The contents of a file, decompressed if it is packed.

    Raises:
        TaskError: there is no such file, it cannot be read, or it is empty.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise TaskError(f"data are read from a file; {str(path)!r}: {error.strerror}: check the path.") from error
    try:
        return _some(path, gzip.decompress(raw) if is_packed(path) else raw)
    except (OSError, EOFError, zlib.error) as error:
        raise TaskError(f"a .gz file is packed by gzip; {path.name}: {error}: pack it again.") from error


def _some(path: Path, read: Content) -> Content:
    if not read.strip():
        raise TaskError(f"a data file has contents; {path.name} is empty: check how it was written.")
    return read


def _csv(path: Path, missing: Sequence[str], header: bool) -> pd.DataFrame:
    text = _decoded(path)
    if said := SAID.match(text):  # by Excel
        text = _some(path, text[said.end() :])
    separator = said[1] if said else _separator(_some(path, text))
    if OTHER.match(text):
        raise TaskError(
            f"a CSV file begins with the names of its columns; {path.name} begins with {text.lstrip()[:20]!r}, as JSON "
            f"or HTML does: save it as CSV."
        )
    names = _checked(path.name, text, separator, header)
    frame = pd.read_csv(
        io.StringIO(text.lstrip(" \n")),
        sep=separator,
        skip_blank_lines=len(names) > 1,  # of a single column, an empty line is a row that lacks it
        header=0 if header else None,
        names=names,
        index_col=False,
        dtype=str,
        na_values=[*MISSING, *missing],
        keep_default_na=False,
        skipinitialspace=True,
    )
    if header and _is_data(frame):
        warnings.warn(
            f"the first row of {path.name} is read as the names of its columns, such as {names[0]!r} and "
            f"{names[-1]!r}; if it is a row of data, add --no-header and name columns by their place, such as "
            f"--target 'column {len(names)}'",
            stacklevel=2,
        )
    marks = {mark for name in frame if (mark := mark_of(frame[name].dropna().iloc[:LOOKED_AT]))}
    # Spreadsheets separate by semicolons where the comma is taken.
    frame.attrs["mark"] = marks.pop() if len(marks) == 1 else "," if separator == ";" and not marks else None
    return frame


def _is_data(frame: pd.DataFrame) -> bool:
    """Whether the names of a table look like a row of it: columns of numbers are called by numbers, which do not count
    on as years do unless a word is among those of its column; where all hold words, most names are among them.

    >>> one = pd.DataFrame({"c": ["b", "c"], "price": ["1", "2"]})
    >>> _is_data(one), _is_data(one.set_axis(["b", "7"], axis=1))
    (False, True)
    """
    named = [name for i, name in enumerate(frame.columns) if name != _unnamed(i)]
    some = frame.iloc[:LOOKED_AT]
    counted = [name for name in named if pd.to_numeric(some[name].dropna(), errors="coerce").notna().mean() > 0.5]
    among = [name for name in named if name not in counted and (frame[name] == name).any()]
    if not counted:
        return len(among) > len(named) / 2
    names = pd.to_numeric(pd.Series(counted, dtype=object), errors="coerce")
    counts_on = len(names) > 1 and names.diff().iloc[1:].nunique() == 1 and bool((names % 1 == 0).all())
    return bool(names.notna().all()) and (bool(among) or not counts_on)


def _unnamed(place: int) -> str:
    """What a column without a name is called."""
    return f"column {place + 1}"


def _decoded(path: Path) -> str:
    raw = bytes_of(path)
    if b"\0" in raw[:100_000]:
        raise TaskError(
            f"a CSV file is text in UTF-8; {path.name} holds zero bytes: save it as CSV, or, if it is UTF-16, "
            f"run `iconv -f UTF-16 -t UTF-8 {path} > new.csv`."
        )
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        read, at = error.object, error.start  # of what follows the mark that a file may begin with
        line = 1 + read.count(b"\n", 0, at)
        raise TaskError(
            f"a CSV file is text in UTF-8; line {line} of {path.name} has the byte 0x{read[at]:02x}: "
            f"run `iconv -f CP1252 -t UTF-8 {path} > new.csv`."
        ) from error


def _separator(text: str) -> str:
    """The separator that is most frequent in the header."""
    header = re.sub(r'"[^"]*"', "", text.lstrip().partition("\n")[0])
    return max(SEPARATORS, key=header.count)


def _checked(file: str, text: str, separator: str, header: bool) -> list[str]:
    """The names of the columns, after checking the number of fields in every row.

    pandas would silently pad short rows, rename duplicate columns, and read an unclosed quote as one long cell.
    """
    before = csv.field_size_limit(LONGEST)
    lines = io.StringIO(BLANK.sub("", text))
    rows = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    try:
        names = [name.strip() if header else "" for name in next(row for row in rows if row)]
        for row in rows:
            if row and len(row) != len(names):
                first = "header" if header else "first row"
                title = header and len(names) == 1
                remedy = f"delete the line {names[0][:40]!r}, if it is a title" if title else "fix that line"
                raise TaskError(
                    f"each row has as many fields as the {first}; line {rows.line_num:,} of {file} has {len(row)}, the "
                    f"{first} {len(names)}: {remedy}, or quote fields that hold {separator!r}."
                )
    except csv.Error as error:
        raise TaskError(
            f"a field has at most {LONGEST:,} characters and its quotes are closed; line {rows.line_num:,} of {file}: "
            f"{error}: close the quote that is open there, or shorten the field."
        ) from error
    finally:
        csv.field_size_limit(before)
    names = [name or _unnamed(i) for i, name in enumerate(names)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TaskError(
            f"each column has a name of its own; {file} has {twice[0]!r} twice: rename one, or add --no-header "
            f"if its first row is one of data."
        )
    return names


def _parquet(path: Path, missing: Sequence[str]) -> pd.DataFrame:
    """A table read in this thread alone: those of Arrow may abort a process that ends soon (apache/arrow#34314).

    Words mean what they mean in a CSV file, those for missing too, and what pandas noted of its own types and names of
    columns is ignored: a file means the same whatever wrote it. Columns of lists, of bytes and the like are kept for
    `check_plain`: they matter only where they are learned from.
    """
    raw = bytes_of(path)
    try:
        table = pq.ParquetFile(pa.BufferReader(raw)).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise TaskError(
            f"a .parquet file is in Parquet format; {path.name}: {first_line(error)}: write it again."
        ) from error
    if twice := [name for name in table.column_names if table.column_names.count(name) > 1]:
        raise TaskError(f"each column has a name of its own; {path.name} has {twice[0]!r} twice: rename one.")
    table = table.drop_columns([name for name in table.column_names if name.startswith(INDEX)])
    kinds = dict(zip(table.column_names, table.schema.types, strict=True))
    frame = table.to_pandas(use_threads=False, ignore_metadata=True, types_mapper=WITH_GAPS.get)
    for name, kind in kinds.items():
        if pa.types.is_decimal(kind):
            frame[name] = frame[name].astype(float)
        elif pa.types.is_duration(kind):
            frame[name] = frame[name].dt.total_seconds()
        elif not _is_odd(kind):
            frame[name] = _without(frame[name], missing)
    frame.attrs["odd"] = {name: str(kind) for name, kind in kinds.items() if _is_odd(kind)}
    return frame


def _is_odd(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _without(values: pd.Series, missing: Sequence[str]) -> pd.Series:
    """A column without the words, or the numbers, that stand for a missing value."""
    if is_bool_dtype(values) or is_datetime64_any_dtype(values) or (is_numeric_dtype(values) and not missing):
        return values
    if is_numeric_dtype(values):
        return values.mask(values.isin(pd.to_numeric(pd.Series(missing, dtype=object), errors="coerce").dropna()))
    return values.mask(values.isin({*MISSING, *missing}))


def check_plain(frame: pd.DataFrame, names: Iterable[str]) -> None:
    """Whether columns hold what can be learned from.

    Raises:
        TaskError: one of them holds lists, bytes or the like.
    """
    odd: dict[str, str] = frame.attrs.get("odd", {})
    if found := [name for name in names if name in odd]:
        raise TaskError(
            f"a column holds numbers, words or dates; {found[0]!r} holds {odd[found[0]]}: write it as one of "
            f"those, or leave it out with --drop {found[0]!r}."
        )
