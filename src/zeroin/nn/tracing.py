"""A stack's step as a plain list of tensor operations, recorded once and then run without what made it.

In eager mode most of a small network's step is the work of vmap, of autograd and of modules calling one another. A
recorded step calls the same kernels with the same tensors in the same order, so its results are the same bit for bit.
No compiler is involved; a recording is good for one number of rows and one size of mini-batch.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

WARM = 64  # steps of one shape before it is recorded: recording costs what about a hundred recorded steps save


def record(step: Callable[..., Any], *args: Any) -> GraphModule:
    """The operations of `step`, which is called once with `args`; tensors that it changes in place stay changed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        recorded = make_fx(lambda *given: step(*given))(*args)  # a method has one argument more than it is given
    for node in list(recorded.graph.nodes):
        if node.target is torch.ops.aten.detach.default:  # a new name for the same numbers
            node.replace_all_uses_with(node.args[0])
    recorded.graph.eliminate_dead_code()
    recorded.recompile()
    return recorded
