"""What is predicted, a class or a number: encoding the target column, and decoding a network's output."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from zeroin.data.amounts import Style, longest
from zeroin.data.kinds import as_numbers, as_words, kind_of, written
from zeroin.errors import TaskError

FEW = 20  # at most so many different whole numbers are taken as classes
EACH = 10  # if there are on average so many examples of each
SEPARATORS, LISTS = ";|,", 0.3  # of labels in a cell; the share of classes with one that are lists of labels
ROWS = 20  # examples that are needed; fewer cannot be split into three sets

KINDS = ("classes", "number")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is predicted.

    Args:
        name: of the target column.
        classes: to choose from; empty if a number is predicted.
        mean, scale: of the number over the training rows; the network predicts (number - mean) / scale.
        style: in which the number is written; None: plainly.
    """

    name: str
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0
    style: Style | None = None

    @property
    def outputs(self) -> int:
        """How many outputs the network has."""
        return len(self.classes) or 1

    def encoded(self, values: pd.Series) -> NDArray[Any]:
        """Class numbers int64 [N]; or numbers float32 [N], normalised by the training rows' mean and deviation."""
        if self.classes:
            words = pd.Index(as_words(values), dtype=object)
            return np.asarray(pd.Index(self.classes, dtype=object).get_indexer(words))
        return np.asarray((self.numbers(values).to_numpy(float) - self.mean) / self.scale, np.float32)

    def numbers(self, values: pd.Series) -> pd.Series:
        """The numbers to predict, as a column writes them."""
        return as_numbers(values, self.style)

    def decoded(self, output: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Columns to write: `prediction`, and for classes the probability of each.

        Args:
            output: of the network [N, outputs].
        """
        if not self.classes:
            return {"prediction": output.reshape(-1).astype(float) * self.scale + self.mean}
        power = np.exp(output - output.max(1, keepdims=True))
        chance = power / power.sum(1, keepdims=True)
        columns = {f"p({name})": chance[:, i] for i, name in enumerate(self.classes)}
        return {"prediction": np.array(self.classes, dtype=object)[output.argmax(1)], **columns}

    def scaled(self, values: pd.Series) -> "Answer":
        """The same with the mean and scale of a number taken from the training rows."""
        if self.classes:
            return self
        real = self.numbers(values).to_numpy(float)
        return replace(self, mean=float(real.mean()), scale=float(real.std()) or 1.0)


def answer_of(
    values: pd.Series, kind: str | None, instead: str = "choose another column", mark: str | None = None
) -> tuple[Answer, pd.Series, list[str]]:
    """What to predict for a target column.

    Args:
        values: the target of each example.
        kind: "classes" or "number"; None: it is inferred from the column.
        instead: a remedy for errors, if nothing can be learned from the target.
        mark: the decimal mark of the file.

    Returns:
        The answer; for each row, whether it can be used; notes for the user.

    Raises:
        TaskError: nothing can be learned from the target.
    """
    name, notes = str(values.name), []
    usable = values.notna()
    if not usable.any():
        raise TaskError(f"a target has values; all {len(values):,} of {name!r} are missing: {instead}.")
    if gone := int((~usable).sum()):
        notes.append(f"{gone:,} of {len(values):,} rows have no {name!r} and are left out")
    found, told = _kind(values[usable], kind, mark)
    notes += told
    if found == "number":
        answer, usable, told = _number(values, usable, instead, mark)
    else:
        answer, usable, told = _choice(values, usable, instead)
    notes += told
    if int(usable.sum()) < ROWS:
        raise TaskError(
            f"tuning needs {ROWS} examples or more, to train, validate and test; there are {int(usable.sum())} "
            f"with {name!r}: add examples."
        )
    return answer, usable, notes


def _number(
    values: pd.Series, usable: pd.Series, instead: str, mark: str | None
) -> tuple[Answer, pd.Series, list[str]]:
    name, notes, there = str(values.name), [], values[usable]
    answer = Answer(name, style=written(there, mark))
    real = answer.numbers(there)
    if answer.style and (shown := longest(there, answer.style)):
        word, number = shown
        notes.append(
            f"{name!r} is read as numbers, such as {word!r} as {number}; if it names classes, add --kind classes"
        )
    if real.nunique() < 2:
        raise TaskError(f"a target varies; {name!r} is {real.iloc[0]:g} in every row: {instead}.")
    if gone := int(real.isna().sum()):
        notes.append(f"{gone:,} of {len(values):,} rows have a {name!r} that is not finite and are left out")
    return answer, usable & answer.numbers(values).notna(), notes


def _choice(values: pd.Series, usable: pd.Series, instead: str) -> tuple[Answer, pd.Series, list[str]]:
    name, words = str(values.name), as_words(values)
    counts = words[usable].value_counts()
    notes = _alike(name, counts.index) + _lists(name, counts.index)
    single = counts[counts < 2].index
    if len(single):
        what = f"{len(single):,} of {len(counts):,} classes of {name!r}"
        notes.append(f"{what} ha{'s' if len(single) == 1 else 've'} one example, left out: {_few(single)}")
    several = counts.index[counts > 1]
    if len(several) < 2:
        what = "has one class" if len(counts) < 2 else f"has {len(counts):,} classes, {len(several)} of them with two"
        if gone := int((~usable).sum()):
            what += f", and {gone:,} of {len(values):,} rows are empty or hold a word for missing, as None is"
        raise TaskError(
            f"a target has at least two classes with at least two examples each; {name!r} {what}: {instead}."
        )
    answer = Answer(name, tuple(sorted(several, key=_order)))
    return answer, usable & ~words.isin(single), notes


def _kind(there: pd.Series, asked: str | None, mark: str | None) -> tuple[str, list[str]]:
    if asked == "classes":
        return asked, []
    held = kind_of(there, "take all as classes with --kind classes --target")
    if asked == "number" and held != "number":
        raise TaskError(
            f"a number is predicted from numbers; {there.name!r} holds {str(there.iloc[0])[:40]!r}: use --kind classes."
        )
    if asked:
        return asked, []
    if held == "date":
        raise TaskError(
            f"a target is a number or one of some classes; {there.name!r} holds dates such as "
            f"{str(there.iloc[0])[:20]!r}: choose another column, or add one of numbers."
        )
    if held == "category":
        return "classes", []
    real = as_numbers(there, written(there, mark))
    different = real.nunique()
    if bool((real == real.round()).all()) and different <= min(FEW, max(2, len(real) / EACH)):
        return "classes", [
            f"{there.name!r} holds {different} different whole numbers, taken as classes; if it counts or measures, "
            "add --kind number"
        ]
    return "number", []


def _alike(name: str, words: pd.Index) -> list[str]:
    """A note on classes that differ only in capital letters."""
    first: dict[str, str] = {}
    for word in words:
        if (known := first.setdefault(word.lower(), word)) != word:
            return [f"{known!r} and {word!r} of {name!r} are two classes; if they are one, write them alike"]
    return []


def _lists(name: str, words: pd.Index) -> list[str]:
    """What to tell of classes that are combinations of fewer labels.

    >>> _lists("y", pd.Index(["a;b", "a", "b", "a; b;c", "c;a"]))[0][:51]
    "'y' looks like several labels in a cell, such as 'a"
    >>> _lists("y", pd.Index(["Doe, Ann", "Roe, Bob", "Poe, Eve"]))
    []
    """
    for separator in SEPARATORS:
        several = [word for word in words if separator in word]
        labels_ = {label.strip() for word in words for label in word.split(separator)}
        if len(several) > LISTS * len(words) and len(labels_) < len(words):
            return [
                f"{name!r} looks like several labels in a cell, such as {max(several, key=len)!r}: each combination is "
                f"a class of its own; to predict the labels, make a column of yes and no of each, and tune one by one"
            ]
    return []


def _order(label: str) -> tuple[int, float, str]:
    """Numbers before words, in the order of numbers."""
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label


def _few(names: pd.Index) -> str:
    return ", ".join(repr(str(n)) for n in names[:3]) + (", ..." if len(names) > 3 else "")
