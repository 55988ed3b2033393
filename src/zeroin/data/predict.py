"""Predicting new data with an exported model."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from zeroin.data.checks import note_on_endless, note_on_no_dates
from zeroin.data.columns import MOST, SEEN, Column, no_dates
from zeroin.data.kinds import as_words
from zeroin.data.preparation import Images, Preparation, Text, from_plain
from zeroin.data.vocabulary import LOOKED_AT, UNKNOWN
from zeroin.errors import TaskError
from zeroin.nn.data import Normalisation
from zeroin.nn.loop import EVALUATED, one_thread
from zeroin.nn.networks import network
from zeroin.wording import first_line, percent

STRANGE = 0.5  # the share of texts without a known word from which the user is told


def predictions(model: str | Path, data: str | Path) -> pd.DataFrame:
    """A table with a row for each example: the prediction, the probability of each class, and for images the file.

    Args:
        model: what `zeroin export --model` wrote of a study of a table, texts, images or arrays.
        data: a file or folder of the same form; the target need not be there.

    Raises:
        TaskError: no such model, or data that do not fit it.

    >>> predictions("best.pt", "new.csv")["prediction"]  # doctest: +SKIP
    """
    saved = _loaded(model)
    try:
        ready = from_plain(saved["preparation"])
        net = network(ready.build, saved["config"])
        net.load_state_dict(saved["state_dict"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise TaskError(
            f"a model holds weights and how data are prepared as this version of zeroin writes them; {str(model)!r}: "
            f"{type(error).__name__}: {first_line(error)}: export it again with `zeroin export STUDY --model best.pt`."
        ) from error
    source: Any = ready.inputs.opened(Path(data))
    notes = [note for column in ready.inputs.columns if column.name in source for note in _of_column(column, source)]
    notes += [note for text in ready.inputs.texts if text.column in source for note in _of_text(text, source)]
    for note in notes:  # on columns that are there: the others are refused
        warnings.warn(note, stacklevel=2)
    columns = ready.answer.decoded(_outputs(net.eval(), ready, saved, source).numpy())
    files = {"file": source["file"].to_numpy()} if isinstance(ready.inputs, Images) else {}
    return pd.DataFrame({**files, **columns})


def _of_column(column: Column, rows: pd.DataFrame) -> Iterator[str]:
    """Notes on values of new rows that did not occur in training, or lack there alone, and on how they are read."""
    name, values = column.name, rows[column.name]
    if not column.gaps and (gone := int(values.isna().sum())):
        how = "average" if column.kind == "category" else "median"
        yield (
            f"{gone:,} of {len(values):,} rows have no {name!r}, which all rows to train on had: they count as the "
            f"{how} of these"
        )
    if column.kind == "category" and len(column.options) < MOST:
        words = as_words(values).dropna()
        if len(new := words[~words.isin(column.options)]):
            how = "as the average of the known ones" if column.shares and not column.shares[-1] else "as one"
            yield (
                f"{len(new):,} of {len(values):,} rows have a {name!r} that fewer than {SEEN} rows to train on had, "
                f"such as {new.iloc[0]!r}: all such words count {how}"
            )
    yield from note_on_endless(column, values)
    if 0 < len(odd := no_dates(column, values)) < len(values):
        yield note_on_no_dates(name, odd, len(values))


def _of_text(text: Text, rows: pd.DataFrame) -> Iterator[str]:
    """A note on new texts in which hardly a word is known."""
    some = rows.iloc[:LOOKED_AT]
    strange = text.encoded(some).max(1) == UNKNOWN
    if strange.sum() > STRANGE * len(strange):
        share, one = percent(float(strange.mean())), str(some[text.column][strange].iloc[0])[:40]
        yield (
            f"{text.column!r} has no word known from training in {share} of the rows, such as {one!r}: check the "
            f"column and its language"
        )


def _loaded(model: str | Path) -> dict[str, Any]:
    try:
        with warnings.catch_warnings(action="ignore"):  # what it has to say of files that are none
            saved = torch.load(model, map_location="cpu", weights_only=True)
    except Exception as error:
        what = error.strerror if isinstance(error, OSError) else f"it is none ({type(error).__name__})"
        raise TaskError(
            f"a model is a file that `zeroin export STUDY --model best.pt` wrote; {str(model)!r}: {what}: "
            f"check the path."
        ) from error
    if not isinstance(saved, dict) or "preparation" not in saved:
        raise TaskError(
            f"predictions need a model of a table, texts, images or arrays of your own, which keeps how they are "
            f"prepared; {str(model)!r} has nothing of it: load it in Python, as `zeroin export` tells."
        )
    return saved


@torch.no_grad()
def _outputs(net: nn.Module, ready: Preparation, saved: dict[str, Any], source: Any) -> torch.Tensor:
    """The network's output [N, outputs]."""
    x = torch.from_numpy(ready.inputs.encoded(source))
    norm = Normalisation(saved["mean"], saved["scale"]) if "mean" in saved else None
    with one_thread():  # as in training: a second one costs small networks many times what it brings
        return torch.cat([net(norm.apply(some) if norm else some) for some in torch.split(x, EVALUATED)])
