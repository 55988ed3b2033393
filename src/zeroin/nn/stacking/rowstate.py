"""Converting a row's optimizer state to that of the training loop and back, so that a trial can continue in either."""

from typing import Any

import torch
from torch import Tensor

from zeroin.nn.optimizer import Optimizer, names
from zeroin.nn.recipe import Recipe, rule
from zeroin.nn.stacking.stack import Stack
from zeroin.nn.stacking.updates import mu_product


def optimizer_state(stack: Stack, row: int, steps: int) -> dict[str, Any]:
    """The `state_dict` that PyTorch's optimizer would have for a row after `steps` steps."""
    how, shapes = stack.rows[row].how, stack.layout.shapes
    parts = [torch.split(s[row], [shape.numel() for shape in shapes.values()]) for s in stack.state]
    state: dict[int, dict[str, Any]] = {}
    for i, shape in enumerate(shapes.values()):
        held = {name: part[i].view(shape).clone() for name, part in zip(names(how), parts, strict=False)}
        state[i] = held | _counts(how, steps)
    return {"state": state, "param_groups": Optimizer(stack.layout.base, how).state_dict()["param_groups"]}


def set_optimizer_state(stack: Stack, row: int, saved: dict[str, Any]) -> None:
    """Load the `state_dict` of PyTorch's optimizer into a row."""
    kept = saved["state"]
    for held, name in zip(stack.state, names(stack.rows[row].how), strict=False):
        parts: list[Tensor | None] = [kept.get(i, {}).get(name) for i in range(len(stack.layout.shapes))]
        if all(part is not None for part in parts):
            held[row] = torch.cat([part.reshape(-1) for part in parts if part is not None])


def _counts(how: Recipe, steps: int) -> dict[str, Tensor]:
    if rule(how) in ("sgd", "nesterov"):
        return {}
    counts = {"step": torch.tensor(float(steps))}
    if rule(how) == "nadam":
        counts["mu_product"] = torch.tensor(mu_product(how, steps))
    return counts
