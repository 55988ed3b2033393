"""PyTorch's optimizers for one network, in their functional form.

The classes of `torch.optim` import PyTorch's compiler when the first of them is created. That takes a second, which is
longer than many small networks train. The kernels, the results and the `state_dict` here are the same as theirs.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.nadam import nadam
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from zeroin.nn.recipe import Recipe, decayed, rule

# What PyTorch calls the tensors of each rule's state that are of a parameter's shape.
NAMES = {
    "sgd": ("momentum_buffer",),
    "nesterov": ("momentum_buffer",),
    "rmsprop": ("square_avg", "momentum_buffer"),
    "adam": ("exp_avg", "exp_avg_sq"),
    "adamw": ("exp_avg", "exp_avg_sq"),
    "nadam": ("exp_avg", "exp_avg_sq"),
}


def names(how: Recipe) -> tuple[str, ...]:
    """The names of the tensors that PyTorch keeps for each parameter; without momentum there is no momentum buffer."""
    found = NAMES[rule(how)]
    return found if how.momentum > 0 or "momentum_buffer" not in found else found[:-1]


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """The optimizer's state of some parameters; `fuses`: PyTorch's fused kernels can update them."""

    tensors: dict[str, list[Tensor]]  # by name, one for each parameter
    fuses: bool


class Optimizer:
    """Updates a network's parameters; the part of a `torch.optim.Optimizer` that the training loop needs.

    Args:
        model: the network. Weight decay applies to matrices and kernels, not to γ, β and biases.
        how: the recipe.
    """

    def __init__(self, model: nn.Module, how: Recipe) -> None:
        self.how = how
        shrunk = decayed(model)
        trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        groups = ([p for n, p in trained if n in shrunk], [p for n, p in trained if n not in shrunk])
        decays = (how.weight_decay, 0.0)
        self.param_groups: list[dict[str, Any]] = [
            {"params": params, "lr": how.lr, "weight_decay": decay}
            for params, decay in zip(groups, decays, strict=True)
            if params
        ]
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        self._known: dict[tuple[int, ...], _State] = {}

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One update with this learning rate; parameters without a gradient stay."""
        for group in self.param_groups:
            group["lr"] = lr
        for params, decay in self._parts:
            pairs = [(p, g) for p in params if (g := p.grad) is not None]
            if pairs:
                given, grads = map(list, zip(*pairs, strict=True))
                self._update(given, grads, self._state_of(given), lr, decay)

    @property
    def _parts(self) -> list[tuple[list[Tensor], float]]:
        """The parameters, grouped by weight decay."""
        if not self.how.weight_decay:
            return [([p for group in self.param_groups for p in group["params"]], 0.0)]
        return [(group["params"], group["weight_decay"]) for group in self.param_groups]

    def _state_of(self, params: list[Tensor]) -> _State:
        """Their state; the lists are cached, because nearly all steps update the same parameters."""
        key = tuple(map(id, params))
        if key not in self._known:
            for p in params:
                if p not in self.state:
                    self.state[p] = self._fresh(p)
            self._known[key] = _State(
                {name: [self.state[p][name] for p in params] for name in self.state[params[0]]},
                # Of complex numbers the fused kernels know nothing.
                all(p.is_floating_point() for p in params) and len({(p.device, p.dtype) for p in params}) == 1,
            )
        return self._known[key]

    def state_dict(self) -> dict[str, Any]:
        """The same as that of the class in `torch.optim`."""
        params = [p for group in self.param_groups for p in group["params"]]
        place = {p: i for i, p in enumerate(params)}
        groups = [{**group, "params": [place[p] for p in group["params"]]} for group in self.param_groups]
        return {"state": {place[p]: dict(held) for p, held in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        params = [p for group in self.param_groups for p in group["params"]]
        self._known.clear()
        for i, held in saved["state"].items():
            fresh = self._fresh(params[i])  # laid out as its parameter is, and where it is
            self.state[params[i]] = {name: tensor.copy_(held[name]) for name, tensor in fresh.items()}

    def _fresh(self, p: Tensor) -> dict[str, Tensor]:
        held = {name: torch.zeros_like(p, memory_format=torch.preserve_format) for name in names(self.how)}
        if rule(self.how) not in ("sgd", "nesterov"):
            held["step"] = torch.zeros((), device=p.device if rule(self.how) in ("adam", "adamw") else None)
        if rule(self.how) == "nadam":
            held["mu_product"] = torch.ones(())
        return held

    def _update(self, params: list[Tensor], grads: list[Tensor], state: _State, lr: float, decay: float) -> None:
        how, kind = self.how, rule(self.how)
        first, second = [*(state.tensors[name] for name in names(how)), [], []][:2]
        usual: dict[str, Any] = {"lr": lr, "weight_decay": decay, "maximize": False}
        if kind in ("sgd", "nesterov"):
            usual |= {"momentum": how.momentum, "dampening": 0.0, "nesterov": kind == "nesterov" and how.momentum > 0}
            if state.fuses:
                torch._fused_sgd_(params, grads, first, is_first_step=False, **usual)
                return
            speeds: list[Tensor | None] = [*first] or [None] * len(params)
            sgd(params, grads, speeds, foreach=True, **usual)
            return
        steps = state.tensors["step"]
        usual |= {"eps": how.eps}
        if kind == "rmsprop":
            usual |= {"alpha": how.beta2, "momentum": how.momentum, "centered": False, "has_complex": not state.fuses}
            rmsprop(params, grads, first, [], second, steps, foreach=True, **usual)
            return
        usual |= {"beta1": how.beta1, "beta2": how.beta2}
        if kind == "nadam":
            products = state.tensors["mu_product"]
            usual |= {"momentum_decay": 0.004, "has_complex": not state.fuses}
            nadam(params, grads, first, second, products, steps, foreach=True, **usual)
        elif state.fuses:  # the functions around these kernels take longer than they do themselves
            torch._foreach_add_(steps, 1)
            update = torch._fused_adamw_ if kind == "adamw" else torch._fused_adam_
            update(params, grads, first, second, [], steps, amsgrad=False, **usual)
        else:
            slowly = adamw if kind == "adamw" else adam
            slowly(params, grads, first, second, [], steps, foreach=True, has_complex=True, amsgrad=False, **usual)
