"""The source of a table: which columns are learned from, and how each is read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_object_dtype, is_string_dtype

from zeroin.data.amounts import Style, are_codes
from zeroin.data.answer import Answer
from zeroin.data.checks import notes_on
from zeroin.data.columns import SEEN, in_bins, learn
from zeroin.data.cuts import cutting
from zeroin.data.files import check_plain, column_of
from zeroin.data.kinds import all_numbers, as_numbers, as_words, written
from zeroin.data.preparation import Inputs, Table, Text
from zeroin.data.source import Source, note_on_groups
from zeroin.data.vocabulary import is_text, vocabulary, words_of
from zeroin.errors import TaskError

WORDS = (8, 200)  # of a text that are read, at least and at most


@dataclass(frozen=True, slots=True)
class Columns:
    """What the user said about a table's columns, in terms of the arguments of `own.task_of`."""

    target: str
    texts: tuple[str, ...]
    words: tuple[str, ...]
    drop: tuple[str, ...]
    order: str | None
    group: str | None

    def check_dropped(self, frame: pd.DataFrame) -> None:
        """Check that the columns to drop exist, and that the target is not among them.

        Raises:
            TaskError: one does not, or it is.
        """
        for name in self.drop:
            if column_of(frame, name, "--drop") == self.target:
                raise TaskError(
                    f"a column is predicted or left out; {self.target!r} is in both --target and --drop: drop others."
                )

    def check_read(self, frame: pd.DataFrame) -> None:
        """Check that columns to be read as text or as words exist, and are named only once.

        Raises:
            TaskError: one does not, or is named twice.
        """
        for option, named, others in (("--text", self.texts, self.words), ("--words", self.words, ())):
            for name in named:
                if column_of(frame, name, option) == self.target:
                    raise TaskError(f"{option} and --target are two columns; both are {name!r}: name another {option}.")
                if name in self.drop:
                    raise TaskError(
                        f"a column is read or left out; {name!r} is in both {option} and --drop: leave out one."
                    )
                if name in others:
                    raise TaskError(f"a column is read as text or as words; {name!r} is in both: leave out one.")

    def learned_from(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The columns that are learned from."""
        gone = [self.group] if self.group and self.group not in self.drop else []
        return frame.drop(columns=[*self.drop, self.target, *gone])


@dataclass(frozen=True, slots=True)
class Reading:
    """How the file was read: the words for a missing value, and whether its first row is a header."""

    missing: tuple[str, ...]
    header: bool


def of_table(path: Path, frame: pd.DataFrame, columns: Columns, reading: Reading) -> Source:
    """The source of a table.

    Args:
        path: where it was read, to be told.
        frame: what was read.
        columns: what was said of its columns.
        reading: how it was read, kept for new data.

    Raises:
        TaskError: a column that is not there, or asked for twice; none to learn from.
    """
    columns.check_dropped(frame)
    values = frame[column_of(frame, columns.target, "--target")]
    columns.check_read(frame)
    chosen = columns.learned_from(frame)
    check_plain(frame, [one for one in (columns.target, columns.order, columns.group, *chosen) if one])
    cut = cutting(frame, columns.target, columns.order, columns.group)
    mark = frame.attrs.get("mark")
    styles, codes, plain = _looked_at(chosen, columns, mark)
    read: dict[str, pd.Series] = {name: as_numbers(chosen[name]) for name in plain}
    for name in (*(name for name in columns.words if name in chosen), *codes):
        read[name] = as_words(chosen[name]).astype("category")
    chosen = pd.DataFrame({name: read.get(name, chosen[name]) for name in chosen}, index=chosen.index)
    if not chosen.shape[1]:
        raise TaskError(
            f"a table has a column to learn from beside its target; {path.name} has {', '.join(frame.columns)}: "
            f"add one, or check what separates the columns."
        )

    def told(inputs: Inputs, some: pd.DataFrame, target: pd.Series, answer: Answer) -> Iterator[str]:
        yield from note_on_groups(columns.group)
        named = [text.column for text in inputs.texts]
        for name in sorted(codes):
            yield f"{name!r} is read as words: {some[name].dropna().iloc[0]!r} looks like a code, not an amount"
        is_random = not (columns.order or columns.group)
        yield from notes_on(some, target, answer, inputs.columns, texts=named, at_random=is_random)

    return Source(chosen, values, partial(_learn_table, reading, columns.texts, styles), told, cut, mark=mark)


def _looked_at(
    chosen: pd.DataFrame, columns: Columns, mark: str | None
) -> tuple[dict[str, Style], list[str], list[str]]:
    """How amounts are written in columns of strings, by name; columns that hold codes; those of plain numbers, which
    mean the same in any file and so are read here, once.

    Of the whole file: words between numbers are told with its counts, one number in many may have a comma.
    """
    styles: dict[str, Style] = {}
    codes: list[str] = []
    plain: list[str] = []
    for name in chosen.columns:
        if name in (*columns.texts, *columns.words):
            continue
        if not is_object_dtype(chosen[name]) and not is_string_dtype(chosen[name]):
            continue
        there = chosen[name].dropna()
        if not all_numbers(there):
            continue
        if are_codes(there) and SEEN * there.nunique() <= len(there):
            codes.append(name)
        elif style := written(there, mark):
            styles[str(name)] = style
        else:
            plain.append(name)
    return styles, codes, plain


def _learn_table(
    reading: Reading, named: tuple[str, ...], styles: Mapping[str, Style], some: pd.DataFrame
) -> Table | Text:
    names = [name for name in some.columns if isinstance(some[name].dtype, pd.CategoricalDtype)]
    texts = [name for name in some.columns if name in named or (name not in names and is_text(some[name]))]
    columns = in_bins(learn(some.drop(columns=texts), styles), some)
    read = tuple(_learn_text(name, reading, some) for name in texts)
    if len(read) == 1 and not columns:
        return read[0]
    if not columns and not read:
        raise TaskError(
            f"a table has a column that varies beside its target; of {', '.join(map(repr, some.columns[:5]))} none "
            f"does: add one."
        )
    return Table(columns, reading.missing, read, reading.header)


def _learn_text(name: str, reading: Reading, some: pd.DataFrame) -> Text:
    texts = as_words(some[name]).fillna("")
    words = vocabulary(texts)
    if not words:
        raise TaskError(
            f"texts share words; {name!r} has no word that three texts have: name another "
            f"--text, or add --drop {name!r}."
        )
    long = np.quantile([len(words_of(one)) for one in texts], 0.95)
    return Text(name, tuple(words), int(np.clip(long, *WORDS)), reading.missing, reading.header)
