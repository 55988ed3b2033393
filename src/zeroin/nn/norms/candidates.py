"""The layers of a network that a norm can be put behind, and why not behind the others."""

import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from zeroin.nn.layers import LAYERS
from zeroin.nn.norms.normlayers import BY_AXES
from zeroin.nn.norms.trace import Following, Node, Trace
from zeroin.nn.reached import reached


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A Linear or convolution that a norm may follow; `reason` says why it cannot or need not, "" if it can."""

    node: Node
    following: Following
    reason: str

    @property
    def layer(self) -> nn.Module:
        """The Linear or convolution."""
        assert self.node.module is not None
        return self.node.module

    @property
    def channels(self) -> int:
        """How many channels its outputs have."""
        return channels_of(self.layer)

    @property
    def channels_last(self) -> bool:
        """Whether the channels of its outputs are their last axis."""
        return isinstance(self.layer, nn.Linear)


def channels_of(layer: nn.Module) -> int:
    """How many channels the outputs of a Linear or a convolution have."""
    return int(layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels)  # type: ignore[arg-type]


def are_computed(layer: nn.Module) -> bool:
    """Whether the weights or biases of a layer are computed from others, as by weight_norm.

    They are not read for that: spectral_norm, in training mode, takes a step whenever they are.
    """
    return is_parametrized(layer) or any(name in vars(layer) for name in ("weight", "bias"))


def candidates(trace: Trace) -> list[Candidate]:
    """Every Linear and convolution that is called, in order."""
    ran = [n for n in trace.nodes if isinstance(n.module, LAYERS)]
    first = {id(n.module): n for n in reversed(ran)}
    result = []
    for node in sorted(first.values(), key=lambda n: n.index):
        following = trace.after(node)
        result.append(Candidate(node, following, _reason(trace, node, following)))
    return result


def _reason(trace: Trace, node: Node, following: Following) -> str:
    assert node.module is not None
    times, axes = len(trace.calls(node.module)), len(node.shape)
    if times > 1:
        return f"is used {times} times in one pass; one norm would mix the statistics of all of them"
    if not node.name:
        return "is the whole network"
    if following.output:
        return "leads to the output"
    if are_computed(node.module):
        return "its weights are computed from others (weight_norm, spectral_norm, ...)"
    weight = node.module.weight
    if isinstance(weight, Tensor) and not weight.requires_grad:
        return "is frozen"
    if is_normed(trace, node):
        return "has a norm behind it"
    if following.activation is None:
        return "no activation follows before the next layer"
    if axes < 2 or (not isinstance(node.module, nn.Linear) and axes not in BY_AXES):
        return f"gives {list(node.shape)}, which is no mini-batch"
    if isinstance(weight, Tensor) and math.prod(node.shape[2:] if axes > 2 else ()) == 0:
        return "gives nothing"
    return ""


def is_normed(trace: Trace, node: Node) -> bool:
    """Whether a norm follows a layer, before any activation or other layer."""

    def onward(n: Node) -> list[Node]:
        ends = n is not node and (n.is_activation or n.is_weighted or len(n.sources) > 1)
        return [] if ends else trace.users(n)

    return any(n.is_norm for n in reached([node], onward))
