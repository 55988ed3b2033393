"""A task made of data of one's own: a table, texts, a folder of images, or arrays."""

import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_object_dtype, is_string_dtype

from zeroin.data import images
from zeroin.data.amounts import Style, are_codes
from zeroin.data.answer import KINDS, Answer, answer_of
from zeroin.data.arrays import arrays, as_inputs
from zeroin.data.checks import notes_on
from zeroin.data.columns import SEEN, all_numbers, as_words, learn, written
from zeroin.data.cuts import Cutting, by_chance, cutting, grouped
from zeroin.data.files import column_of, read
from zeroin.data.names import ARRAYS, stem, suffix
from zeroin.data.preparation import Arrays, Images, Inputs, Preparation, Table, Text
from zeroin.data.split import Cut, Rows
from zeroin.data.words import is_text, vocabulary, words_of
from zeroin.errors import TaskError
from zeroin.nn.spaces import cnn_space, gru_space, mlp_space, text_space
from zeroin.nn.task import Task
from zeroin.space import Space

FOR_CLASSES, FOR_NUMBERS = ("accuracy", "balanced_accuracy", "roc_auc"), ("r2", "mae", "mse", "rmse")
RARE = 0.2  # the share of the rarest of two classes below which accuracy says little
FOLDER = "folder"  # what images are grouped by
WORDS = (8, 200)  # of a text that are read, at least and at most
EPOCHS = (6, 30)  # of a full training, at least and at most


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What was read: examples that can be chosen from, the target of each, and what learns from chosen ones."""

    examples: Any  # a DataFrame, or an array
    target: pd.Series
    learn: Callable[[Any], Inputs]
    notes: Callable[[Inputs, Any, pd.Series, Answer], Iterable[str]]
    cut: Cutting = by_chance
    instead: str = "choose another column"  # of a target that nothing can be learned from


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
    """A task from a file or folder; what looks wrong with the data is warned of.

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
            test; None: by chance.
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
        _no_table(what, path, asked | {"no-header": no_header})
    if path.is_dir():
        if kind == "number":
            raise TaskError(
                f"images are told apart by class, the name of their folder; {path}: leave out --kind number."
            )
        source, kind = _images(path, group), "classes"
    elif suffix(path) in ARRAYS:
        source = _arrays(path, group)
    else:
        texts, named = ((one,) if isinstance(one, str) else tuple(one) for one in (text, words))
        frame = read(path, missing, header=not no_header)
        reading = partial(_learn_table, tuple(missing), not no_header, texts)
        source = _table(path, frame, _named(target), texts, named, drop, order, group, reading)
    name = path.resolve().name if path.is_dir() else stem(path)
    return _task(re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip("._-")[:100] or "data", source, kind, metric)


def _named(target: str | None) -> str:
    if target is None:
        raise TaskError("a table is tuned to predict one of its columns; none was named: add --target COLUMN.")
    return target


def _no_table(what: str, path: Path, options: Mapping[str, Any]) -> None:
    """Refuse options about the columns of a table where there are none: ignored, they would seem to hold."""
    given = [f"--{name}" for name, value in options.items() if value]
    if given:
        raise TaskError(f"{given[0]} is about the columns of a table; {str(path)!r} is {what}: leave it out.")


def _images(path: Path, group: str | None) -> Source:
    if group and group != FOLDER:
        raise TaskError(
            f"images belong to the folder that they lie in within that of their class, as {path / 'cats/tom/1.png'} to "
            f"'tom'; --group {group!r} names nothing else: use --group {FOLDER}."
        )
    paths, classes = images.labelled(path, inner=bool(group))
    inner = pd.Series([one.parent.name for one in paths], name=FOLDER, dtype=object)
    return Source(
        pd.DataFrame({"path": paths}),
        classes,
        lambda some: Images(*images.form_of(list(some["path"]))),
        lambda *_: (*_grouped(group), *images.left_out(path, inner=bool(group))),
        grouped(inner) if group else by_chance,
        instead="add images, in a folder for each class",
    )


def _grouped(group: str | None) -> Iterator[str]:
    if group:
        yield f"examples of one {group!r} are in the same set, and it is not learned from"


def _arrays(path: Path, group: str | None) -> Source:
    x, y = arrays(path, "X", "y")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or len(x) != len(y) or y.dtype.kind not in "fiubUS":
        raise TaskError(
            f"y holds a class or a number for each example of X; {path.name} has X {list(x.shape)} and y "
            f"{list(y.shape)} of {y.dtype}: give one for each{', such as y.argmax(1)' * (y.ndim == 2)}."
        )
    examples = as_inputs(path, x)
    if (x == x[:1]).all():
        raise TaskError(f"examples differ from one another; all {len(x):,} of X in {path.name} are equal: give others.")
    target = pd.Series(y.astype(str) if y.dtype.kind in "US" else y, name="y")
    cut = grouped(_groups_of(path, group, len(y))) if group else by_chance
    return Source(
        examples,
        target,
        lambda some: Arrays(some.shape[1:]),
        lambda *_: _grouped(group),
        cut,
        instead="give another y",
    )


def _groups_of(path: Path, name: str, count: int) -> pd.Series:
    (of,) = arrays(path, name, option="--group")
    if of.shape not in ((count,), (count, 1)):
        raise TaskError(
            f"--group names an array of what each example belongs to; {name!r} in {path.name} is {list(of.shape)} for "
            f"{count:,} examples: give one for each."
        )
    return pd.Series(of.reshape(-1), name=name)


def _table(
    path: Path,
    frame: pd.DataFrame,
    target: str,
    texts: Sequence[str],
    words: Sequence[str],
    drop: Sequence[str],
    order: str | None,
    group: str | None,
    learned: Callable[[Mapping[str, Style], pd.DataFrame], Table | Text],
) -> Source:
    for name in drop:
        if column_of(frame, name, "--drop") == target:
            raise TaskError(
                f"a column is predicted or left out; {target!r} is in both --target and --drop: drop others."
            )
    values = frame[column_of(frame, target, "--target")]
    cut = cutting(frame, target, order, group)
    for option, named, others in (("--text", texts, words), ("--words", words, ())):
        for name in named:
            if column_of(frame, name, option) == target:
                raise TaskError(f"{option} and --target are two columns; both are {name!r}: name another {option}.")
            if name in drop:
                raise TaskError(
                    f"a column is read or left out; {name!r} is in both {option} and --drop: leave out one."
                )
            if name in others:
                raise TaskError(f"a column is read as text or as words; {name!r} is in both: leave out one.")
    chosen = frame.drop(columns=[*drop, target, *([group] if group and group not in drop else [])])
    styles, codes = {}, [name for name in words if name in chosen]
    for name in chosen.columns:
        if name not in (*texts, *words) and (is_object_dtype(chosen[name]) or is_string_dtype(chosen[name])):
            there = chosen[name].dropna()
            # Of the whole file: words between numbers are told with its counts, one number in many may have a comma.
            if all_numbers(there) and (style := written(there)):
                if are_codes(there) and SEEN * there.nunique() <= len(there):
                    codes.append(name)
                else:
                    styles[str(name)] = style
    chosen = chosen.assign(**{name: as_words(chosen[name]).astype("category") for name in codes})
    if not chosen.shape[1]:
        raise TaskError(
            f"a table has a column to learn from beside its target; {path.name} has {', '.join(frame.columns)}: "
            f"add one, or check what separates the columns."
        )

    def told(inputs: Inputs, some: pd.DataFrame, target: pd.Series, answer: Answer) -> Iterator[str]:
        yield from _grouped(group)
        columns, read = (inputs.columns, inputs.texts) if isinstance(inputs, Table) else ((), (inputs,))
        named = [one.column for one in read if isinstance(one, Text)]
        for name in sorted(set(codes) - set(words)):
            yield f"{name!r} is read as words: {some[name].dropna().iloc[0]!r} looks like a code, not an amount"
        yield from notes_on(some, target, answer, columns, texts=named, by_chance=not (order or group))

    return Source(chosen, values, partial(learned, styles), told, cut)


def _learn_table(
    missing: tuple[str, ...], header: bool, named: tuple[str, ...], styles: Mapping[str, Style], some: pd.DataFrame
) -> Table | Text:
    names = [name for name in some.columns if isinstance(some[name].dtype, pd.CategoricalDtype)]
    texts = [name for name in some.columns if name in named or (name not in names and is_text(some[name]))]
    columns = learn(some.drop(columns=texts), styles)
    read = tuple(_learn_text(name, missing, header, some) for name in texts)
    if len(read) == 1 and not columns:
        return read[0]
    if not columns and not read:
        raise TaskError(
            f"a table has a column that varies beside its target; of {', '.join(map(repr, some.columns[:5]))} none "
            f"does: add one."
        )
    return Table(columns, missing, read, header)


def _learn_text(name: str, missing: tuple[str, ...], header: bool, some: pd.DataFrame) -> Text:
    texts = as_words(some[name]).fillna("")
    words = vocabulary(texts)
    if not words:
        raise TaskError(
            f"texts share words; {name!r} has no word that three texts have: name another "
            f"--text, or add --drop {name!r}."
        )
    long = np.quantile([len(words_of(one)) for one in texts], 0.95)
    return Text(name, tuple(words), int(np.clip(long, *WORDS)), missing, header)


def _task(name: str, source: Source, kind: str | None, metric: str | None) -> Task:
    answer, usable, notes = answer_of(source.target, kind, source.instead)
    examples, values = source.examples[usable.to_numpy()], source.target[usable]
    cut = source.cut(usable, answer, values)
    ready = Preparation(source.learn(_chosen(examples, cut.train)), answer.scaled(values.iloc[cut.train]))
    answer = ready.answer
    notes += source.notes(ready.inputs, examples, values, answer)
    metric = _metric(metric, answer, values)
    x, y = ready.inputs.encoded(examples), answer.encoded(values)
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
    fitting = FOR_CLASSES if answer.classes else FOR_NUMBERS
    if asked is not None:
        if asked not in fitting or (asked == "roc_auc" and len(answer.classes) != 2):
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
    return "roc_auc" if len(answer.classes) == 2 and counts.min() >= 2 * 20 / 3 else "balanced_accuracy"


def _read(inputs: Inputs) -> Iterator[str]:
    texts = (inputs,) if isinstance(inputs, Text) else inputs.texts if isinstance(inputs, Table) else ()
    for text in texts:
        yield f"{text.column!r} is read as text: {len(text.words):,} words are known, {text.length} of one read at most"


def _absent(answer: Answer, values: pd.Series, cut: Cut) -> Iterator[str]:
    """Classes that a set has no example of."""
    for to, rows in zip(("train on", "validate", "test"), cut, strict=True):
        there = set(answer.encoded(values.iloc[rows]))
        if gone := [repr(name) for i, name in enumerate(answer.classes) if i not in there]:
            yield f"no example to {to} is of {answer.name!r} {', '.join(gone[:5])}{', ...' * (len(gone) > 5)}"


def _summary(answer: Answer, cut: Cut, metric: str) -> str:
    what = f"one of {len(answer.classes)} classes" if answer.classes else "a number"
    train, valid, test = map(len, cut)
    return (
        f"{answer.name!r} is predicted, {what}, from {train:,} examples to train on, {valid:,} to validate and "
        f"{test:,} to test; {metric} is tuned"
    )


def _space(ready: Preparation, examples: int) -> Callable[[float], Space]:
    most = int(np.clip(2 ** math.floor(math.log2(examples / 8)), 16, 512))
    sizes = (max(8, most // 8), most)
    if isinstance(ready.inputs, Text) or (isinstance(ready.inputs, Table) and ready.inputs.texts):
        return partial(text_space, batch_size=sizes, smoothing=bool(ready.answer.classes))
    axes = 3 if isinstance(ready.inputs, Images) else 1 if isinstance(ready.inputs, Table) else len(ready.inputs.shape)
    return partial((mlp_space, gru_space, cnn_space)[axes - 1], batch_size=sizes)
