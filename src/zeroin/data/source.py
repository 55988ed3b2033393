"""The source of a task: examples and targets, wherever they came from; and sources of images and of arrays."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from zeroin.data import images
from zeroin.data.answer import Answer
from zeroin.data.arrays import arrays, as_inputs
from zeroin.data.cuts import Cutting, at_random, grouped
from zeroin.data.preparation import Arrays, Images, Inputs
from zeroin.errors import TaskError

FOLDER = "folder"  # what images are grouped by


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What was read: examples, the target of each, and functions that learn the preparation and make notes."""

    examples: Any  # a DataFrame, or an array
    target: pd.Series
    learn: Callable[[Any], Inputs]
    notes: Callable[[Inputs, Any, pd.Series, Answer], Iterable[str]]
    cut: Cutting = at_random
    instead: str = "choose another column"  # a remedy for errors, if nothing can be learned from the target
    mark: str | None = None  # the decimal mark of the file


def of_images(path: Path, group: str | None) -> Source:
    """The source of a folder of images, with a folder for each class.

    Raises:
        TaskError: there are no such images, or they are grouped by something else than their folder.
    """
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
        lambda *_: (*note_on_groups(group), *images.left_out(path, inner=bool(group))),
        grouped(inner) if group else at_random,
        instead="add images, in a folder for each class",
    )


def of_arrays(path: Path, group: str | None) -> Source:
    """The source of an .npz file with arrays X and y.

    Raises:
        TaskError: an array is missing, has another form, or all examples are equal.
    """
    x, y = arrays(path, "X", "y")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or x.shape[:1] != y.shape or y.dtype.kind not in "fiubUS":
        raise TaskError(
            f"y holds a class or a number for each example of X; {path.name} has X {list(x.shape)} and y "
            f"{list(y.shape)} of {y.dtype}: give one for each{', such as y.argmax(1)' * (y.ndim == 2)}."
        )
    examples = as_inputs(path, x)
    if (x == x[:1]).all():
        raise TaskError(f"examples differ from one another; all {len(x):,} of X in {path.name} are equal: give others.")
    target = pd.Series(y.astype(str) if y.dtype.kind in "US" else y, name="y")
    cut = grouped(_groups_of(path, group, len(y))) if group else at_random
    return Source(
        examples,
        target,
        lambda some: Arrays(some.shape[1:]),
        lambda *_: note_on_groups(group),
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


def note_on_groups(group: str | None) -> Iterator[str]:
    """A note on examples that are kept together."""
    if group:
        yield f"examples of one {group!r} are in the same set, and it is not learned from"
