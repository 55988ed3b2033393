"""The memory in which stacks are trained. It stays the same from step to step, so that recorded steps stay valid."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from zeroin.nn.data import InMemory
from zeroin.nn.recording.replay import Step


@dataclass(slots=True, eq=False)
class Batch:
    """A mini-batch for each row.

    Args:
        x, y: inputs and targets [M, B, ...].
        smooth: label smoothing [M].
        bound: the recorded step on these tensors, which returns losses [M] and gradients [M, P].
    """

    x: Tensor
    y: Tensor
    smooth: Tensor
    bound: Step | None = None

    @classmethod
    def of(cls, data: InMemory, rows: int, size: int) -> "Batch":
        """Allocate memory for mini-batches of a size."""
        x, y = (t.new_empty((rows, size, *t.shape[1:])) for t in (data.x, data.y))
        return cls(x, y, torch.empty(rows, device=data.x.device))

    def fill(self, data: InMemory, chosen: Tensor) -> None:
        """Copy the examples with the indices `chosen` [M B], row by row."""
        torch.index_select(data.x, 0, chosen, out=self.x.flatten(0, 1))
        torch.index_select(data.y, 0, chosen, out=self.y.flatten(0, 1))


@dataclass(slots=True, eq=False)
class Workspace:
    """The memory in which stacks with the same signature and number of rows are trained, one after the other.

    It is shared because binding a recorded step to other memory takes as long as two steps.

    Args:
        p: parameters [M, P].
        buffers: by name, [M, ...].
        momenta: of the running statistics by name, [M, 1].
        batches: by size of the mini-batch and by which dropout layers are idle.
    """

    p: Tensor
    buffers: dict[str, Tensor]
    momenta: dict[str, Tensor]
    batches: dict[tuple[int | bool, ...], Batch] = field(default_factory=dict)
