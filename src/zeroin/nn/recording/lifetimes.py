"""The results of a recorded step: how each is produced, whose memory it is in, and until when that is needed."""

import operator
from collections.abc import Sequence
from enum import Enum, auto
from functools import cache

import torch
from torch._ops import OpOverload
from torch.fx import Node

aten = torch.ops.aten
# Reductions that add in another order in the last few columns than in blocks of them, where rows lie side by side.
COLUMNS = (aten.sum.dim_IntList, aten.mean.dim)
SAME_MEMORY = (  # views, though their schemas do not say so
    aten._unsafe_view.default, aten._reshape_alias.default, aten.unsafe_split.Tensor,
    aten.unsafe_split_with_sizes.default,
)  # fmt: skip


class Origin(Enum):
    """How a result is produced; the first three have the names of `torch.fx`."""

    INPUT = "placeholder"
    ATTRIBUTE = "get_attr"
    OUTPUT = "output"
    PART = "one of several results"
    ONCE = "a view, or the same in every step"
    CHANGED = "an argument, written over"
    JOINED = "a concatenation"
    COMPUTED = "computed in each step"


class Memory(Enum):
    """Where the result of an operation is."""

    OWN = auto()  # in memory of its own
    SHARED = auto()  # in the memory of an argument, as a view
    CHANGED = auto()  # in the first argument, which is overwritten
    ELSEWHERE = auto()  # in several arguments, or in another than the first


class Lifetimes:
    """For each result of a graph: how it is produced, whose memory it is in, and when that is no longer needed.

    This does not depend on the tensors that the graph is bound to.
    """

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.owner = _owners(nodes)
        self.changed = {self.owner[n.args[0]] for n in nodes if changes(n)}  # type: ignore[index]
        self.constant: set[Node] = set()
        for node in nodes:
            if self._is_constant(node):
                self.constant.add(node)
        self.origins = [self._origin(node) for node in nodes]
        self.ended = self._ended()
        computed = (n for n, origin in zip(nodes, self.origins, strict=True) if origin is Origin.COMPUTED)
        self.into = {node: written_into(node.target) for node in computed}

    def _origin(self, node: Node) -> Origin:
        if node.op != "call_function":
            return Origin(node.op)
        if node.target is operator.getitem:
            return Origin.PART
        if is_view(node) or node in self.constant:
            return Origin.ONCE
        if changes(node):
            return Origin.CHANGED
        return Origin.JOINED if node.target is aten.cat.default else Origin.COMPUTED

    def _is_constant(self, node: Node) -> bool:
        """Whether a result is the same in every step, as a range of numbers is."""
        if node.op != "call_function" or self.owner[node] in self.changed:
            return False
        drawn = isinstance(node.target, OpOverload) and torch.Tag.nondeterministic_seeded in node.target.tags
        return not drawn and self.constant.issuperset(node.all_input_nodes)

    def _ended(self) -> list[list[Node]]:
        """For each node, the results that are not needed after it."""
        ends: dict[Node, int] = {}
        for i, node in enumerate(self.nodes):
            for used in (node, *node.all_input_nodes):
                ends[self.owner[used]] = i
        found: list[list[Node]] = [[] for _ in self.nodes]
        for node, i in ends.items():
            found[i].append(node)
        return found


def is_known(node: Node) -> bool:
    """Whether it is known where the results of a node are."""
    if node.op != "call_function" or node.target is operator.getitem:
        return node.op != "call_module"
    return isinstance(node.target, OpOverload) and _memory(node.target) is not Memory.ELSEWHERE


def is_view(node: Node) -> bool:
    """Whether a result is a view of an argument, which is not changed."""
    return isinstance(node.target, OpOverload) and _memory(node.target) is Memory.SHARED


def changes(node: Node) -> bool:
    """Whether an operation writes into its first argument."""
    return isinstance(node.target, OpOverload) and _memory(node.target) is Memory.CHANGED


@cache
def _memory(target: OpOverload) -> Memory:
    """Where the result of an operation lies, by its schema."""
    if target in SAME_MEMORY:
        return Memory.SHARED
    changed = [a.alias_info is not None and a.alias_info.is_write for a in target._schema.arguments]
    shared = [r.alias_info for r in target._schema.returns if r.alias_info is not None]
    if any(changed):
        return Memory.CHANGED if changed[0] and not any(changed[1:]) else Memory.ELSEWHERE
    return Memory.SHARED if shared else Memory.OWN


def _owners(nodes: Sequence[Node]) -> dict[Node, Node]:
    """For each node the one in whose memory its result is."""
    found: dict[Node, Node] = {}
    for node in nodes:
        shares = is_view(node) or changes(node) or node.target is operator.getitem
        found[node] = found[node.args[0]] if shares else node  # type: ignore[index]
    return found


@cache
def written_into(target: OpOverload) -> tuple[OpOverload, tuple[str, ...]] | None:
    """The form of an operation that writes into given places, one for each result, and what it calls them."""
    packet = target.overloadpacket
    wanted = [(a.name, str(a.type)) for a in target._schema.arguments]
    named = {name for name, _ in wanted}
    if "reduction" in named and "grad_output" not in named:
        return None  # a loss: its kernel would put each example's into the place of the mean, and make that larger
    for name in packet.overloads():
        schema = getattr(packet, name)._schema
        outs = tuple(a.name for a in schema.arguments if a.is_out)
        others = [(a.name, str(a.type)) for a in schema.arguments if not a.is_out]
        if len(outs) == len(target._schema.returns) > 0 and others == wanted:
            return getattr(packet, name), outs
    return None
