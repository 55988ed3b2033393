"""The optimizers for M networks at once: in-place operations on [M, P] with hyperparameters [M, 1].

All numbers that depend on the step are computed in Python, in double precision, before the epoch. A power or a cosine
of a short tensor would be rounded differently at its end, and a network's result would depend on its position.

For Adam with many parameters, PyTorch's fused kernel is called row by row: its single pass over the data takes less
than half the time of the seven operations here, of which MKL's square root of v is the slowest.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from zeroin.nn.recipe import Recipe, rule

Scalars: TypeAlias = Mapping[str, Tensor]  # [M, 1] each
Update: TypeAlias = Callable[[Tensor, Tensor, Sequence[Tensor], Scalars], None]

WIDE = 20_000  # parameters; with fewer, calling the fused kernel takes longer than the kernel itself


def scalars(how: Recipe, first: int, steps: int, total: int) -> dict[str, list[float]]:
    """The numbers that the updates need in each of `steps` steps from `first` on, of `total` in the training."""
    lrs = [how.lr_at(step, total) for step in range(first, first + steps)]
    found = {"lr": lrs, "down": [-lr for lr in lrs], "count": [float(t) for t in range(first + 1, first + steps + 1)]}
    constant = {"momentum": how.momentum, "eps": how.eps, "wd": how.weight_decay, "clip": how.grad_clip}
    constant |= {"rest1": 1 - how.beta1, "rest2": 1 - how.beta2}
    found |= {name: [value] * steps for name, value in constant.items()}
    found["shrink"] = [1 - lr * how.weight_decay for lr in lrs]
    if how.optimizer in ("adam", "adamw", "nadam"):
        found |= _corrected(how, first, lrs)
    return found


def _corrected(how: Recipe, first: int, lrs: list[float]) -> dict[str, list[float]]:
    """The bias corrections as scalars: -lr m̂ / (√v̂ + ε) is computed as step · m / (√v + eps_hat)."""
    out: dict[str, list[float]] = {"eps_hat": [], "step": []}
    if how.optimizer == "nadam":
        out["step_g"] = []
    product = mu_product(how, first if how.optimizer == "nadam" else 0)
    for t, lr in enumerate(lrs, start=first + 1):
        root = (1 - how.beta2**t) ** 0.5
        out["eps_hat"].append(how.eps * root)
        if how.optimizer == "nadam":  # Dozat 2016, as in torch.optim.NAdam
            product *= _mu(how, t)
            out["step_g"].append(lr * root * (1 - _mu(how, t)) / (1 - product))
            out["step"].append(lr * root * _mu(how, t + 1) / (1 - product * _mu(how, t + 1)))
        else:
            out["step"].append(-lr * root / (1 - how.beta1**t))
    return out


def mu_product(how: Recipe, steps: int) -> float:
    """NAdam's product of the momenta of its first `steps` steps; 1 for none."""
    return math.prod(_mu(how, t) for t in range(1, steps + 1))


def _mu(how: Recipe, t: int) -> float:
    return float(how.beta1 * (1 - 0.5 * 0.96 ** (t * 0.004)))


def clip(g: Tensor, largest: Tensor) -> None:
    """Clip the norm of each gradient [M, P] to at most `largest` [M, 1]; 0: no limit."""
    share = (largest / (torch.linalg.vector_norm(g, dim=1, keepdim=True) + 1e-6)).clamp_max(1.0)
    g.mul_(torch.where(largest > 0, share, 1.0))


def sgd(p: Tensor, g: Tensor, state: Sequence[Tensor], now: Scalars) -> None:
    """SGD with momentum (heavy ball); with momentum 0, plain SGD."""
    (speed,) = state
    speed.mul_(now["momentum"]).add_(g)
    p.addcmul_(speed, now["down"])


def nesterov(p: Tensor, g: Tensor, state: Sequence[Tensor], now: Scalars) -> None:
    """Nesterov's, in the form of Sutskever et al. 2013 that PyTorch has."""
    (speed,) = state
    speed.mul_(now["momentum"]).add_(g)
    p.addcmul_(g.addcmul_(speed, now["momentum"]), now["down"])


def rmsprop(p: Tensor, g: Tensor, state: Sequence[Tensor], now: Scalars) -> None:
    """Hinton 2012, with momentum as in torch.optim.RMSprop."""
    v, speed = state
    v.lerp_(g * g, now["rest2"])
    speed.mul_(now["momentum"]).add_(g.div_(v.sqrt().add_(now["eps"])))
    p.addcmul_(speed, now["down"])


def adam(p: Tensor, g: Tensor, state: Sequence[Tensor], now: Scalars) -> None:
    """Kingma & Ba 2015; AdamW differs in how weights decay, before this."""
    m, v = state
    m.lerp_(g, now["rest1"])
    v.lerp_(g.mul_(g), now["rest2"])
    torch.sqrt(v, out=g)
    p.addcmul_(torch.div(m, g.add_(now["eps_hat"]), out=g), now["step"])


def is_wide(how: Recipe, p: Tensor) -> bool:
    """Whether `adam_by_row` is for these parameters [M, P]."""
    return p.shape[1] >= WIDE and rule(how) in ("adam", "adamw") and p.device.type == "cpu" and p.dtype == torch.float32


def adam_by_row(
    p: Tensor, g: Tensor, state: Sequence[Tensor], now: Scalars, hows: Sequence[Recipe], shrunk: int
) -> None:
    """Adam and AdamW with weight decay of the first `shrunk` parameters, by PyTorch's fused kernel, row by row.

    Whether a row is split into two parts depends on its own decay alone, because the last few numbers of a part are
    rounded differently.
    """
    update = torch._fused_adamw_ if rule(hows[0]) == "adamw" else torch._fused_adam_
    for how, count, lr, *row in zip(hows, now["count"], now["lr"], p, g, *state, strict=True):
        decay = how.weight_decay
        for cut, share in ((slice(0, shrunk), decay), (slice(shrunk, None), 0.0)) if decay else ((slice(None), 0.0),):
            params, grads, m, v = ([tensor[cut]] for tensor in row)
            update(
                params, grads, m, v, [], [count], lr=lr, beta1=how.beta1, beta2=how.beta2, eps=how.eps,
                weight_decay=share, amsgrad=False, maximize=False,
            )  # fmt: skip


def nadam(p: Tensor, g: Tensor, state: Sequence[Tensor], now: Scalars) -> None:
    """Dozat 2016, "Incorporating Nesterov momentum into Adam"."""
    m, v = state
    m.lerp_(g, now["rest1"])
    v.lerp_(g * g, now["rest2"])
    g.mul_(now["step_g"]).addcmul_(m, now["step"])
    p.sub_(g.div_(v.sqrt().add_(now["eps_hat"])))


class Rule(NamedTuple):
    """An optimizer's update, how many tensors [M, P] of state it keeps, and the names of the numbers that it needs."""

    update: Update
    tensors: int
    scalars: tuple[str, ...]


_ADAM = Rule(adam, 2, ("rest1", "rest2", "eps_hat", "step"))
RULES: dict[str, Rule] = {
    "sgd": Rule(sgd, 1, ("momentum", "down")),
    "nesterov": Rule(nesterov, 1, ("momentum", "down")),
    "rmsprop": Rule(rmsprop, 2, ("momentum", "eps", "rest2", "down")),
    "adam": _ADAM,
    "adamw": _ADAM,
    "nadam": Rule(nadam, 2, ("rest1", "rest2", "eps_hat", "step", "step_g")),
}
