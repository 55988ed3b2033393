"""Recording a step of training as a plain list of tensor operations, which can then be run without its Python code.

In eager mode, most of the time of a small network's step goes into vmap, autograd, and modules that call one another.
A recorded step calls the same kernels with the same tensors in the same order, so its results are equal bit for bit. No
compiler is involved. A recording is valid for one number of rows and one size of mini-batch, and it costs as much as a
step. (PyTorch's own recorder, `make_fx`, first imports its compiler, which takes a second.)
"""

import math
from collections.abc import Callable, Sequence
from operator import getitem
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Graph, Node
from torch.fx.node import map_aggregate
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from zeroin.nn.recording.replay import Recorded, TensorSpec

WARM = 2  # steps of a shape before one is recorded, so that what is set up in the first step is not part of it
READS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
UNTAGGED = (torch.ops.aten.is_nonzero, torch.ops.aten._pack_padded_sequence)  # which read numbers as well
LSTM = torch.ops.aten.mkldnn_rnn_layer  # in a recording, where autograd is off, it keeps nothing for its gradient

FULL_LIKE, ONES_LIKE = torch.ops.aten.full_like.default, torch.ops.aten.ones_like.default


def record(step: Callable[..., Any], *args: Any) -> Recorded:
    """Record the operations of `step`, and check them on other numbers.

    Args:
        step: it is called with copies of `args`, and returns losses first.
        args: tensors, and dictionaries of tensors.

    Raises:
        RuntimeError: on other numbers the recording gives another result than the step, for example because the step
            looks at the value of a tensor or a kernel adds to what is in the memory of its result; or no loss is finite
            there, so that nothing can be compared.
    """
    recorded = traced(step, *tree_map(torch.clone, args))
    others = [tree_map(lambda value: value.flip(1) if value.dim() > 1 else value.clone(), args) for _ in range(2)]
    with torch.no_grad():
        expected, bound = step(*others[0]), recorded.bind(others[1])
        for memory in recorded.room.values():
            for place in memory:
                place.fill_(math.nan if place.is_floating_point() else 1)
        alike = tree_map(same, (expected, others[0]), (tuple(bound()), others[1]))
    if not all(tree_leaves(alike)):
        raise RuntimeError("its recording gives another result")
    if not expected[0].isfinite().any():
        raise RuntimeError("no loss is finite, so that its recording cannot be checked")
    return recorded


def traced(step: Callable[..., Any], *given: Any) -> Recorded:
    """Record the operations of `step` as it is called with these tensors, which it may change; nothing is checked.

    Raises:
        RuntimeError: the step does something that cannot be run again on other numbers.
    """
    with _Recorder() as recorder:
        recorder.named(given)
        found = step(*given)
    return Recorded(recorder.root, recorder.made(found))


def same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold the same numbers; NaN equals NaN."""
    return torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)


def _reads(func: Any, args: Sequence[Any]) -> bool:
    """Whether an operation returns a number to Python, or a tensor whose shape depends on values."""
    if func is torch.ops.aten.index.Tensor:
        return any(one is not None and one.dtype in (torch.bool, torch.uint8) for one in args[1])
    return func.overloadpacket in UNTAGGED or not READS.isdisjoint(func.tags)


def _as_view(func: Any) -> Any:
    """The view operation for an in-place view such as `transpose_`, which would undo itself when it is run again.

    Raises:
        RuntimeError: there is none.
    """
    if torch.Tag.inplace_view not in func.tags:
        return func
    packet = getattr(torch.ops.aten, func._schema.name.removeprefix("aten::").removesuffix("_"), None)
    wanted = [str(a.type) for a in func._schema.arguments]
    for found in (getattr(packet, name) for name in packet.overloads()) if packet else ():
        is_view = any(r.alias_info is not None for r in found._schema.returns)
        if is_view and [str(a.type) for a in found._schema.arguments] == wanted:
            return found
    raise RuntimeError(f"the step gives a tensor another shape in place ({func})")


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down each operation, below vmap and autograd, where tensors are plain."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph = Graph()
        self.kept: list[Tensor] = []  # so that no two tensors have the same id
        self.nodes: dict[int, Node] = {}
        self.root = nn.Module()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here; to keep out of it, PyTorch would import its compiler

    def named(self, args: Sequence[Any]) -> None:
        """Give nodes to the arguments of the step: tensors, and dictionaries of tensors."""
        nodes = [self.graph.placeholder(f"arg_{i}") for i in range(len(args))]
        for node, arg in zip(nodes, args, strict=True):
            if isinstance(arg, Tensor):
                self._keep(arg, node)
                continue
            for key, value in arg.items():
                self._keep(value, self.graph.call_function(getitem, (node, key)))

    def made(self, found: Any) -> Graph:
        self.graph.output(tree_map(self._written, found))
        for node in list(self.graph.nodes):
            if node.target is torch.ops.aten.detach.default:  # a new name for the same numbers
                node.replace_all_uses_with(node.args[0])
            if node.target in (FULL_LIKE, ONES_LIKE):  # it needs the shape alone of another tensor
                place: TensorSpec = node.meta["layout"]
                node.args = list(place.shape), 1.0 if node.target is ONES_LIKE else node.args[1]
                node.kwargs, node.target = {"dtype": place.dtype, "device": place.device}, torch.ops.aten.full.default
        for node in reversed(self.graph.nodes):
            if not (node.users or node.is_impure()):
                self.graph.erase_node(node)
        return self.graph

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if _reads(func, args):
            raise RuntimeError(f"what the step does depends on the value of a tensor ({func.overloadpacket})")
        if func.overloadpacket is LSTM:
            raise RuntimeError("the kernel of an LSTM gives something else where no gradient is asked for")
        written = map_aggregate((tuple(args), kwargs), self._written)
        out = func(*args, **kwargs)
        node = self.graph.call_function(_as_view(func), *written)
        if isinstance(out, Tensor):
            self._keep(out, node)
        for i, each in enumerate(out if isinstance(out, tuple | list) else ()):
            if isinstance(each, Tensor):
                self._keep(each, self.graph.call_function(getitem, (node, i)))
        return out

    def _keep(self, value: Tensor, node: Node) -> None:
        """Let a node stand for this tensor from here on."""
        node.meta["layout"] = TensorSpec(value.shape, value.stride(), value.dtype, value.device)
        self.kept.append(value)
        self.nodes[id(value)] = node

    def _written(self, value: Any) -> Any:
        """A value as it is written in the recording; a tensor from outside becomes a constant of the recording."""
        if not isinstance(value, Tensor):
            return value
        if id(value) not in self.nodes:
            name = f"constant_{len(self.kept)}"
            self.root.register_buffer(name, value.detach())
            self._keep(value, self.graph.get_attr(name))
        return self.nodes[id(value)]
