"""The audit's rules about the statistics of batch norms, those of a mini-batch and the running ones.

Each rule is a function of what was measured. A rule that cannot be checked raises `Unknown` with the reason.
"""

from collections.abc import Iterator, Set

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from zeroin.nn.auditing.findings import Finding
from zeroin.nn.auditing.measure import Measured, Subject, Unknown, first_output, noise, validation_losses
from zeroin.nn.layers import BATCHNORMS, DROPOUTS
from zeroin.nn.modes import buffers_kept, modes_kept, on_batches, switched
from zeroin.nn.norms.recalibration import recalibrate
from zeroin.nn.norms.surgery import copied
from zeroin.nn.norms.trace import watched
from zeroin.nn.precision import exact
from zeroin.nn.reached import reached
from zeroin.wording import first_line, percent

SMALL = 16  # the statistics of mini-batches with fewer examples are too noisy
GAP = (0.25, 0.02)  # it is an error if recalibration lowers the validation loss by this share and this amount


def last_batch(case: Measured) -> Iterator[Finding]:
    """A mini-batch of one example has no variance."""
    if case.subject.smallest is None:
        raise Unknown("no DataLoader and no batch_size given")
    if case.subject.smallest != 1 or not any(isinstance(m, BATCHNORMS) for m in case.subject.model.modules()):
        return
    error = ""
    try:
        with torch.no_grad():
            switched(copied(case.subject.model), True)(case.subject.x[:1])
    except ValueError as raised:
        error = f"; with it PyTorch says '{first_line(raised)}'"
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
        f"channel, the deviation by {percent(deviation)}; below about {SMALL} examples that costs accuracy",
        'model, _ = swap_norm(model, "group"), or norm="group" in the config, or a larger batch_size',
    )  # fmt: skip


def momentum(case: Measured) -> Iterator[Finding]:
    """PyTorch's momentum is the share of the newest mini-batch, Keras' is that of the old statistics."""
    modules = case.subject.model.named_modules()
    large = {p: m.momentum for p, m in modules if isinstance(m, BATCHNORMS) and m.momentum and m.momentum >= 0.5}
    trained = bool(large) and not case.subject.fresh
    shifts = dict(recalibrate(copied(case.subject.model), case.subject.x).layers) if trained else {}
    for path, share in large.items():
        off = f"; its running mean is {shifts[path]:.2f} deviations from that of the data" if path in shifts else ""
        yield Finding(
            "momentum convention", "error" if share >= 0.9 else "warning", path,
            f"momentum={share:g} means that the newest mini-batch makes up {percent(share)} of the running "
            f"statistics (Keras counts the other way round){off}",
            f"momentum={1 - share if 0.5 < share < 1.0 else 0.1:.3g}",
        )  # fmt: skip


def dropout_before(case: Measured) -> Iterator[Finding]:
    """With dropout before a batch norm, the variance of its inputs differs between training and evaluation."""
    drops = [n for n in case.trace.nodes if isinstance(n.module, DROPOUTS) or (not n.module and "dropout" in n.name)]
    norms = [n for n in case.trace.nodes if isinstance(n.module, BATCHNORMS)]
    befores = [(n, reached([n], case.trace.givers)) for n in norms]
    found = [(d, n) for n, before in befores for d in drops if d in before]
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
        "move the dropout behind the last batch norm, or leave it out",
    )  # fmt: skip


def averaged(case: Measured) -> Iterator[Finding]:
    """After weights were averaged, the running statistics are those of other weights."""
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
    """Running statistics that differ from those of the training data."""
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
    """A network that runs in training mode during evaluation."""
    if case.subject.evaluate is not None and (wrong := _in_training_during(case.subject)):
        yield Finding(
            "training mode at evaluation", "error", ", ".join(wrong[:4]),
            f"{len(wrong)} layers ran in training mode within evaluate(): results depend on the mini-batch, and the "
            f"validation data enter the running statistics",
            "model.eval() before evaluation, model.train() after it",
        )  # fmt: skip
    if evidence := _differences_at_evaluation(case.subject):
        yield Finding(
            "training mode at evaluation", "error", "forward", "after model.eval(): " + "; ".join(evidence),
            "F.dropout(x, p, training=self.training), F.batch_norm(..., training=self.training); no train() in "
            "forward; track_running_stats=True",
        )  # fmt: skip


def _differences_at_evaluation(subject: Subject) -> list[str]:
    """What in evaluation mode differs from pass to pass, or with the other examples of a mini-batch, in words."""
    model, x = switched(copied(subject.model), False), subject.sample
    standing = {n: b.clone() for n, b in model.named_buffers()}
    with torch.no_grad():
        whole, again, alone = (first_output(model, part) for part in (x, x, x[: max(2, len(x) // 4)]))
    scale = whole.abs().max().item() + 1e-12
    twice = (whole - again).abs().max().item() / scale
    first = whole[: len(alone)]
    company = (first - alone).abs().max().item() / scale if first.shape == alone.shape else 0.0
    moved = [
        name
        for name, buffer in model.named_buffers()
        if not torch.equal(buffer.nan_to_num(), standing[name].nan_to_num())  # where training diverged, NaN stays NaN
    ]
    evidence = [f"two passes differ by {percent(twice)}"] if twice > 1e-3 else []
    evidence += [f"an example's result changes by {percent(company)} with its company"] if company > 1e-3 else []
    return evidence + ([f"a pass changes {', '.join(moved[:3])}"] if moved else [])


def _variance_shift(subject: Subject, names: Set[str]) -> dict[str, float]:
    """For each norm, the ratio of the variance of its inputs with dropout to that without, averaged over channels."""
    model, seen = copied(subject.model), {name: list[Tensor]() for name in names}

    def note(name: str, given: Tensor) -> None:
        seen[name].append(exact(given).movedim(1, 0).flatten(1).var(1).mean())

    norms = {name: model.get_submodule(name) for name in names}
    with torch.no_grad(), watched(norms, note):
        torch.manual_seed(0)
        switched(model, True)(subject.sample)
        with on_batches(model):
            model(subject.sample)
    halves = {name: (sum(each[: len(each) // 2]), sum(each[len(each) // 2 :])) for name, each in seen.items()}
    return {name: float(a / (b + 1e-12)) for name, (a, b) in halves.items()}


def _in_training_during(subject: Subject) -> list[str]:
    seen: list[str] = []
    switched = {n: m for n, m in subject.model.named_modules() if isinstance(m, BATCHNORMS | DROPOUTS)}

    def note(name: str, _: Tensor) -> None:
        if switched[name].training:
            seen.append(name)

    assert subject.evaluate is not None
    model = subject.model
    with modes_kept(model), buffers_kept(model), watched(switched, note):
        subject.evaluate()
    return list(dict.fromkeys(seen))
