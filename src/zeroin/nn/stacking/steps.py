"""The computation of a stack's training step: gradients and update, in eager mode, recorded or compiled."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

from zeroin.nn.problem import Problem, loss_of
from zeroin.nn.recipe import Recipe, rule
from zeroin.nn.recording.recorder import WARM, record
from zeroin.nn.recording.replay import Recorded, Step
from zeroin.nn.stacking.batch import Batch
from zeroin.nn.stacking.compiling import compiled
from zeroin.nn.stacking.cross_entropy import cross_entropy
from zeroin.nn.stacking.evaluation import forward
from zeroin.nn.stacking.layout import Layout
from zeroin.nn.stacking.updates import RULES, clip
from zeroin.types import Config

log = logging.getLogger("zeroin")

BACKWARD, EACH = "one backward pass", "each row's gradient"  # orders of vmap and grad; the first is faster

Tree: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """The computation of a step, for rows of the same signature, on the tensors of their stack.

    Args:
        problem: what they are trained on.
        layout: of their networks; it keeps what was recorded and compiled.
        order: of vmap and grad, BACKWARD or EACH.
        how, config: of one row; as far as they determine the step, they are the same in all.
        p, state, buffers, momenta: see `Stack`.
    """

    problem: Problem
    layout: Layout
    order: str
    how: Recipe
    config: Config
    p: Tensor
    state: Sequence[Tensor]
    buffers: Tree
    momenta: Tree

    @property
    def clips(self) -> bool:
        """Whether configs of this signature mention gradient clipping, even if only to turn it off."""
        return self.config.get("grad_clip") is not None

    @property
    def decays(self) -> bool:
        """Whether configs of this signature mention weight decay, even if only to turn it off."""
        return self.config.get("weight_decay") is not None

    def gradients(self, batch: Batch, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """The losses [M] and gradients [M, P] of mini-batches, valid until the next step; buffers are updated."""
        self._set_keys(drawn)
        args = (self.p, self.buffers, batch.x, batch.y, batch.smooth, self.momenta)
        if batch.bound is None:
            batch.bound = self._recorded(args, (self.order, *batch.x.shape[:2], *self.layout.idle()))
        if batch.bound is None:
            return self.by_hand(*args)
        with torch.no_grad():
            loss, g = batch.bound()
        return loss, g

    def by_hand(
        self, p: Tensor, buffers: Tree, x: Tensor, y: Tensor, smooth: Tensor, momenta: Tree
    ) -> tuple[Tensor, Tensor]:
        """`gradients` by vmap and autograd, for inputs and targets [M, B, ...].

        This is what is recorded, so all the tensors that it reads are arguments.
        """
        self.layout.begin_step()
        before = {name: buffers[name].clone() for name in momenta}
        if self.order == BACKWARD:
            with torch.enable_grad():
                p = p.detach().requires_grad_()
                loss = vmap(self._loss)(self.layout.tree(p), buffers, smooth, x, y)
                (g,) = torch.autograd.grad(loss.sum(0), p)  # with gradients given, PyTorch would import SymPy: 0.4 s
        else:
            found, loss = vmap(grad_and_value(self._loss))(self.layout.tree(p), buffers, smooth, x, y)
            g = torch.cat([found[name].reshape(len(p), -1) for name in self.layout.shapes], 1)
        with torch.no_grad():
            # The base's momentum is 1, so that a buffer holds the mini-batch's own statistics.
            for name, momentum in momenta.items():
                buffers[name].copy_(before[name].lerp_(buffers[name], momentum))
        return loss.detach(), g

    @torch.no_grad()
    def update(self, p: Tensor, g: Tensor, state: Sequence[Tensor], now: Tree) -> None:
        """Update parameters p by gradients g [M, P]; `now` has what depends on row and step, [M, 1] by name."""
        kind, shrunk = rule(self.how), self.layout.shrunk
        if self.clips:
            clip(g, now["clip"])
        if self.decays:
            if kind == "adamw":
                p[:, :shrunk].mul_(now["shrink"])
            else:
                g[:, :shrunk].addcmul_(p[:, :shrunk], now["wd"])
        RULES[kind].update(p, g, state, now)

    def compiled(self, batch: Batch, drawn: Tensor, now: Tree) -> Tensor | None:
        """Do a whole step, compiled when it is first needed; returns losses [M], or None if it cannot be compiled."""
        self._set_keys(drawn)
        state = dict(enumerate(self.state))
        args = (self.p, state, self.buffers, batch.x, batch.y, batch.smooth, self.momenta, now)
        key = (self.order, *batch.x.shape[:2], *self.layout.idle(), self.clips, self.decays)
        known = self.layout.compiled
        if key not in known:
            known[key] = compiled(self._whole, *args)
        step = known[key]
        with torch.no_grad():
            return None if step is None else step(*args)[0]

    def _whole(
        self, p: Tensor, state: dict[int, Tensor], buffers: Tree, x: Tensor, y: Tensor, smooth: Tensor, *tables: Tree
    ) -> tuple[Tensor]:
        momenta, now = tables
        loss, g = self.by_hand(p, buffers, x, y, smooth, momenta)
        self.update(p, g, list(state.values()), now)
        return (loss,)

    def _set_keys(self, drawn: Tensor) -> None:
        for j, name in enumerate(self.layout.drops):
            self.buffers[f"{name}.key"].copy_(drawn[:, j])

    def _recorded(self, args: tuple[Any, ...], key: tuple[str | int, ...]) -> Step | None:
        """The recorded step on these tensors, once there is one."""
        known = self.layout.recorded
        found = known.get(key, 0)
        if isinstance(found, Recorded):
            return found.bind(args)
        if found == WARM and not self.p.isfinite().all(1).any():
            return None  # all rows have diverged: on those numbers any recording would seem right
        known[key] = found + 1
        if found == WARM and self.layout.replays:
            try:
                known[key] = record(self.by_hand, *args)
            except Exception as error:  # an operation that cannot be run by itself: the step stays as it is
                log.debug("a step of %d networks is not recorded: %s", len(args[0]), error)
        return None

    def _loss(self, p: Tree, buffers: Tree, smooth: Tensor, x: Tensor, y: Tensor) -> Tensor:
        output = forward(self.layout, p, buffers, x)
        if self.problem.loss == "cross_entropy":
            has_smoothing = self.config.get("label_smoothing") is not None
            return cross_entropy(output, y, smooth if has_smoothing else None)
        return loss_of(self.problem.loss, output, y)
