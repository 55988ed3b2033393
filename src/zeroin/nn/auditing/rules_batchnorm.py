"""The audit's rules about batch norms as layers: where they are, and their γ and β.

Each rule is a function of what was measured. A rule that cannot be checked raises `Unknown` with the reason.
"""

from collections.abc import Iterator

import torch

from zeroin.nn.auditing.findings import Finding
from zeroin.nn.auditing.measure import Measured, Subject, Unknown, first_output
from zeroin.nn.layers import BATCHNORMS, LAYERS, NORMS
from zeroin.nn.modes import on_batches
from zeroin.nn.norms.surgery import copied
from zeroin.nn.norms.trace import Node, Trace


def bias(case: Measured) -> Iterator[Finding]:
    """A bias in front of a batch norm has no effect, because subtracting the mean cancels it."""
    weights = dict(case.gradients)
    for layer in _layers_before_norms(case.trace):
        if layer.module is None or layer.module.bias is None:
            continue
        own, others = case.biases.get(layer.name), weights.get(layer.name)
        yield Finding(
            "bias before batch norm", "warning", layer.name,
            f"its {len(layer.module.bias)} biases change nothing"  # type: ignore[arg-type]
            + ("" if own is None or others is None else f": gradients {own:.1e}, those of the weights {others:.1e}"),
            f"make the layer with bias=False, or once: model.get_submodule({layer.name!r}).bias = None",
        )  # fmt: skip


def on_output(case: Measured) -> Iterator[Finding]:
    """A batch norm on the output fixes the scale of the output over each mini-batch."""
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


def decay(case: Measured) -> Iterator[Finding]:
    """Weight decay pulls γ and β towards 0."""
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


def gamma(case: Measured) -> Iterator[Finding]:
    """A channel whose γ is near zero is dead."""
    for path, norm in case.subject.model.named_modules():
        if not isinstance(norm, BATCHNORMS) or norm.weight is None:
            continue
        size = norm.weight.detach().abs()
        least = f"{1e-3 * max(1.0, size.max().item()):.3g}"
        dead = int((size < float(least)).sum())
        if not dead or (case.subject.fresh and dead == len(size)):  # on purpose: He et al. 2019, the last of a block
            continue
        yield Finding(
            "γ near zero", "warning", path,
            f"{dead} of {len(size)} channels have |γ| < {least}: they give the same for every example",
            f"with torch.no_grad(): g = model.get_submodule({path!r}).weight; g[g.abs() < {least}] = 1.0; "
            f"no weight decay on γ, or a smaller learning rate",
        )  # fmt: skip


def _layers_before_norms(trace: Trace) -> Iterator[Node]:
    """The layers whose result is used by a batch norm and nothing else."""
    for norm in trace.nodes:
        if isinstance(norm.module, BATCHNORMS) and len(norm.sources) == 1 and norm.sources[0] >= 0:
            layer = trace.nodes[norm.sources[0]]
            if isinstance(layer.module, LAYERS) and len(trace.users(layer)) == 1:
                yield layer


def _company(subject: Subject) -> str:
    """How much the result for an example changes with the size of its mini-batch, in words."""
    model = copied(subject.model)
    with on_batches(model), torch.no_grad():
        few, more = first_output(model, subject.sample[:8]), first_output(model, subject.sample[:16])[:8]
    if few.shape != more.shape:
        return ""
    return f" (by {(few - more).abs().mean().item():.2g} on average, between 8 and 16)"
