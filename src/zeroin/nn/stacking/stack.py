"""A stack: M networks trained as one computation, with parameters and gradients [M, P], hyperparameters [M, 1]."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map, tree_map_

from zeroin.nn.data import InMemory, edges, order
from zeroin.nn.dropout import keys
from zeroin.nn.loop import EVALUATED, fresh
from zeroin.nn.problem import Problem, judged
from zeroin.nn.recipe import Recipe, recipe, rule
from zeroin.nn.stacking.batch import Batch, Workspace
from zeroin.nn.stacking.convolutions import least
from zeroin.nn.stacking.evaluation import outputs, recalibrate
from zeroin.nn.stacking.layout import Layout, layout, running
from zeroin.nn.stacking.operations import Watching
from zeroin.nn.stacking.spare_rows import ROWS, SpareRows
from zeroin.nn.stacking.steps import BACKWARD, Steps, Tree
from zeroin.nn.stacking.updates import RULES, adam_by_row, clip, is_wide, scalars
from zeroin.types import Config

SIZES = (2, 3, 4, 6, 8)  # the numbers of rows that small stacks may have; never a single one
Member: TypeAlias = tuple[Config, int, nn.Module]  # config, trial's seed, network


@dataclass(slots=True)
class Row:
    """What belongs to one network of a stack, apart from its tensors; `epoch` counts the epochs trained."""

    config: Config
    how: Recipe
    seed: int
    epoch: int = 0


@dataclass(slots=True, eq=False)
class Stack:
    """Networks of the same signature, trained together.

    Args:
        problem: what they are trained on; its data are in memory.
        layout: of all the networks.
        rows: one for each network. M may be larger, because spare rows at the end repeat the first; it is never 1.
        p: parameters [M, P], those with weight decay first.
        state: tensors of the optimizer, [M, P] each.
        buffers: by name, [M, ...]; also the parameters that are not trained.
        momenta: of the running statistics by name, [M, 1].
        order: of vmap and grad, BACKWARD or EACH.
    """

    problem: Problem
    layout: Layout
    rows: list[Row]
    p: Tensor
    state: list[Tensor]
    buffers: Tree
    momenta: Tree
    order: str = BACKWARD

    def train_epoch(self, max_epochs: int) -> Tensor:
        """Train for an epoch, each row in its own order; returns the mean losses [rows], not finite if diverged."""
        space = self._workspace()
        work = replace(self, p=space.p, buffers=space.buffers, momenta=space.momenta)
        losses = work._train_epoch(max_epochs, space)
        self.p.copy_(space.p)
        for name, buffer in self.buffers.items():
            buffer.copy_(space.buffers[name])
        return losses

    def _workspace(self) -> Workspace:
        """The memory to train in, filled with this stack's tensors; recorded steps are bound to it."""
        known, key = self.layout.workspaces, (self.order, len(self.p))
        if key not in known:
            known[key] = Workspace(*tree_map(torch.empty_like, (self.p, self.buffers, self.momenta)))
        found = known[key]
        tree_map_(Tensor.copy_, (found.p, found.buffers, found.momenta), (self.p, self.buffers, self.momenta))
        return found

    def _train_epoch(self, max_epochs: int, space: Workspace) -> Tensor:
        data = self.problem.train
        assert isinstance(data, InMemory)
        cuts = edges(len(data), self.rows[0].how.batch_size)
        orders = torch.stack([order(r.seed, r.epoch, len(data)) for r in self.padded]).to(data.x.device)  # [M, N]
        chosen = [one.flatten() for one in torch.split(orders, [b - a for a, b in cuts], 1)]
        tables = self.tables(len(cuts), max_epochs * len(cuts))
        drawn = self.keys(len(cuts))
        sums = torch.zeros(len(self.p), device=self.p.device)
        self.layout.base.train()
        for name in self.layout.drops:
            # If no row drops anything, no mask need be drawn. A compiled step would then be a different one that rounds
            # differently, so that the result of a row would depend on whether others drop something.
            idle = not self.problem.compile and bool((self.buffers[f"{name}.scale"] == 1).all())
            self.layout.base.get_submodule(name).idle = idle  # type: ignore[assignment]
        batches = {size: self._batch(space, size) for size in {b - a for a, b in cuts}}
        for (a, b), examples, now, keys_now in zip(cuts, chosen, tables, drawn, strict=True):
            batch = batches[b - a]
            batch.fill(data, examples)
            sums += self.step(batch, now, keys_now) * (b - a)
        for row in self.rows:
            row.epoch += 1
        if self.problem.recalibrate:
            recalibrate(self.layout, self.p, self.buffers, data)
        return sums[: len(self.rows)] / len(data)

    def _batch(self, space: Workspace, size: int) -> Batch:
        """The memory for mini-batches of a size, with the rows' label smoothing set."""
        data, key = self.problem.train, (size, *self.layout.idle())
        assert isinstance(data, InMemory)
        batch = space.batches.get(key) or space.batches.setdefault(key, Batch.of(data, len(self.p), size))
        batch.smooth.copy_(torch.tensor([r.how.label_smoothing for r in self.padded]))
        return batch

    def step(self, batch: Batch, now: Tree, drawn: Tensor) -> Tensor:
        """Train each row on its mini-batch [B, ...]; returns the losses [M], which are valid until the next step."""
        steps = self.steps
        whole = batch.x.shape[1] == min(steps.how.batch_size, len(self.problem.train))
        if self.problem.compile and whole:
            loss = steps.compiled(batch, drawn, now)
            if loss is not None:
                return loss
        loss, g = steps.gradients(batch, drawn)
        if not is_wide(steps.how, self.p):
            steps.update(self.p, g, self.state, now)
            return loss
        with torch.no_grad():
            if steps.clips:
                clip(g, now["clip"])
            adam_by_row(self.p, g, self.state, now, [row.how for row in self.padded], self.layout.shrunk)
        return loss

    @property
    def steps(self) -> Steps:
        """The computation of a step on this stack."""
        of = self.rows[0]
        tensors = self.p, self.state, self.buffers, self.momenta
        return Steps(self.problem, self.layout, self.order, of.how, of.config, *tensors)

    @torch.no_grad()
    def judge(self, data: InMemory) -> list[tuple[float, float]]:
        """The (metric, loss) of each row over a whole data set, in evaluation mode."""
        self.layout.base.eval()
        parts = []
        for a, b in edges(len(data), EVALUATED):  # the same for any M, as a product's last bit depends on it
            parts.append(outputs(self.layout, self.p, self.buffers, data.x[a:b]))
        output = torch.cat(parts, 1)  # [M, N, ...]
        return [judged(self.problem, one, data.y.clone()) for one in output[: len(self.rows)]]

    def state_dict(self, row: int) -> Tree:
        """A copy of a row's tensors as an ordinary state_dict, which loads strictly into the user's own network."""
        tensors = self.layout.tree(self.p.detach()) | self.buffers
        return {key: tensors[name][row].clone() for key, name in self.layout.sources().items()}

    def network(self, row: int) -> nn.Module:
        """A row as a network, with all of its tensors, also those that the state_dict does not contain."""
        own, tensors = self.rows[row], self.layout.tree(self.p.detach()) | self.buffers
        model = fresh(self.problem, own.config, own.seed)
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            tensor.detach().copy_(tensors[name][row])
        return model

    def select(self, rows: Sequence[int]) -> "Stack":
        """A stack of copies of these rows."""
        index = torch.tensor([*rows, *[rows[0]] * _spares(self.layout, len(rows))], device=self.p.device)
        tensors = self.p, self.state, self.buffers, self.momenta
        p, state, buffers, momenta = tree_map(lambda tensor: tensor.index_select(0, index), tensors)
        own = [copy.copy(self.rows[i]) for i in rows]
        return replace(self, rows=own, p=p, state=state, buffers=buffers, momenta=momenta)

    @property
    def padded(self) -> list[Row]:
        """The rows, with spare ones: M in all."""
        return [*self.rows, *[self.rows[0]] * (len(self.p) - len(self.rows))]

    def tables(self, steps: int, total: int) -> list[Tree]:
        """For each step, the numbers that depend on row and step, [M, 1] by name."""
        how = self.rows[0].how
        used = [*RULES[rule(how)].scalars, "clip", "wd", "shrink", *(("lr", "count") if is_wide(how, self.p) else ())]
        each = [scalars(r.how, r.epoch * steps, steps, total) for r in self.padded]
        numbers = [[one[name] for one in each] for name in used]
        table = torch.tensor(numbers, dtype=torch.float32, device=self.p.device)  # [names, M, steps]
        columns = table.permute(2, 0, 1).contiguous().view(-1, len(self.p), 1).unbind()
        return [dict(zip(used, columns[i : i + len(used)], strict=True)) for i in range(0, len(columns), len(used))]

    def keys(self, steps: int) -> Tensor:
        """The keys of the dropout layers [steps, M, layers]."""
        rows = [(r.seed, r.epoch * steps) for r in self.padded]
        return keys(rows, steps, len(self.layout.drops)).to(self.p.device)


def stack(
    problem: Problem,
    members: Sequence[Member],
    order: str = BACKWARD,
    common: Layout | None = None,
) -> Stack:
    """A stack of networks of one signature.

    Args:
        problem: what they are trained on.
        members: config, trial's seed and network of each, as `fresh` makes it.
        order: of vmap and grad.
        common: the layout of an earlier stack of this signature, with the steps that were recorded for it.
    """
    common = common or _laid_out(problem, members[0], order)
    return _together(problem, members, order, common)


def _laid_out(problem: Problem, member: Member, order: str) -> Layout:
    """The layout of networks like a member, with the spare rows that its mini-batches need."""
    common = layout(member[2])
    data, how = problem.train, recipe(member[0])
    assert isinstance(data, InMemory)
    lengths = {b - a for a, b in edges(len(data), how.batch_size)}
    needs = SpareRows(next(rows for rows in ROWS if rows not in lengths))
    few = _together(problem, [member] * needs.rows, order, common)
    few.layout.base.train()
    for size in sorted(lengths):
        needs.bytes = 0  # the largest mini-batch, which comes last, tells what is needed
        batch = Batch.of(data, needs.rows, size)
        batch.fill(data, torch.arange(size, device=data.x.device).repeat(needs.rows))
        batch.smooth.fill_(how.label_smoothing)
        with Watching(needs.see):
            few.steps.by_hand(few.p, few.buffers, batch.x, batch.y, batch.smooth, few.momenta)
    common = replace(
        common, spare=needs.spare, convolves=bool(needs.convolutions), replays=needs.replays,
        bytes=needs.bytes // needs.rows,
    )  # fmt: skip
    sizes = tuple(sorted({rows + _spares(common, rows) for rows in range(1, SIZES[-1] + 1)}))
    return replace(common, least=max((least(c, sizes) for c in needs.convolutions), default=common.least))


def _together(problem: Problem, members: Sequence[Member], order: str, common: Layout) -> Stack:
    rows, tensors, buffers = [], [], []
    for config, seed, model in members:
        rows.append(Row(config, recipe(config), seed))
        tensors.append(common.flat(dict(model.named_parameters())))
        frozen = {n: p.detach() for n, p in model.named_parameters() if not p.requires_grad}
        buffers.append(dict(model.named_buffers()) | frozen)
    p = torch.stack(tensors)
    state = [torch.zeros_like(p) for _ in range(RULES[rule(rows[0].how)].tensors)]
    stacked = {name: torch.stack([b[name] for b in buffers]) for name in buffers[0]}
    momenta: Tree = {}
    for norm in common.norms:
        values: list[Any] = [[model.get_submodule(norm).momentum] for _, _, model in members]
        momenta |= dict.fromkeys(running(norm), torch.tensor(values, dtype=p.dtype, device=p.device))
    return Stack(problem, common, rows, p, state, stacked, momenta, order).select(range(len(rows)))


def joined(stacks: Sequence[Stack]) -> Stack:
    """One stack of the rows of several, which have the same signature."""
    first, counts = stacks[0], [len(s.rows) for s in stacks]

    def together(*parts: Tensor) -> Tensor:
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    tensors = ((s.p, s.state, s.buffers, s.momenta) for s in stacks)
    p, state, buffers, momenta = tree_map(together, *tensors)
    rows = [row for s in stacks for row in s.rows]
    return replace(first, rows=rows, p=p, state=state, buffers=buffers, momenta=momenta).select(range(len(rows)))


def _spares(common: Layout, rows: int) -> int:
    """How many spare rows a stack needs; small stacks have one of a few sizes, so that recorded steps can be reused."""
    size = next((s for s in SIZES if s >= rows), rows)
    return max(common.spare, size - rows, common.least - rows)
