"""The loss and gradients of one network on a mini-batch: by its own code, or by a recording of what that computes.

In a small network, most of a step's time goes into modules that call one another and into autograd. A recording calls
the same kernels on the same numbers, so the gradients are equal bit for bit. It is used only if it gave the same
results on two further mini-batches, and if nothing but tensors was seen to change during training. Side effects of
`forward`, such as printing, are not repeated by a recording.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from zeroin.nn.data import InMemory
from zeroin.nn.dropout import begin_step, dropouts
from zeroin.nn.problem import Problem, loss_of
from zeroin.nn.reached import reached
from zeroin.nn.recipe import Recipe
from zeroin.nn.recording.python_state import PythonState, changed, hooks_gradients, python_state
from zeroin.nn.recording.recorder import same, traced
from zeroin.nn.recording.replay import Step

log = logging.getLogger("zeroin")

WARM = 4  # steps before one is recorded: what is set up in the first is no part of it
COMPARED = 2  # mini-batches on which a recording has to give what the network's own code gives
BEFORE = WARM + 1 + COMPARED
WORTH = 128  # steps to come: a recording costs 30 to 50 and saves half of each, of small networks
LONG = 600  # times `_overhead()`: a step in which nearly all is the kernels' work, so that there is little to save,
EACH = 10  # times it, unless the step is of so many small operations that each of its gradients takes less than this
SHAPES = frozenset({  # what a network may ask of a tensor and be given no tensor
    "__get__", "__len__", "device", "dim", "element_size", "is_complex", "is_contiguous", "is_floating_point",
    "ndimension", "nelement", "numel", "size", "storage_offset", "stride",
})  # fmt: skip


class _Looking(TorchFunctionMode):
    """Within, whoever takes numbers out of a tensor is stopped: a recording would keep those of one mini-batch."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **kwargs or {})
        if isinstance(out, Tensor):
            return out
        name = getattr(func, "__name__", "")
        if name not in SHAPES and not all(value is None or isinstance(value, Tensor) for value in tree_leaves(out)):
            raise RuntimeError(f"its step takes numbers out of a tensor ({name})")
        return out


class Gradients:
    """Loss and gradients of one network, step by step.

    Args:
        problem: what it is trained on.
        model: the network, its dropout counted.
        how: the recipe.
        steps: of whole mini-batches to come, as far as is known; few are not worth a recording.
    """

    def __init__(self, problem: Problem, model: nn.Module, how: Recipe, steps: float = math.inf) -> None:
        self.problem, self.model, self.how = problem, model, how
        self.drops = dropouts(model)
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.records = steps >= WORTH and isinstance(problem.train, InMemory) and not hooks_gradients(model)
        self._size = min(how.batch_size, len(problem.train))  # the last mini-batch of an epoch may be smaller
        self._seen = 0  # mini-batches of that size
        self._seconds = math.inf
        self._operations = 0  # with gradients, in a step
        self._placed = self._places()
        self._python_state: PythonState | None = None  # as its step was recorded
        self._room: tuple[Tensor, ...] = ()  # for the mini-batch that the recording reads
        self._step: Step = tuple

    @property
    def prepares(self) -> bool:
        """Whether it is still to be seen if its steps are recorded."""
        return self.records and self._seen < BEFORE

    def begin_epoch(self) -> None:
        """Go on without the recording if the network has changed in ways that it does not know of.

        Its tensors are others now or lie elsewhere, or something else that its code reads is not as it was, as where
        `train()` or a metric counts epochs.
        """
        self.records = self.records and self._placed == self._places()
        if self.records and self._python_state is not None:
            self.records = not changed(self._python_state, python_state(self.problem, self.model, generators=False))

    def __call__(self, x: Tensor, y: Tensor, keys: Tensor) -> Tensor:
        """The mean loss of a mini-batch, until the next; its gradients are left in `p.grad`.

        Args:
            x, y: inputs and targets [B, ...], which are not needed after it.
            keys: of the dropout layers in this step.
        """
        begin_step(self.drops, keys)
        if not self.records or len(x) != self._size:
            return self._by_hand(x, y)
        self._seen += 1
        if self._seen <= WARM:
            return self._timed(x, y)
        if self._seen <= BEFORE:
            return self._twice(x, y, self._record if self._seen == WARM + 1 else self._recorded)
        return self._recorded(x, y)

    def _by_hand(self, x: Tensor, y: Tensor) -> Tensor:
        """By the network's own code."""
        for p in self.trained:
            p.grad = None
        with torch.enable_grad():
            loss = self._loss(x, y)
            if self.prepares and not self._operations:
                self._operations = _operations(loss)
            loss.backward()  # type: ignore[no-untyped-call]
        for p in self.trained:
            if p.grad is not None and p.grad.is_sparse:  # of Embedding(sparse=True); what follows takes dense ones
                p.grad = p.grad.to_dense()
        return loss.detach()

    def _recorded(self, x: Tensor, y: Tensor) -> Tensor:
        for room, values in zip(self._room, (x, y), strict=True):
            room.copy_(values)
        loss, *grads = self._step()
        for p, g in zip(self.trained, grads, strict=True):
            p.grad = g.clone() if self.how.grad_clip and g is not None else g  # clipping would change constants
        return loss

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        return loss_of(self.problem.loss, self.model(x), y, self.how.label_smoothing)

    # --- how a recording comes about

    def _timed(self, x: Tensor, y: Tensor) -> Tensor:
        began = time.thread_time()
        loss = self._by_hand(x, y)
        self._seconds = min(self._seconds, time.thread_time() - began)
        self.records = self._seen < WARM or self._seconds <= max(LONG, EACH * self._operations) * _overhead()
        return loss

    def _twice(self, x: Tensor, y: Tensor, again: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """By the network's own code, and from where that began by `again`, which has to give the same."""
        before, began, given = python_state(self.problem, self.model), self._copies(), (x.clone(), y.clone())
        loss = self._by_hand(x, y)
        why = changed(before, python_state(self.problem, self.model))
        if self._places() != self._placed:
            why = "it puts other tensors in place of its own"
        if not why:
            why = self._difference(loss, began, partial(again, *given))
        if why:
            log.debug("a network's step is not recorded, because %s", why)
            self.records = False
        return loss

    def _difference(self, loss: Tensor, began: Sequence[Tensor], again: Callable[[], Tensor]) -> str:
        """What is otherwise in a step done again, in words; the network is left as it is."""
        after, grads = self._copies(), [p.grad for p in self.trained]
        self._put(began)
        for p in self.trained:  # a network that calls `backward` itself would add to those
            p.grad = None
        for layer in self.drops:
            layer.uses = 0
        try:
            pairs = [(again(), loss), *zip([p.grad for p in self.trained], grads, strict=True)]
            pairs += zip(self._tensors(), after, strict=True)
            return "" if all(_alike(a, b) for a, b in pairs) else "done again it gives another result"
        except Exception as error:  # an operation that cannot be run by itself, or one that memory does not suffice for
            return str(error)
        finally:
            self._put(after)
            for p, g in zip(self.trained, grads, strict=True):
                p.grad = g

    def _record(self, x: Tensor, y: Tensor) -> Tensor:
        """By the network's own code, watched."""
        found: list[Any] = []

        def step(x: Tensor, y: Tensor, *_: Tensor) -> list[Any]:
            with torch.enable_grad():
                loss = self._loss(x, y)
                grads = _gradients(loss, self.trained)
            found[:] = loss.detach(), *map(_as_it_lies, self.trained, grads)
            return found

        with _Looking():
            recorded = traced(step, x, y, *self.model.parameters(), *self.model.buffers())
        self._python_state = python_state(self.problem, self.model, generators=False)
        self._room, self._step = (x, y), recorded.bind((x, y, *self._tensors()))
        loss: Tensor = found[0]
        for p, g in zip(self.trained, found[1:], strict=True):
            p.grad = g
        return loss

    def _tensors(self) -> list[Tensor]:
        return [t.detach() for t in (*self.model.parameters(), *self.model.buffers())]

    def _places(self) -> list[tuple[int, int, bool]]:
        return [(id(t), t.data_ptr(), t.requires_grad) for t in (*self.model.parameters(), *self.model.buffers())]

    def _copies(self) -> list[Tensor]:
        return [t.clone() for t in self._tensors()]

    def _put(self, values: Sequence[Tensor]) -> None:
        for tensor, value in zip(self._tensors(), values, strict=True):
            tensor.copy_(value)


def _gradients(loss: Tensor, of: Sequence[Tensor]) -> Sequence[Tensor | None]:
    """`torch.autograd.grad`, which shuts out who looks on: backward functions of the user's may read numbers, too."""
    ones = (torch.ones_like(loss),)
    run = torch.autograd.Variable._execution_engine.run_backward
    found: Sequence[Tensor | None] = run((loss,), ones, False, False, tuple(of), True, accumulate_grad=False)
    return found


@cache
def _overhead() -> float:
    """Seconds that an operation on one number and its gradient take on this machine: what a recording saves most of."""
    best = math.inf
    for _ in range(20):
        began, x = time.thread_time(), torch.zeros(1, requires_grad=True)
        with torch.enable_grad():
            y = x
            for _ in range(16):
                y = y.sin()
            y.backward()  # type: ignore[no-untyped-call]
        best = min(best, time.thread_time() - began)
    return best / 16


def _operations(loss: Tensor) -> int:
    """How many operations a gradient goes back through."""
    functions: list[Any] = [loss.grad_fn] if loss.grad_fn else []
    return len(reached(functions, lambda one: [before for before, _ in one.next_functions if before]))


def _as_it_lies(p: Tensor, g: Tensor | None) -> Tensor | None:
    """A gradient in memory as its parameter is, as `backward` leaves it."""
    return g if g is None or g.stride() == p.stride() else torch.empty_like(p).copy_(g)


def _alike(a: Tensor | None, b: Tensor | None) -> bool:
    return a is b if a is None or b is None else same(a, b)
