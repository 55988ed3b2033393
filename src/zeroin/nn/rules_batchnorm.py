"""The audit's rules on batch normalisation; each a function of what was measured.

A rule that cannot be looked at raises `Unknown` with the reason.
"""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from zeroin.nn.findings import Finding
from zeroin.nn.measure import Measured, Subject, noise, validation_losses
from zeroin.nn.optim import NORMS
from zeroin.nn.recalibration import recalibrate
from zeroin.nn.trace import BATCHNORMS, LAYERS, Node, Trace

SMALL = 16  # examples in a mini-batch below which its statistics are too noisy
GAP = (0.25, 0.02)  # validation loss that recalibration saves: as a share and by itself, to be an error
DROPOUTS = nn.modules.dropout._DropoutNd


class Unknown(Exception):
    """A rule cannot be looked at; the reason."""


def bias(case: Measured) -> Iterator[Finding]:
    """A bias in front of a batch norm: its mean takes it away again."""
    for layer, _ in _layers_before_norms(case.trace):
        if layer.module is None or layer.module.bias is None:
            continue
        slopes = _slopes(case.subject, layer.name)
        yield Finding(
            "bias before batch norm", "warning", layer.name,
            f"its {len(layer.module.bias)} biases change nothing"  # type: ignore[arg-type]
            + (f": their gradient is {slopes[0]:.1e}, that of the weights {slopes[1]:.1e}" if slopes else ""),
            f"make the layer with bias=False, or once: model.get_submodule({layer.name!r}).bias = None",
        )  # fmt: skip


def last_batch(case: Measured) -> Iterator[Finding]:
    """A mini-batch of one example has no variance."""
    if case.subject.smallest is None:
        raise Unknown("no DataLoader and no batch_size given")
    if case.subject.smallest != 1 or not any(isinstance(m, BATCHNORMS) for m in case.subject.model.modules()):
        return
    error = ""
    try:
        with torch.no_grad():
            copy.deepcopy(case.subject.model).train()(case.subject.x[:1])
    except ValueError as raised:
        error = f"; with it PyTorch says '{str(raised).splitlines()[0]}'"
    yield Finding(
        "mini-batch of one", "error", "data",
        f"mini-batches of {case.subject.batch_size} leave a last one of 1 example{error}",
        "DataLoader(..., drop_last=True), or a batch_size that leaves two or more",
    )  # fmt: skip


def small_batches(case: Measured) -> Iterator[Finding]:
    """Statistics of few examples are noisy."""
    if case.subject.batch_size is None:
        raise Unknown("no DataLoader and no batch_size given")
    if not 2 <= case.subject.batch_size < SMALL:
        return
    off = noise(case.subject, case.subject.batch_size)
    if not off:
        return
    path, (mean, deviation) = max(off.items(), key=lambda item: item[1])
    if mean < 0.1:
        return
    yield Finding(
        "small mini-batches", "error" if case.subject.batch_size < 4 else "warning", path,
        f"with {case.subject.batch_size} examples the mean of a mini-batch is off by {mean:.2f} deviations of its "
        f"channel, the deviation by {100 * deviation:.0f} %; below about {SMALL} examples that costs accuracy",
        'model, _ = swap_norm(model, "group"), or norm="group" in the config, or a larger batch_size',
    )  # fmt: skip


def dropout_before(case: Measured) -> Iterator[Finding]:
    """Dropout before a batch norm: the variance that it sees differs between training and evaluation."""
    drops = [n for n in case.trace.nodes if isinstance(n.module, DROPOUTS) and n.module.p > 0]
    norms = [n for n in case.trace.nodes if isinstance(n.module, BATCHNORMS)]
    found = [(d, n) for n in norms for d in drops if d.index in _ancestors(case.trace, n)]
    if not found:
        return
    ratios = _variance_shift(case.subject, {n.name for _, n in found})
    name, ratio = max(ratios.items(), key=lambda item: abs(item[1] - 1))
    if abs(ratio - 1) < 0.03:
        return
    drop = next(d for d, n in found if n.name == name)
    yield Finding(
        "dropout before batch norm", "warning", f"{drop.name} before {name}",
        f"the variance that {name} sees in training is {ratio:.2f} times that at evaluation",
        f"move the dropout behind the last batch norm (p={drop.module.p} at {drop.name}), or leave it out",  # type: ignore[union-attr]
    )  # fmt: skip


def decay(case: Measured) -> Iterator[Finding]:
    """Weight decay pulls γ and β to 0."""
    if case.subject.optimizer is None:
        raise Unknown("no optimizer given")
    own = {id(p) for m in case.subject.model.modules() if isinstance(m, NORMS) for p in m.parameters(recurse=False)}
    pulled = [(p, g["weight_decay"]) for g in case.subject.optimizer.param_groups for p in g["params"]
              if id(p) in own and g.get("weight_decay")]  # fmt: skip
    if pulled:
        count = sum(p.numel() for p, _ in pulled)
        yield Finding(
            "weight decay on γ and β", "warning", "optimizer",
            f"{count} of them are decayed by {max(w for _, w in pulled):g}; behind a norm the scale of the weights "
            f"changes nothing, that of γ does",
            "AdamW([{'params': [p for p in model.parameters() if p.dim() > 1]}, "
            "{'params': [p for p in model.parameters() if p.dim() <= 1], 'weight_decay': 0.0}], ...)",
        )  # fmt: skip


def momentum(case: Measured) -> Iterator[Finding]:
    """PyTorch's momentum is the share of the newest mini-batch; Keras' that of the old."""
    for path, norm in case.subject.model.named_modules():
        if isinstance(norm, BATCHNORMS) and norm.momentum is not None and norm.momentum >= 0.5:
            lost = _distance(case.subject, path)
            yield Finding(
                "momentum convention", "error" if norm.momentum >= 0.9 else "warning", path,
                f"momentum={norm.momentum:g} means that the newest mini-batch makes up {100 * norm.momentum:.0f} % of "
                f"the running statistics (Keras counts the other way round)" + lost,
                f"momentum={1 - norm.momentum:.3g}",
            )  # fmt: skip


def on_output(case: Measured) -> Iterator[Finding]:
    """A norm on the output fixes its scale over each mini-batch."""
    for node in case.trace.nodes:
        if not isinstance(node.module, BATCHNORMS):
            continue
        following = case.trace.after(node)
        if following.output and following.activation is None:
            yield Finding(
                "batch norm on the output", "error", node.name,
                f"outputs have mean 0 and deviation 1 over each mini-batch, before γ and β; what an example gets "
                f"depends on the others of its mini-batch{_company(case.subject)}",
                "take it out: it belongs behind hidden layers",
            )  # fmt: skip


def gamma(case: Measured) -> Iterator[Finding]:
    """γ near zero: the channel is dead."""
    for path, norm in case.subject.model.named_modules():
        if not isinstance(norm, BATCHNORMS) or norm.weight is None:
            continue
        size = norm.weight.detach().abs()
        dead = int((size < 1e-3 * max(1.0, size.max().item())).sum())
        if not dead or (
            case.subject.fresh and dead == len(size)
        ):  # zero on purpose: He et al. 2019, the last of a block
            continue
        yield Finding(
            "γ near zero", "warning", path,
            f"{dead} of {len(size)} channels have |γ| < 0.001: they give the same for every example",
            f"with torch.no_grad(): g = model.get_submodule({path!r}).weight; g[g.abs() < 1e-3] = 1.0; "
            f"no weight decay on γ, or a smaller learning rate",
        )  # fmt: skip


def averaged(case: Measured) -> Iterator[Finding]:
    """After averaging of weights the statistics are of other weights."""
    if not isinstance(case.subject.model, AveragedModel):
        return
    losses = validation_losses(case.subject)
    if losses and losses[0] - losses[1] > 0.02 * abs(losses[1]):
        yield Finding(
            "statistics after weight averaging", "error", "AveragedModel",
            f"validation loss {losses[0]:.4g} as it is, {losses[1]:.4g} with statistics of the averaged weights",
            "recalibrate(model, x_train) after the last average",
        )  # fmt: skip


def stale(case: Measured) -> Iterator[Finding]:
    """Running statistics that are not those of the training data."""
    if case.subject.fresh:
        raise Unknown("it is not trained yet")
    losses = validation_losses(case.subject)
    if losses is None:
        if any(isinstance(m, BATCHNORMS) for m in case.subject.model.modules()):
            raise Unknown("no validation set given")
        return
    saved = losses[0] - losses[1]
    if not saved > 0.05 * abs(losses[1]) + 0.01:
        return
    grave = saved > GAP[0] * abs(losses[1]) and saved > GAP[1]
    yield Finding(
        "running statistics stale", "error" if grave else "warning", "all batch norms",
        f"validation loss {losses[0]:.4g} as it is, {losses[1]:.4g} recalibrated",
        "recalibrate(model, x_train) before each evaluation",
    )  # fmt: skip


def mode(case: Measured) -> Iterator[Finding]:
    """A forward in training mode during evaluation."""
    if case.subject.evaluate is not None and (wrong := _in_training_during(case.subject)):
        yield Finding(
            "training mode at evaluation", "error", ", ".join(wrong[:4]),
            f"{len(wrong)} layers ran in training mode within evaluate(): results depend on the mini-batch, and the "
            f"validation data enter the running statistics",
            "model.eval() before evaluation, model.train() after it",
        )  # fmt: skip
    model, x = copy.deepcopy(case.subject.model).eval(), case.subject.sample
    standing = {n: b.clone() for n, b in model.named_buffers()}
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        whole, again, alone = _first(model(x)), _first(model(x)), _first(model(x[: max(2, len(x) // 4)]))
    scale = whole.abs().max().item() + 1e-12
    twice = (whole - again).abs().max().item() / scale
    company = (whole[: len(alone)] - alone).abs().max().item() / scale if len(alone) <= len(whole) else 0.0
    moved = [
        name
        for name, buffer in model.named_buffers()
        if not torch.equal(buffer.nan_to_num(), standing[name].nan_to_num())  # where training diverged, NaN stays NaN
    ]
    if max(twice, company) > 1e-3 or moved:
        evidence = [f"two passes differ by {100 * twice:.0f} %"] if twice > 1e-3 else []
        evidence += [f"an example's result changes by {100 * company:.0f} % with its company"] if company > 1e-3 else []
        evidence += [f"a pass changes {', '.join(moved[:3])}"] if moved else []
        yield Finding(
            "training mode at evaluation", "error", "forward",
            "after model.eval(): " + "; ".join(evidence),
            "F.dropout(x, p, training=self.training), F.batch_norm(..., training=self.training); no train() in forward",
        )  # fmt: skip


def _layers_before_norms(trace: Trace) -> Iterator[tuple[Node, Node]]:
    for norm in trace.nodes:
        if isinstance(norm.module, BATCHNORMS) and len(norm.sources) == 1 and norm.sources[0] >= 0:
            layer = trace.nodes[norm.sources[0]]
            if isinstance(layer.module, LAYERS) and len(trace.users(layer)) == 1:
                yield layer, norm


def _slopes(subject: Subject, name: str) -> tuple[float, float] | None:
    """Root mean square gradients of a layer's bias and weight, in training mode."""
    if subject.y is None or subject.loss is None:
        return None
    model = copy.deepcopy(subject.model).train()
    with torch.random.fork_rng(devices=[]):
        subject.loss(model(subject.x[:256]), subject.y[:256]).backward()  # type: ignore[no-untyped-call]
    layer = model.get_submodule(name)
    both = [
        p.grad.square().mean().sqrt().item()
        for p in (layer.bias, layer.weight)
        if isinstance(p, Tensor) and p.grad is not None
    ]
    return (both[0], both[1]) if len(both) == 2 else None


def _ancestors(trace: Trace, node: Node) -> set[int]:
    found, heads = set[int](), [node]
    while heads:
        for i in heads.pop().sources:
            if i >= 0 and i not in found:
                found.add(i)
                heads.append(trace.nodes[i])
    return found


def _variance_shift(subject: Subject, names: set[str]) -> dict[str, float]:
    """By norm the variance of its inputs with dropout over that without, the mean over channels."""
    model, seen = copy.deepcopy(subject.model), {name: list[Tensor]() for name in names}
    for name in names:
        module = model.get_submodule(name)
        module.register_forward_pre_hook(
            lambda _, given, n=name: seen[n].append(given[0].double().movedim(1, 0).flatten(1).var(1).mean())
        )
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model.train()(subject.sample)
        for m in model.modules():
            if isinstance(m, DROPOUTS):
                m.p = 0.0
        model(subject.sample)
    return {name: float(a / (b + 1e-12)) for name, (a, b) in seen.items()}


def _distance(subject: Subject, path: str) -> str:
    """How far the running mean of a norm lies from that of the data, in words."""
    if subject.fresh:
        return ""
    shifts = dict(recalibrate(copy.deepcopy(subject.model), subject.x).layers)
    return f"; its running mean is {shifts[path]:.2f} deviations from that of the data" if path in shifts else ""


def _company(subject: Subject) -> str:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        model = copy.deepcopy(subject.model).train()
        one, other = _first(model(subject.sample[:8])), _first(model(subject.sample[:16]))[:8]
    return f" (by {(one - other[: len(one)]).abs().mean().item():.2g} on average, between 8 and 16)"


def _in_training_during(subject: Subject) -> list[str]:
    seen: list[str] = []

    def watch(name: str, module: nn.Module) -> None:
        if module.training:
            seen.append(name)

    handles = [
        m.register_forward_pre_hook(lambda m, _, n=n: watch(n, m))
        for n, m in subject.model.named_modules()
        if isinstance(m, BATCHNORMS | DROPOUTS)
    ]
    standing = {n: b.clone() for n, b in subject.model.named_buffers()}
    modes = {m: m.training for m in subject.model.modules()}
    try:
        assert subject.evaluate is not None
        with torch.random.fork_rng(devices=[]):
            subject.evaluate()
    finally:
        for handle in handles:
            handle.remove()
        for m, training in modes.items():
            m.training = training
        with torch.no_grad():
            for n, b in subject.model.named_buffers():
                b.copy_(standing[n])
    return list(dict.fromkeys(seen))


def _first(result: object) -> Tensor:
    if isinstance(result, Tensor):
        return result
    if isinstance(result, tuple | list):
        return _first(result[0])
    raise Unknown(f"the network returns a {type(result).__name__}")
