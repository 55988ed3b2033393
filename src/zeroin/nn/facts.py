"""Facts about a task by which the playbook judges how similar two tasks are: kind of data, network, size."""

import torch
from torch import nn

from zeroin.nn.data import Data, InMemory
from zeroin.types import Value

KINDS: tuple[tuple[type[nn.Module], str], ...] = (  # a network's kind is the first of these that it contains
    (nn.MultiheadAttention, "attention"),
    (nn.RNNBase, "recurrent"),
    (nn.modules.conv._ConvNd, "convolutional"),
    (nn.Embedding, "embedding"),
    (nn.Linear, "fully connected"),
)


def inputs_of(train: Data) -> str:
    """What an example is: "row" of a table, "image", "sequence" or "words" (whole numbers); empty if not known."""
    if not isinstance(train, InMemory):
        return ""
    if not torch.is_floating_point(train.x):
        return "words"
    return {2: "row", 3: "sequence", 4: "image"}.get(train.x.dim(), "")


def kind_of(model: nn.Module) -> str:
    """What a network is made of; empty if it contains none of the usual layers."""
    held = {type(module) for module in model.modules()}
    return next((word for kind, word in KINDS if any(issubclass(each, kind) for each in held)), "")


def facts(train: Data, model: nn.Module | None) -> dict[str, Value]:
    """The facts about a training set and a network."""
    known = {"inputs": inputs_of(train), "network": kind_of(model) if model is not None else ""}
    return {**{fact: word for fact, word in known.items() if word}, "examples": len(train)}
