"""A stack's whole step as one compiled graph, where the user asked for it and there is a compiler.

What is compiled is the recorded step (`tracing`), gradients and optimizer, of one number of rows and one size of
mini-batch: one graph with fixed shapes, without vmap, autograd or modules. Products stay the calls they are; what lies
between them, batch norm and the optimizer above all, becomes a few loops, each within a row. Sums are then rounded in
another order than uncompiled, so a stack compiles every full mini-batch from its first step or none.
"""

import logging
import os
import shutil
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.utils._pytree import tree_leaves, tree_map

from zeroin.nn.recording.recorder import WARM, record

log = logging.getLogger("zeroin")

Whole: TypeAlias = Callable[..., tuple[Tensor]]  # a step of all its tensors, changed in place; its losses [M]
CLOSE = 1e-3  # of the largest of a tensor; as a stack is compared with the plain network


def compiled(step: Whole, *args: Any) -> Whole | None:
    """The step compiled for tensors like `args`, which are left as they are; None: it cannot be, for a reason told.

    Args:
        step: of tensors and dictionaries of tensors; the first of them tells the device.
    """
    reason = obstacle(args[0].device)
    if reason:
        tell(reason)
        return None
    began = time.monotonic()
    try:
        for _ in range(WARM):
            step(*tree_map(torch.clone, args))
        recorded = record(step, *args)
        found: Whole = torch.compile(GraphModule(recorded.root, recorded.graph), fullgraph=True, dynamic=False)
        seen, wanted = tree_map(torch.clone, args), tree_map(torch.clone, args)
        with torch.no_grad():
            alike = tree_map(_close, (found(*seen), seen), (step(*wanted), wanted))
    except Exception as error:  # a compiler raises what it likes; it is a reason, not a failure
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        tell(f"the compiler stops with '{said}'")
        return None
    if not all(tree_leaves(alike)):
        tell("the compiled step gives another result")
        return None
    log.info("compiled a step of %d networks in %.0f s", len(args[0]), time.monotonic() - began)
    return found


@cache
def obstacle(device: torch.device) -> str:
    """Why nothing can be compiled, in words; nothing where it can be tried."""
    if device.type != "cpu" or any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++")):
        return ""
    return "there is no C++ compiler: install g++, or name yours in the environment variable CXX"


@cache
def tell(reason: str) -> None:
    """Say once why training goes on as it is."""
    log.warning("stacks are trained uncompiled, because %s", reason)


def _close(a: Tensor, b: Tensor) -> bool:
    if not a.is_floating_point():
        return torch.equal(a, b)
    far = (a - b).abs().nan_to_num(torch.inf)[a.isfinite() | b.isfinite()]
    return not far.numel() or bool(far.max() <= CLOSE * b.nan_to_num(0, 0, 0).abs().max().clamp_min(1e-4))
