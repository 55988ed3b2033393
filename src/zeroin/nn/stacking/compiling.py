"""Compiling a stack's whole step with `torch.compile`, if the user asks for it and there is a compiler.

What is compiled is the recorded step, gradients and optimizer included: a graph of fixed shapes without vmap, autograd
or modules, for one number of rows and one size of mini-batch. Matrix products remain calls of kernels; what is between
them, above all batch norm and the optimizer, becomes a few loops, each within a row. Compiled sums are rounded in
another order, so a stack compiles either every full mini-batch from its first step on, or none.
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
from zeroin.wording import first_line

log = logging.getLogger("zeroin")

Whole: TypeAlias = Callable[..., tuple[Tensor]]  # a whole step: changes its tensors in place, returns losses [M]
CLOSE = 1e-3  # tolerance, relative to the largest number of a tensor; the same as for a stack and the plain network


def compiled(step: Whole, *args: Any) -> Whole | None:
    """The step compiled for tensors like `args`, which do not change; None if that fails, with the reason logged.

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
        said = first_line(error)
        tell(f"the compiler stops with '{said}'")
        return None
    if not all(tree_leaves(alike)):
        tell("the compiled step gives another result")
        return None
    log.info("compiled a step of %d networks in %.0f s", len(args[0]), time.monotonic() - began)
    return found


@cache
def obstacle(device: torch.device) -> str:
    """Why nothing can be compiled here, in words; empty if it can be tried."""
    if device.type != "cpu" or any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++")):
        return ""
    return "there is no C++ compiler: install g++, or name yours in the environment variable CXX"


@cache
def tell(reason: str) -> None:
    """Log, once, why stacks are trained uncompiled."""
    log.warning("stacks are trained uncompiled, because %s", reason)


def _close(a: Tensor, b: Tensor) -> bool:
    if not a.is_floating_point():
        return torch.equal(a, b)
    far = (a - b).abs().nan_to_num(torch.inf)[a.isfinite() | b.isfinite()]
    return not far.numel() or bool(far.max() <= CLOSE * b.nan_to_num(0, 0, 0).abs().max().clamp_min(1e-4))
