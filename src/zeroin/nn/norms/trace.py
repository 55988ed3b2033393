"""Tracing a network on an example: which layers and functions run, in which order, and on whose results."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from zeroin.errors import TaskError
from zeroin.nn.layers import NORMS
from zeroin.nn.modes import as_in_evaluation, on_batches
from zeroin.nn.randomness import seeded
from zeroin.nn.reached import reached
from zeroin.wording import first_line

Example: TypeAlias = Tensor | tuple[Any, ...]


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


WEIGHTED_FUNCTIONS = _names(
    "linear bilinear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d matmul __matmul__ "
    "__rmatmul__ mm bmm addmm baddbmm einsum tensordot embedding scaled_dot_product_attention lstm gru"
)
ACTIVATION_FUNCTIONS = _names(
    "relu relu_ relu6 leaky_relu leaky_relu_ gelu silu elu elu_ selu selu_ celu celu_ prelu rrelu tanh tanh_ sigmoid "
    "sigmoid_ hardswish hardsigmoid hardtanh hardtanh_ mish softplus softsign logsigmoid threshold threshold_ glu "
    "clamp clamp_ clamp_min clamp_min_ clip clip_ maximum sin"
)
NORM_FUNCTIONS = _names("batch_norm layer_norm group_norm instance_norm rms_norm")
READING = _names(  # functions that turn values of a tensor into Python values
    "__bool__ item tolist __float__ __int__ __index__ __complex__ __contains__ numpy __array__ equal allclose "
    "is_nonzero"
)
NOT_ACTIVATIONS = (nn.MultiheadAttention, nn.Softmax, nn.LogSoftmax, nn.Softmax2d, nn.Softmin)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A call of a module or of a function.

    Args:
        index: counts the calls in order.
        name: the path of the module, or the name of the function.
        module: None for a function.
        sources: the calls whose results are its inputs; -1 is the example.
        shape: of its (first) result.
        before: the shape of its (first) input.
    """

    index: int
    name: str
    module: nn.Module | None
    sources: tuple[int, ...]
    shape: tuple[int, ...]
    before: tuple[int, ...]

    @property
    def is_norm(self) -> bool:
        """Whether it is a normalisation."""
        return isinstance(self.module, NORMS) if self.module is not None else self.name in NORM_FUNCTIONS

    @property
    def is_activation(self) -> bool:
        """Whether it is an activation function, elementwise and not linear."""
        if self.module is None:
            return self.name in ACTIVATION_FUNCTIONS
        return _home(self.module) == _home(nn.ReLU()) and not isinstance(self.module, NOT_ACTIVATIONS)

    @property
    def is_weighted(self) -> bool:
        """Whether it multiplies with weights: a layer, a recurrent network, attention, or a function that does so."""
        if self.module is None:
            return self.name in WEIGHTED_FUNCTIONS
        trained = any(p.dim() >= 2 for p in self.module.parameters())
        return trained and not self.is_norm and not self.is_activation


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """All calls of one pass, in order.

    Args:
        nodes: the calls.
        outputs: the indices of those whose results the network returned.
        read: the functions by which the network read values that depend on the example.
    """

    nodes: tuple[Node, ...]
    outputs: frozenset[int]
    read: tuple[str, ...]

    def users(self, node: Node) -> list[Node]:
        """The calls that use its result."""
        return [n for n in self.nodes[node.index + 1 :] if node.index in n.sources]

    def givers(self, node: Node) -> list[Node]:
        """The calls whose results it uses."""
        return [self.nodes[i] for i in node.sources if i >= 0]

    def calls(self, module: nn.Module) -> list[Node]:
        """The calls of a module."""
        return [n for n in self.nodes if n.module is module]

    def after(self, node: Node) -> "Following":
        """The calls that follow a call, up to and including the next layers with weights."""
        found = reached([node], lambda n: () if n.is_weighted and n is not node else self.users(n))
        output = any(n.index in self.outputs for n in found if n is node or not n.is_weighted)
        return Following(tuple(sorted(found[1:], key=lambda n: n.index)), output)


@dataclass(frozen=True, slots=True, eq=False)
class Following:
    """The calls that follow one, up to the next layers with weights; `output`: the network's output is among them."""

    nodes: tuple[Node, ...]
    output: bool

    @property
    def activation(self) -> Node | None:
        """The first activation function."""
        return next((n for n in self.nodes if n.is_activation), None)


def record(
    model: nn.Module,
    example: Example,
    watch: Callable[[Node, Tensor], None] | None = None,
    *,
    batch_statistics: bool = False,
) -> Trace:
    """Run a network once on an example, in evaluation mode, and record its calls.

    As with torch.fx, a module of torch.nn is a single call, and all other modules are looked into. Unlike a symbolic
    trace, this works with any Python code in `forward`, and it knows the shapes. No weight and no buffer changes.

    Args:
        model: any network.
        example: a mini-batch of its inputs.
        watch: is called with each call and its (first) result.
        batch_statistics: whether batch norms use the statistics of the example instead of the running ones.

    Returns:
        The trace.

    Raises:
        TaskError: the network does not take the example.

    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    >>> [(n.name, n.shape) for n in record(net, torch.zeros(2, 4)).nodes]
    [('0', (2, 3)), ('1', (2, 3))]
    """
    recorder = _Recorder(watch)
    arguments = arguments_of(example)
    recorder.know(arguments, -1)
    mode = on_batches(model) if batch_statistics else as_in_evaluation(model)
    try:
        with mode, torch.no_grad(), seeded(0), recorder.hooked(model), recorder:
            result = model(*arguments)
    except Exception as error:  # the user's code may raise anything
        shapes = [list(a.shape) for a in tensors(arguments)]
        reason = first_line(error)
        raise TaskError(
            f"a network takes its example; for {', '.join(map(str, shapes))} it stops with '{reason}': "
            f"give one mini-batch of its inputs, example=x[:2]."
        ) from error
    outputs = {recorder.made[id(t)] for t in tensors(result) if id(t) in recorder.made}
    return Trace(tuple(recorder.nodes), frozenset(outputs), tuple(dict.fromkeys(recorder.read)))


@contextmanager
def watched(modules: Mapping[str, nn.Module], note: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Call `note` with the name and the input of each of the modules whenever it is called."""

    def hook(name: str) -> Callable[..., None]:
        return lambda _, args, kwargs: note(name, tensors((args, kwargs))[0])

    with ExitStack() as hooks:
        for name, module in modules.items():
            hooks.enter_context(module.register_forward_pre_hook(hook(name), with_kwargs=True))
        yield


def arguments_of(example: Example) -> tuple[Any, ...]:
    """What a network is called with: several inputs are a tuple."""
    return example if isinstance(example, tuple) else (example,)


def tensors(values: Any) -> list[Tensor]:
    """All tensors in tuples, lists, dicts and dataclasses, in order.

    >>> tensors({"a": torch.zeros(2), "b": [torch.zeros(3), 1]})
    [tensor([0., 0.]), tensor([0., 0., 0.])]
    """
    found = []
    for leaf in tree_leaves(values):
        if isinstance(leaf, Tensor):
            found.append(leaf)
        elif is_dataclass(leaf) and not isinstance(leaf, type):
            found += tensors([getattr(leaf, field.name) for field in fields(leaf)])
    return found


def _is_leaf(module: nn.Module) -> bool:
    ours = _home(module).startswith("torch.nn.modules")
    return ours and not isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)


def _home(module: nn.Module) -> str:
    """Where the forward of a module was written, which a class of the user's own may inherit."""
    return str(getattr(module.forward, "__module__", ""))


class _Recorder(TorchFunctionMode):
    """Records the functions of torch that are called; hooks report modules of torch.nn, which are not looked into."""

    def __init__(self, watch: Callable[[Node, Tensor], None] | None) -> None:
        super().__init__()
        self.watch = watch
        self.nodes: list[Node] = []
        self.read: list[str] = []
        self.made: dict[int, int] = {}  # which call made a tensor, by its id
        self.kept: list[Tensor] = []  # so that no id is used twice
        self.depth = 0  # > 0: within a module of torch.nn

    def know(self, values: Any, index: int) -> None:
        for tensor in tensors(values):
            self.made[id(tensor)] = index
            self.kept.append(tensor)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # torch's own signature
        result = func(*args, **(kwargs or {}))
        if not self.depth:
            name = getattr(func, "__name__", "")
            sources = self._sources((args, kwargs))
            if name in READING and sources:
                self.read.append(name.strip("_"))
            made = args[0] if name == "__setitem__" else result  # it changes that, and returns nothing
            self._note(name, None, (args, kwargs), made, sources)
        return result

    @contextmanager
    def hooked(self, model: nn.Module) -> Iterator[None]:
        names = {module: name for name, module in reversed(list(model.named_modules()))}
        with ExitStack() as hooks:
            for module, name in names.items():
                if _is_leaf(module):
                    hooks.enter_context(module.register_forward_pre_hook(self.enter, prepend=True))
                    hooks.enter_context(module.register_forward_hook(self.leaving(name), with_kwargs=True))
            yield

    def enter(self, module: nn.Module, args: Any) -> None:  # noqa: ARG002
        self.depth += 1

    def leaving(self, name: str) -> Callable[..., None]:
        def leave(module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
            self.depth -= 1
            if not self.depth:
                self._note(name, module, (args, kwargs), result, self._sources((args, kwargs)))

        return leave

    def _sources(self, given: Any) -> tuple[int, ...]:
        return tuple(dict.fromkeys(self.made[id(t)] for t in tensors(given) if id(t) in self.made))

    def _note(self, name: str, module: nn.Module | None, given: Any, result: Any, sources: tuple[int, ...]) -> None:
        made = tensors(result)
        if not made or (not sources and module is None):
            return
        before = tensors(given)
        shapes = tuple(made[0].shape), tuple(before[0].shape) if before else ()
        self.nodes.append(Node(len(self.nodes), name, module, sources, *shapes))
        self.know(result, len(self.nodes) - 1)
        if self.watch is not None:
            with torch._C.DisableTorchFunction():
                self.watch(self.nodes[-1], made[0])
