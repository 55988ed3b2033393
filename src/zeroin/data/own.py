"""Making a task from the user's own data: a table, texts, a folder of images, or arrays."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from zeroin.data.answer import KINDS, Answer, answer_of
from zeroin.data.checks import note_on_repeats
from zeroin.data.files import read
from zeroin.data.names import ARRAYS, stem, suffix
from zeroin.data.preparation import Arrays, Images, Inputs, Preparation, Table
from zeroin.data.source import Source, of_arrays, of_images
from zeroin.data.split import OF, VALID, Cut, Rows
from zeroin.data.table import Columns, Reading, of_table
from zeroin.errors import TaskError
from zeroin.nn.metrics import FOR_CLASSES, FOR_NUMBERS
from zeroin.nn.spaces import cnn_space, gru_space, mlp_space, text_space
from zeroin.nn.task import Task
from zeroin.space import Space
from zeroin.store import fitting

RARE = 0.2  # the share of the rarest of two classes below which accuracy says little
RANKED = 2 * OF / len(VALID)  # of the rarest class: two to validate, as the area under a curve of one is luck
EPOCHS = (6, 30)  # of a full training, at least and at most


def task_of(
    path: str | Path,
    *,
    target: str | None = None,
    text: str | Sequence[str] = (),
    words: str | Sequence[str] = (),
    drop: Sequence[str] = (),
    kind: str | None = None,
    metric: str | None = None,
    missing: Sequence[str] = (),
    no_header: bool = False,
    order: str | None = None,
    group: str | None = None,
) -> Task:
    """Make a task from a file or folder; warnings say what looks wrong with the data.

    Args:
        path: a table (.csv, .tsv, .txt, .parquet, .pq), a folder of images with one folder a class, or an .npz file
            with X and y.
        target: the column to predict.
        text: columns that hold texts, beside those that look like it.
        words: columns whose numbers are names of things: postcodes, types, shops.
        drop: columns to leave out.
        kind: "classes" or "number"; None: by what the target holds.
        metric: what is tuned; None: r2 for a number, accuracy for classes, roc_auc or balanced_accuracy where a class
            is rare.
        missing: words that stand for a missing value.
        no_header: whether the first row of a CSV file is one of data; its columns are then `column 1`, `column 2`, ...
        order: the column of dates or numbers by which a table is cut: the earliest rows are to train on, the latest to
            test; None: at random.
        group: what examples belong to (a patient, a user, a store): those of one are all in the same set. Of a table
            a column, which is not learned from; of an .npz file an array; of images "folder": that in which an image
            lies within the folder of its class.

    Returns:
        The task: 70 % of the rows to train on, 15 % each to validate and to test; it keeps its preparation, so that
        `zeroin export --model` takes it along and `zeroin predict` needs nothing else.

    Raises:
        TaskError: data that cannot be learned from, told with the remedy.

    >>> task_of("houses.csv", target="price").metric  # doctest: +SKIP
    'r2'
    """
    path = Path(path)
    if kind is not None and kind not in KINDS:
        raise TaskError(f"--kind is one of {', '.join(KINDS)}; got {kind!r}: use --kind {KINDS[0]}.")
    if path.is_dir() or suffix(path) in ARRAYS:
        what = "a folder of images" if path.is_dir() else "an .npz file"
        asked = {"target": target, "text": text, "words": words, "drop": drop, "missing": missing, "order": order}
        _check_no_table(what, path, asked | {"no-header": no_header})
    if path.is_dir():
        if kind == "number":
            raise TaskError(f"the class of an image is the name of its folder; {path}: leave out --kind number.")
        source, kind = of_images(path, group), "classes"
    elif suffix(path) in ARRAYS:
        source = of_arrays(path, group)
    else:
        texts, named = ((one,) if isinstance(one, str) else tuple(one) for one in (text, words))
        reading = Reading(tuple(missing), not no_header)
        frame = read(path, missing, header=not no_header)
        source = of_table(path, frame, Columns(_named(target), texts, named, tuple(drop), order, group), reading)
    name = path.resolve().name if path.is_dir() else stem(path)
    return _task(fitting(name), source, kind, metric)


def _named(target: str | None) -> str:
    if target is None:
        raise TaskError("a table is tuned to predict one of its columns; none was named: add --target COLUMN.")
    return target


def _check_no_table(what: str, path: Path, options: Mapping[str, Any]) -> None:
    """Refuse options about the columns of a table if there is no table, because ignoring them would mislead."""
    given = [f"--{name}" for name, value in options.items() if value]
    if given:
        raise TaskError(f"{given[0]} is about the columns of a table; {str(path)!r} is {what}: leave it out.")


def _task(name: str, source: Source, kind: str | None, metric: str | None) -> Task:
    answer, usable, notes = answer_of(source.target, kind, source.instead, source.mark)
    examples, values = source.examples[usable.to_numpy()], source.target[usable]
    cut = source.cut(usable, answer, values)
    ready = Preparation(source.learn(_chosen(examples, cut.train)), answer.scaled(values.iloc[cut.train]))
    answer = ready.answer
    notes += source.notes(ready.inputs, examples, values, answer)
    metric = _metric(metric, answer, values)
    x, y = ready.inputs.encoded(examples), answer.encoded(values)
    notes += _repeats(ready.inputs, x)
    for note in (*notes, *_read(ready.inputs), *_absent(answer, values, cut), _summary(answer, cut, metric)):
        warnings.warn(note, stacklevel=3)
    return Task(
        build=ready.build,
        train=(x[cut.train], y[cut.train]),
        valid=(x[cut.valid], y[cut.valid]),
        test=(x[cut.test], y[cut.test]),
        loss="cross_entropy" if answer.classes else "mse",
        metric=metric,
        space=_space(ready, len(cut.train)),
        name=name,
        max_epochs=int(np.clip(round(1000 / math.sqrt(len(cut.train))), *EPOCHS)),
        normalise=not isinstance(ready.inputs, Table),  # its columns are scaled one by one
        preparation=ready.plain(),
    )


def _chosen(examples: Any, rows: Rows) -> Any:
    return examples.iloc[rows] if isinstance(examples, pd.DataFrame) else examples[rows]


def _metric(asked: str | None, answer: Answer, values: pd.Series) -> str:
    fitting: tuple[str, ...] = FOR_NUMBERS
    if answer.classes:
        fitting = FOR_CLASSES if len(answer.classes) == 2 else FOR_CLASSES[:2]
    if asked is not None:
        if asked not in fitting:
            what = f"{len(answer.classes)} classes" if answer.classes else "a number"
            raise TaskError(
                f"--metric suits what is predicted, {what} here; got {asked!r}: use --metric {fitting[0]}, or one of "
                f"{', '.join(fitting[1:])}."
            )
        return asked
    if not answer.classes:
        return "r2"
    counts: NDArray[Any] = np.bincount(answer.encoded(values), minlength=len(answer.classes))
    if counts.min() / counts.sum() >= RARE * 2 / len(answer.classes):
        return "accuracy"
    return "roc_auc" if len(answer.classes) == 2 and counts.min() >= RANKED else "balanced_accuracy"


def _read(inputs: Inputs) -> Iterator[str]:
    for text in inputs.texts:
        yield f"{text.column!r} is read as text: {len(text.words):,} words are known, {text.length} of one read at most"


def _repeats(inputs: Inputs, x: NDArray[Any]) -> Iterator[str]:
    """Images and arrays that are there several times; rows of a table are told of with its columns."""
    if isinstance(inputs, Images | Arrays):
        what = "image" if isinstance(inputs, Images) else "example"
        yield from note_on_repeats(len(x) - len({one.tobytes() for one in x}), len(x), what)


def _absent(answer: Answer, values: pd.Series, cut: Cut) -> Iterator[str]:
    """Notes on classes that are missing from a set."""
    for part, rows in zip(("training", "validation", "test"), cut, strict=True):
        there = set(answer.encoded(values.iloc[rows]))
        if gone := [repr(name) for i, name in enumerate(answer.classes) if i not in there]:
            yield f"the {part} set has no example of {answer.name!r} {', '.join(gone[:5])}{', ...' * (len(gone) > 5)}"


def _summary(answer: Answer, cut: Cut, metric: str) -> str:
    what = f"one of {len(answer.classes)} classes" if answer.classes else "a number"
    train, valid, test = map(len, cut)
    return (
        f"{answer.name!r} is predicted, {what}: {train:,} examples to train on, {valid:,} to validate and {test:,} to "
        f"test; {metric} is tuned"
    )


def _space(ready: Preparation, examples: int) -> Callable[[float], Space]:
    most = int(np.clip(2 ** math.floor(math.log2(examples / 8)), 16, 512))
    sizes = (max(8, most // 8), most)
    if ready.inputs.texts:
        return partial(text_space, batch_size=sizes, smoothing=bool(ready.answer.classes))
    axes = len(ready.inputs.shape) if isinstance(ready.inputs, Arrays) else 3 if isinstance(ready.inputs, Images) else 1
    return partial((mlp_space, gru_space, cnn_space)[axes - 1], batch_size=sizes)
