"""The audit's rules about the signal in a network: inputs, activations, gradients, initial weights."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from zeroin.nn.auditing.findings import Finding
from zeroin.nn.auditing.measure import Level, Measured, Subject, Unknown
from zeroin.nn.layers import LAYERS, NORMS
from zeroin.nn.modes import as_in_evaluation
from zeroin.nn.norms.trace import Node
from zeroin.nn.precision import exact
from zeroin.nn.reached import reached
from zeroin.wording import percent

GRAVE, SLIGHT = 1e3, 30.0  # factors by which the signal or the gradient may change from one end to the other
# Gains that keep the signal: He et al. 2015, equation 10 (relu family); Glorot & Bengio 2010, equation 16 (tanh);
# Klambauer et al. 2017 (selu).
GAINS = {
    "relu": math.sqrt(2), "leakyrelu": math.sqrt(2), "gelu": math.sqrt(2), "silu": math.sqrt(2), "elu": math.sqrt(2),
    "mish": math.sqrt(2), "hardswish": math.sqrt(2), "tanh": 1.0, "sigmoid": 1.0, "selu": 1.0,
}  # fmt: skip
INITIALISE = (
    "init={name!r} in the config; or for m in model.modules(): isinstance(m, (nn.Linear, nn.Conv2d)) and nn.init.{call}"
)
KAIMING = INITIALISE.format(name="kaiming", call="kaiming_normal_(m.weight, nonlinearity='relu')")
XAVIER = INITIALISE.format(name="xavier", call="xavier_uniform_(m.weight)")


def inputs(case: Measured) -> Iterator[Finding]:
    """Inputs should have similar means and scales."""
    x = case.subject.sample
    if not x.is_floating_point() or _normed_first(case):
        return
    x = exact(x)
    axes = tuple(range(max(1, x.dim() - 1))) if x.dim() < 4 else (0, *range(2, x.dim()))
    mean, scale = x.mean(axes), x.std(axes)
    alive = (scale > 1e-9) & (scale > 1e-6 * mean.abs())  # not what rounding leaves of a constant
    if not bool(alive.any()):
        return
    mean, scale = mean[alive], scale[alive]
    off, low, high = (mean.abs() / scale).max().item(), scale.min().item(), scale.max().item()
    whole = x.std().item()
    if x.dim() < 4 and len(x.shape) == 2 and bool((x >= 0).all()) and off < 20 and high < 30:
        off = 0.0  # pixels or counts by feature: rare ones look shifted
    if off > 3 or high / low > 1e3 or not 0.05 < whole < 20:
        yield Finding(
            "inputs not normalised", "error" if whole > 100 or whole < 0.005 or off > 100 else "warning", "inputs",
            f"deviations from {low:.2g} to {high:.2g}, means up to {off:.1f} deviations from 0",
            "x = (x - x_train.mean(0)) / x_train.std(0); a Task does it with normalise=True",
        )  # fmt: skip


def init(case: Measured) -> Iterator[Finding]:
    """With initial weights that do not suit the activation, the signal fades or explodes over the depth."""
    if not case.subject.fresh:
        raise Unknown("it is trained")
    plain = _longest_without_norm(case)
    gains = [(level, gain) for level in plain[1:] if (gain := _gain(case.subject, level)) is not None]
    if len(gains) < 3:
        return
    fits = [gain / _fits(level) for level, gain in gains]
    over_depth = math.prod(fits)
    if not (over_depth < 1 / SLIGHT or over_depth > SLIGHT):
        return
    change = plain[-1].spread / max(plain[0].spread, 1e-300)
    if 0.3 < change < 3:
        return
    grave = not 1 / GRAVE < change < GRAVE
    typical = math.exp(sum(math.log(max(g, 1e-12)) for _, g in gains) / len(gains))
    yield Finding(
        "init does not fit the activation", "error" if grave else "warning", f"{len(gains)} hidden layers",
        f"√fan_in times the weights' deviation is {typical:.2f}, {gains[0][0].activation} keeps the signal at "
        f"{typical / math.exp(math.log(max(over_depth, 1e-300)) / len(gains)):.2f}; between examples z changes "
        f"{_times(change)} from the first hidden layer to the last",
        f"{_initialise(plain)}; or model, _ = insert_batchnorm(model, x[:2])",
    )  # fmt: skip


def signal(case: Measured) -> Iterator[Finding]:
    """Activations that vanish or explode over the depth, or saturate."""
    levels = case.levels
    if not levels:
        return
    bad = [level for level in levels if not math.isfinite(level.spread)]
    ratios = [level.spread / max(case.inputs, 1e-300) for level in levels]
    last = ratios[-1] / max(ratios[0], 1e-300)
    if bad:
        yield Finding("activations explode", "error", bad[0].name, "z is not finite", _initialise(levels))
    elif last < 1 / SLIGHT or ratios[-1] < 1 / GRAVE:
        yield Finding(
            "activations vanish", "error" if min(last, ratios[-1]) < 1 / GRAVE else "warning", levels[-1].name,
            f"between examples z differs by {levels[0].spread:.2g} at {levels[0].name} and by {levels[-1].spread:.2g} "
            f"at {levels[-1].name}: every example looks the same",
            "model, _ = insert_batchnorm(model, x[:2]); or " + _initialise(levels),
        )  # fmt: skip
    elif last > SLIGHT or max(ratios) > GRAVE:
        yield Finding(
            "activations explode", "error" if max(last, max(ratios)) > GRAVE else "warning", levels[-1].name,
            f"z has deviation {levels[0].deviation:.2g} at {levels[0].name} and {levels[-1].deviation:.2g} at "
            f"{levels[-1].name}",
            "model, _ = insert_batchnorm(model, x[:2]); or " + _initialise(levels),
        )  # fmt: skip


def gradients(case: Measured) -> Iterator[Finding]:
    """Gradients that vanish or explode on their way back."""
    if not case.gradients:
        raise Unknown("no targets given, or nothing to train")
    hidden = case.gradients[:-1]
    if len(hidden) < 2:
        return
    (first, low), (last, high) = hidden[0], hidden[-1]
    end, most = max(case.gradients[-2:], key=lambda each: each[1])  # branches may begin as nothing: γ or a scale of 0
    if not all(math.isfinite(g) for _, g in hidden) or low > GRAVE * most:
        yield Finding(
            "gradients explode", "error", first, f"{low:.1e} at {first}, {most:.1e} at {end}",
            "grad_clip=1.0 in the config; model, _ = insert_batchnorm(model, x[:2])",
        )  # fmt: skip
    elif GRAVE * low < high or all(g < 1e-12 for _, g in hidden):
        yield Finding(
            "gradients vanish", "error", first,
            f"{low:.1e} at {first}, {high:.1e} at {last}: the first layers stand still",
            "model, _ = insert_batchnorm(model, x[:2]); or " + _initialise(case.levels),
        )  # fmt: skip


def dead(case: Measured) -> Iterator[Finding]:
    """ReLU units that are 0 for every example get no gradient."""
    found = [level for level in case.levels if level.dead is not None and level.dead > 0.2]
    if found:
        worst = max(found, key=lambda level: level.dead or 0.0)
        assert worst.dead is not None
        yield Finding(
            "dead ReLUs", "error" if worst.dead > 0.8 else "warning", worst.name,
            f"{percent(worst.dead)} of its units are 0 for each of {len(case.subject.sample)} examples "
            f"(z has mean {worst.mean:.2g}, deviation {worst.deviation:.2g}); {len(found)} layers have more than 20 %",
            "a smaller lr, activation='leaky_relu', or model, _ = insert_batchnorm(model, x[:2])",
        )  # fmt: skip


def _longest_without_norm(measured: Measured) -> list[Level]:
    """Most levels whose z comes from layers with no norm behind them, nor between them: each norm begins anew."""
    trace = measured.trace
    norms = [node for node in trace.nodes if node.is_norm]
    before = set(reached(norms, lambda node: [] if isinstance(node.module, LAYERS) else trace.givers(node)))
    plain = {node.name: node for node in trace.nodes if isinstance(node.module, LAYERS) and node not in before}
    stretches: dict[frozenset[Node], list[Level]] = {}
    for level in measured.levels:
        if level.name in plain:
            behind = frozenset(node for node in reached([plain[level.name]], trace.givers) if node.is_norm)
            stretches.setdefault(behind, []).append(level)
    return max(stretches.values(), key=len, default=[])


def _fits(level: Level) -> float:
    """The gain of the weights that preserves the signal through an activation."""
    return GAINS.get(level.activation.lower().rstrip("_").replace("_", ""), 1.0)


def _initialise(levels: Sequence[Level]) -> str:
    """Code to paste for the initialisation that suits most of the activations."""
    halved = sum(_fits(level) > 1 for level in levels)
    return KAIMING if 2 * halved >= len(levels) else XAVIER


def _gain(subject: Subject, level: Level) -> float | None:
    layer = dict(subject.model.named_modules()).get(level.name)
    if not isinstance(layer, LAYERS):
        return None
    with as_in_evaluation(layer), torch.no_grad():  # in training mode spectral_norm changes whenever it is read
        weight = layer.weight
        assert isinstance(weight, Tensor)
        return float(exact(weight).square().mean().sqrt()) * math.sqrt(nn.init._calculate_correct_fan(weight, "fan_in"))


def _normed_first(measured: Measured) -> bool:
    first = next((n for n in measured.trace.nodes if n.is_weighted or n.is_norm), None)
    return first is not None and (first.is_norm or isinstance(first.module, NORMS))


def _times(ratio: float) -> str:
    return f"{ratio:.2g}-fold" if ratio >= 1 else f"to {ratio:.1e} of it"
