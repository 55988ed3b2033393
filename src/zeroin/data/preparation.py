"""The preparation of data for a network, and that network: learned once, and stored as plain data.

Each kind of data is a frozen dataclass with the same three methods: `opened` reads a file or folder, `encoded` turns
what was read into numbers, and `network` builds a network for these. Each says which `columns` and `texts` it reads.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from zeroin.data import images
from zeroin.data.amounts import Style
from zeroin.data.answer import Answer
from zeroin.data.arrays import arrays, as_inputs
from zeroin.data.columns import Column, check_there, numbers
from zeroin.data.files import read
from zeroin.data.kinds import as_words
from zeroin.data.vocabulary import numbered
from zeroin.errors import TaskError
from zeroin.nn.bins import Bins
from zeroin.nn.networks import mlp, small_cnn
from zeroin.nn.sequences import columns_and_texts, gru, text_cnn
from zeroin.types import Config


@dataclass(frozen=True, slots=True)
class Text:
    """A column of texts: its vocabulary, and how many words of a text are read."""

    column: str
    words: tuple[str, ...]
    length: int
    missing: tuple[str, ...] = ()
    header: bool = True
    columns: ClassVar[tuple[Column, ...]] = ()

    @property
    def texts(self) -> tuple["Text", ...]:
        """Itself alone."""
        return (self,)

    def opened(self, path: Path) -> pd.DataFrame:
        """The table in a file."""
        return read(path, self.missing, header=self.header)

    def encoded(self, source: pd.DataFrame) -> NDArray[Any]:
        """Numbers of words [N, length]."""
        check_there(source, [self.column])
        return numbered(list(as_words(source[self.column]).fillna("")), self.words, self.length)

    def network(self, outputs: int, config: Config) -> nn.Module:
        """[B, length] -> [B, outputs]."""
        return text_cnn(self.numbered, outputs, config)

    @property
    def numbered(self) -> int:
        """The size of the vocabulary, including the numbers for no word and for an unknown word."""
        return len(self.words) + 2


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns, those of texts, the words that stand for missing, and whether its file names columns."""

    columns: tuple[Column, ...]
    missing: tuple[str, ...] = ()
    texts: tuple[Text, ...] = ()
    header: bool = True

    def opened(self, path: Path) -> pd.DataFrame:
        """The table in a file."""
        return read(path, self.missing, header=self.header)

    def encoded(self, source: pd.DataFrame) -> NDArray[Any]:
        """Rows [N, F], and the numbers of the words of each text beside them."""
        check_there(source, [c.name for c in self.columns] + [t.column for t in self.texts])
        texts = [text.encoded(source).astype(np.float32) for text in self.texts]  # exact: numbers of words are small
        return np.concatenate([numbers(self.columns, source), *texts], 1)

    def network(self, outputs: int, config: Config) -> nn.Module:
        """[B, F + words that are read] -> [B, outputs]."""
        places = np.cumsum([0, *(c.width for c in self.columns)]).tolist()
        ends = {place: c.bins for place, c in zip(places, self.columns, strict=False) if c.bins}
        width = places[-1] + sum(len(known) - 1 for known in ends.values())
        if self.texts:
            net = columns_and_texts(width, [(t.numbered, t.length) for t in self.texts], outputs, config)
        else:
            net = mlp(width, outputs, config)
        return nn.Sequential(Bins(ends), net) if ends else net


@dataclass(frozen=True, slots=True)
class Images:
    """Images of one form; a side has `size` pixels."""

    channels: int
    size: int
    columns: ClassVar[tuple[Column, ...]] = ()
    texts: ClassVar[tuple[Text, ...]] = ()

    def opened(self, path: Path) -> pd.DataFrame:
        """The images of a folder and of the folders in it, or one image."""
        known = images.images_below(path)
        return pd.DataFrame({"file": [str(p.relative_to(path)) if p != path else p.name for p in known], "path": known})

    def encoded(self, source: pd.DataFrame) -> NDArray[Any]:
        """Pixels [N, channels, size, size]."""
        return images.pixels(list(source["path"]), self.channels, self.size)

    def network(self, outputs: int, config: Config) -> nn.Module:
        """[B, channels, size, size] -> [B, outputs]."""
        return small_cnn(self.channels, self.size, outputs, config)


@dataclass(frozen=True, slots=True)
class Arrays:
    """The array X of an .npz file: the shape of an example, as a network takes it."""

    shape: tuple[int, ...]
    columns: ClassVar[tuple[Column, ...]] = ()
    texts: ClassVar[tuple[Text, ...]] = ()

    def opened(self, path: Path) -> NDArray[Any]:
        """X as a network takes it."""
        return as_inputs(path, arrays(path, "X")[0])

    def encoded(self, source: NDArray[Any]) -> NDArray[Any]:
        """[N, *shape].

        Raises:
            TaskError: examples have another shape than in training.
        """
        if source.shape[1:] != self.shape:
            raise TaskError(
                f"examples have one shape; these have {list(source.shape[1:])}, in training {list(self.shape)}: "
                f"prepare X in the same way."
            )
        return source

    def network(self, outputs: int, config: Config) -> nn.Module:
        """[B, *shape] -> [B, outputs]: fully connected, a GRU over steps, or convolutions."""
        if len(self.shape) == 1:
            return mlp(self.shape[0], outputs, config)
        if len(self.shape) == 2:
            return gru(self.shape[1], outputs, config)
        return small_cnn(self.shape[0], self.shape[1], outputs, config)


Inputs: TypeAlias = Table | Text | Images | Arrays
KINDS: dict[str, type[Any]] = {"table": Table, "text": Text, "images": Images, "arrays": Arrays}


@dataclass(frozen=True, slots=True)
class Preparation:
    """Everything between a file and the network's input, and between its output and an answer."""

    inputs: Inputs
    answer: Answer

    def build(self, config: Config) -> nn.Module:
        """The network of a config."""
        return self.inputs.network(self.answer.outputs, config)

    def plain(self) -> dict[str, Any]:
        """As strings, numbers, lists and dicts, which JSON and `torch.load(weights_only=True)` can read."""
        kind = next(name for name, one in KINDS.items() if isinstance(self.inputs, one))
        return {"kind": kind, "inputs": _lists(asdict(self.inputs)), "answer": _lists(asdict(self.answer))}


def from_plain(plain: Mapping[str, Any]) -> Preparation:
    """What `Preparation.plain` wrote."""
    inputs = _tuples(plain["inputs"])
    if plain["kind"] == "table":
        inputs["columns"] = tuple(Column(**_tuples(c)) for c in inputs["columns"])
        inputs["texts"] = tuple(Text(**_tuples(t)) for t in inputs.get("texts", ()))
    return Preparation(KINDS[plain["kind"]](**inputs), Answer(**_tuples(plain["answer"])))


def _tuples(plain: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in plain.items()}
    return values | ({"style": Style(**plain["style"])} if "style" in plain else {})


def _lists(value: Any) -> Any:
    """Plain data as JSON would return it: lists for tuples, Python's numbers for NumPy's, and no None."""
    if isinstance(value, dict):
        return {name: _lists(v) for name, v in value.items() if v is not None}
    if isinstance(value, tuple | list):
        return [_lists(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value
