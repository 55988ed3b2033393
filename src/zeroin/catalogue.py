"""The usual hyperparameters of neural networks: default, range, scale, limits, source; and a space made of them.

A range is where good values were published, drawn wide; `limits` are how far the search may move it when the best lies
on its edge. Defaults are PyTorch's where it has one worth starting from; where not, the entry says so.
Longer than other files because half of it is one table, which is read best in one place.
"""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from zeroin.errors import SpaceError
from zeroin.space import Choice, Float, Hyperparameter, Int, Space
from zeroin.space.plain import When
from zeroin.types import Value

OPTIMIZERS = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "nadam")
ADAM = ("adam", "adamw", "nadam")  # those with two betas
COLUMNS = ("name", "for", "symbol", "default", "range", "scale", "limits", "meaning")

Asked: TypeAlias = Hyperparameter | tuple[Value, ...] | Value


@dataclass(frozen=True, slots=True)
class Entry:
    """One hyperparameter of the catalogue.

    Args:
        name, symbol, meaning: what a config calls it, how the literature writes it, what it does in one line.
        param: range, scale, default and limits; its `when` holds only where the other one is in the space too.
        depends: what moves its best value, in words.
        source: paper with section or equation, or the framework's documentation.
        by_optimizer: the same for each optimizer that has it; empty where the optimizer does not matter.
        worth: full trainings from which it is tuned unasked beside the others; None: only when named.
        unasked: optimizers that have it, but where it is tuned only when named.
        possible: values outside it mean nothing, whoever asks for them.
        costs: which values make an epoch dearer, "large" or "small" ones; a space does not let the range grow that way.
    """

    name: str
    symbol: str
    meaning: str
    param: Hyperparameter
    depends: str
    source: str
    by_optimizer: Mapping[str, Hyperparameter] = field(default_factory=dict)
    worth: int | None = None
    unasked: tuple[str, ...] = ()
    possible: tuple[float, float] = (-math.inf, math.inf)
    costs: str = ""

    def param_for(self, optimizer: str) -> Hyperparameter | None:
        """The hyperparameter as this optimizer has it; None where it has none."""
        return self.by_optimizer.get(optimizer) if self.by_optimizer else self.param


def _log(low: float, high: float, default: float, limits: tuple[float, float], zero: bool = False) -> Float:
    return Float(low, high, scale="log", default=default, limits=limits, zero=zero)


def _decay(low: float, high: float, default: float, limits: tuple[float, float]) -> Float:
    return Float(low, high, scale="one_minus_log", default=default, limits=limits)


_SGD = _log(1e-3, 1.0, 0.01, (1e-6, 10.0))
_HEAVY = _log(1e-4, 1.0, 0.01, (1e-7, 10.0))
_RMSPROP = _log(1e-5, 0.1, 0.01, (1e-7, 1.0))
_ADAM = _log(1e-5, 0.1, 1e-3, (1e-7, 1.0))
_MOMENTUM = _decay(0.5, 0.999, 0.9, (0.1, 0.9999))
_BETA1 = _decay(0.5, 0.999, 0.9, (0.0, 0.9999))
_BETA2 = _decay(0.9, 0.9999, 0.999, (0.5, 0.99999))
_EPS = _log(1e-10, 0.01, 1e-8, (1e-12, 10.0))
_L2 = _log(1e-6, 0.1, 0.0, (1e-6, 1.0), zero=True)  # below low lies only the zero, so low is the lower limit too
_DECOUPLED = _log(1e-4, 1.0, 0.01, (1e-4, 10.0), zero=True)

_ENTRIES = (
    Entry(
        "optimizer", "–", "rule that turns gradients into steps",
        Choice(*OPTIMIZERS, default="adamw"),
        "each has its own learning rates: compare optimizers only after tuning each; sgd is the plain one, "
        "momentum and nesterov are SGD with momentum",
        "Choi et al. 2019, arXiv 1910.05446; Deep Learning Tuning Playbook, 'Choosing the optimizer'",
    ),
    Entry(
        "lr", "α (η, ε)", "learning rate: length of a step",
        _ADAM,
        "optimizer; momentum (the step is lr/(1−β) long); batch size; batch normalisation, which lifts the upper end "
        "(5–13 times on digits): the limits leave room for it. PyTorch's 0.001 for SGD gave way to Bengio's 0.01",
        "Robbins & Monro 1951; Goodfellow et al. 2016, sections 8.3.1 and 11.4; Bengio 2012, arXiv 1206.5533, "
        "section 3.1; Kingma & Ba 2015, arXiv 1412.6980, Algorithm 1; torch.optim",
        {"sgd": _SGD, "momentum": _HEAVY, "nesterov": _HEAVY, "rmsprop": _RMSPROP, "adam": _ADAM, "adamw": _ADAM,
         "nadam": replace(_ADAM, default=2e-3)},
        worth=1,
    ),
    Entry(
        "momentum", "β (μ, γ)", "share of the last step that is kept",
        _MOMENTUM,
        "learning rate: lr/(1−β) is what acts, so tune both; with RMSProp it starts at 0 and is tuned only when named. "
        "PyTorch's SGD starts at 0; 0.9 is the value of the literature",
        "Polyak 1964; Sutskever et al. 2013, equations 1–2 (momentum) and 3–4 (Nesterov)",
        {"momentum": _MOMENTUM, "nesterov": _MOMENTUM, "rmsprop": _decay(0.0, 0.99, 0.0, (0.0, 0.9999))},
        worth=1, unasked=("rmsprop",), possible=(0.0, 1.0),
    ),
    Entry(
        "beta1", "β₁", "decay of the running mean of gradients",
        _BETA1,
        "batch size and noise: larger where gradients are noisy; learning rate",
        "Kingma & Ba 2015, arXiv 1412.6980, Algorithm 1; Dozat 2016 (NAdam); torch.optim.Adam",
        dict.fromkeys(ADAM, _BETA1), worth=10, possible=(0.0, 1.0),
    ),
    Entry(
        "beta2", "β₂ (α, ρ of RMSProp)", "decay of the running mean of squared gradients",
        _BETA2,
        "number of steps: 1/(1−β₂) of them are remembered; smaller for short trainings and large batches",
        "Kingma & Ba 2015, arXiv 1412.6980, Algorithm 1; Hinton 2012, lecture 6e (RMSProp: 0.9); torch.optim",
        {"rmsprop": replace(_BETA2, default=0.99), **dict.fromkeys(ADAM, _BETA2)}, worth=100, possible=(0.0, 1.0),
    ),
    Entry(
        "eps", "ε", "added to the root of the squared gradients before dividing",
        _EPS,
        "learning rate: a large ε turns Adam into momentum with rate lr/ε",
        "Kingma & Ba 2015, arXiv 1412.6980, Algorithm 1; Choi et al. 2019, arXiv 1910.05446; "
        "Hinton 2012, lecture 6e (RMSProp)",
        dict.fromkeys(("rmsprop", *ADAM), _EPS), worth=25,
    ),
    Entry(
        "weight_decay", "λ", "pull of the weights towards 0 at every step; 0: none",
        _L2,
        "learning rate, above all under batch normalisation, where it only sets the effective rate (van Laarhoven "
        "2017, arXiv 1706.05350); decoupled from the gradient in adamw, part of it elsewhere; usually not for biases "
        "nor for γ and β of normalisation",
        "Loshchilov & Hutter 2019, arXiv 1711.05101, Algorithm 2; Krogh & Hertz 1992; torch.optim",
        {o: _DECOUPLED if o == "adamw" else _L2 for o in OPTIMIZERS}, possible=(0.0, math.inf),
    ),
    Entry(
        "batch_size", "B", "examples in a mini-batch",
        Int(16, 512, scale="log2", default=32, limits=(2, 65536)),
        "memory and speed; learning rate, momentum and decay have other best values at each batch size. Sets the time "
        "of a training rather than its quality. PyTorch's DataLoader starts at 1, Bengio at 32",
        "Bengio 2012, arXiv 1206.5533, section 3.1; Shallue et al. 2019, arXiv 1811.03600; "
        "Deep Learning Tuning Playbook, 'Choosing the batch size'",
        costs="small",
    ),
    Entry(
        "layers", "L", "hidden layers",
        Int(1, 6, default=2, limits=(1, 100)),
        "initialisation and batch normalisation: deep networks need one of them right; learning rate falls with depth",
        "Bergstra & Bengio 2012, JMLR 13; Goodfellow et al. 2016, section 6.4",
        costs="large",
    ),
    Entry(
        "units", "n", "width of a hidden layer; units='per_layer' makes one for each",
        Int(16, 1024, scale="log", default=128, limits=(1, 65536)),
        "data: more examples carry more units; dropout and decay",
        "Bergstra & Bengio 2012, JMLR 13, section 2 (18 to 1024, geometrically)",
        costs="large",
    ),
    Entry(
        "dropout", "p", "share of units put to 0 in a training step",
        Float(0.0, 0.7, default=0.5, limits=(0.0, 0.95)),
        "width and number of examples; less or none with batch normalisation, and then after the last of it "
        "(Li et al. 2018, arXiv 1801.05134). The paper's p is the share kept, PyTorch's and ours the share dropped",
        "Srivastava et al. 2014, JMLR 15; torch.nn.Dropout",
        possible=(0.0, 1.0),
    ),
    Entry(
        "activation", "g", "what a unit does to its input",
        Choice("relu", "leaky_relu", "gelu", "silu", "tanh", "elu"),
        "initialisation: kaiming belongs to the relu family, xavier to tanh",
        "Nair & Hinton 2010; Maas et al. 2013; Hendrycks & Gimpel 2016, arXiv 1606.08415; Ramachandran et al. 2017, "
        "arXiv 1710.05941; Clevert et al. 2016, arXiv 1511.07289",
    ),
    Entry(
        "batchnorm", "BN", "normalise each hidden unit over the mini-batch",
        Choice(True, False),
        "batch size: too noisy for very small ones; allows larger learning rates and poorer initialisation. "
        "batchnorm=True searches it; Choice(True, False, fixed=True) holds it",
        "Ioffe & Szegedy 2015, arXiv 1502.03167, Algorithm 1; Bjorck et al. 2018, arXiv 1806.02375",
    ),
    Entry(
        "norm", "–", "which normalisation hidden layers have; in place of batchnorm where several kinds are compared",
        Choice("none", "batch", "group", "layer", default="batch"),
        "batch size: batch needs 16 or more, group and layer do not look at the batch; layer is that of transformers "
        "and recurrent networks. group: 32 groups, or the most that divide the channels; behind a fully connected "
        "layer groups of 16 channels or more",
        "Ioffe & Szegedy 2015, arXiv 1502.03167, Algorithm 1; Wu & He 2018, arXiv 1803.08494, sections 3 and 4.1; "
        "Ba et al. 2016, arXiv 1607.06450, equation 4",
    ),
    Entry(
        "norm_position", "–", "normalise before the activation, or after it",
        Choice("before", "after", when={"batchnorm": True, "norm": ("batch", "group", "layer")}),
        "activation: after a relu the mean is that of the positive part; a layer in front of a batch norm has no bias",
        "Ioffe & Szegedy 2015, arXiv 1502.03167, section 3.2 (before); Mishkin et al. 2017, arXiv 1606.02228, "
        "section 3.3 (both compared)",
    ),
    Entry(
        "bn_momentum", "m", "share of the newest mini-batch in the running statistics",
        Float(0.01, 0.5, scale="log", default=0.1, limits=(1e-4, 1.0),
              when={"batchnorm": True, "norm": "batch"}),
        "number of steps in a training and batch size. PyTorch's convention: new = (1−m)·old + m·batch; "
        "Keras counts the other way round, its 0.99 is 0.01 here",
        "torch.nn.BatchNorm1d; Ioffe & Szegedy 2015, arXiv 1502.03167, section 3.1", possible=(0.0, 1.0),
    ),
    Entry(
        "bn_eps", "ε", "added to the variance of the mini-batch before its root",
        Float(1e-6, 0.01, scale="log", default=1e-5, limits=(1e-8, 1.0),
              when={"batchnorm": True, "norm": ("batch", "group", "layer")}),
        "number format: not below 1e-5 in half precision. Keras starts at 0.001",
        "Ioffe & Szegedy 2015, arXiv 1502.03167, Algorithm 1; torch.nn.BatchNorm1d",
    ),
    Entry(
        "schedule", "α(t)", "course of lr over max_epochs, so that a paused trial continues exactly",
        Choice("constant", "cosine", "linear", "step", "wsd"),
        "length of training: it spans max_epochs from the first step on, wherever a trial is paused. With d = lr_decay "
        "and s the share done of the steps after warm-up, lr is multiplied by: "
        "constant 1; cosine d + (1−d)·(1 + cos πs)/2; linear 1 − (1−d)·s; step 1, √d from s = 1/2, d from s = 3/4; "
        "wsd (warm-up, stable, decay) 1 up to s = 0.8, then straight down to d",
        "Loshchilov & Hutter 2017, arXiv 1608.03983, equation 5 (cosine); He et al. 2016, arXiv 1512.03385, section "
        "4.2 (step); Hu et al. 2024, arXiv 2404.06395 (wsd); Hägele et al. 2024, arXiv 2405.18392",
    ),
    Entry(
        "lr_decay", "d", "learning rate at the end of the schedule, as a share of lr",
        Float(1e-3, 1.0, scale="log", default=0.01, limits=(1e-6, 1.0),
              when={"schedule": ("cosine", "linear", "step", "wsd")}),
        "schedule (none under 'constant'); learning rate: a higher one wants a deeper fall",
        "He et al. 2016, arXiv 1512.03385, section 4.2 (twice by 10: 0.01); Goodfellow et al. 2016, section 8.3.1",
        possible=(0.0, 1.0),
    ),
    Entry(
        "warmup", "w", "share of all steps in which lr rises from 0 in a straight line; 0: none",
        Float(0.0, 0.2, default=0.0, limits=(0.0, 0.5)),
        "learning rate and batch size: large ones need it; adaptive optimizers and transformers more than others",
        "Goyal et al. 2017, arXiv 1706.02677, section 2.2; Deep Learning Tuning Playbook, 'Learning rate warmup'",
        possible=(0.0, 1.0),
    ),
    Entry(
        "label_smoothing", "ε", "share of the target spread evenly over all classes; 0: none",
        Float(0.0, 0.3, default=0.0, limits=(0.0, 0.9)),
        "classification only; noise in the labels. It changes what a cross-entropy means: compare by the plain one",
        "Szegedy et al. 2016, arXiv 1512.00567, section 7; torch.nn.CrossEntropyLoss", possible=(0.0, 1.0),
    ),
    Entry(
        "grad_clip", "c (θ)", "largest norm of the whole gradient, longer ones are shortened to it; 0: off",
        _log(0.1, 10.0, 0.0, (0.1, 1e3), zero=True),
        "recurrent and deep networks; one that clips most steps is a smaller learning rate by another name",
        "Pascanu et al. 2013, arXiv 1211.5063, Algorithm 1; torch.nn.utils.clip_grad_norm_", possible=(0.0, math.inf),
    ),
    Entry(
        "init", "W₀", "law of the weights before training; 'default': the framework's",
        Choice("default", "kaiming", "xavier", "orthogonal"),
        "activation and depth; matters little under batch normalisation",
        "He et al. 2015, arXiv 1502.01852, equation 10; Glorot & Bengio 2010, equation 16; "
        "Saxe et al. 2014, arXiv 1312.6120 (orthogonal); torch.nn.init",
    ),
)  # fmt: skip

CATALOGUE: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}
PACE = frozenset(e.name for e in _ENTRIES if e.costs)  # they set what an epoch takes


def space(optimizer: str | Iterable[str] = "adamw", trainings: float | None = None, **include: Asked) -> Space:
    """A space of catalogued hyperparameters: those of the optimizer that the budget can tune, and those that are named.

    Args:
        optimizer: one of `OPTIMIZERS`, held fixed in the space; or several, to be chosen among. What only some of them
            have is active only for those; what differs between them gets one range that covers them all.
        trainings: full trainings that the budget pays for. Adam's family by the Tuning Playbook: fewer than 10: lr;
            from 10: beta1 too; from 25: eps; from 100: beta2. None: all of them.
        **include: by name of an entry: True adds it, False or None leaves it out, `(low, high)` adds it with that range
            (a tuple of options for a Choice), a number or option fixes it, a Float, Int or Choice takes its place.
            units="per_layer" makes units_1, units_2, ..., each active where there are that many layers.

    Returns:
        The space, in the order of the catalogue.

    Raises:
        SpaceError: an unknown name or optimizer, a hyperparameter that the optimizer has not, an impossible range.

    >>> list(space("adamw", trainings=12, layers=True, units=(32, 256)))
    ['optimizer', 'lr', 'beta1', 'layers', 'units']
    >>> space("sgd", lr=(1e-3, 3.0), batch_size=64).default
    {'optimizer': 'sgd', 'lr': 0.01, 'batch_size': 64}

    Source: Deep Learning Tuning Playbook, "How should Adam's hyperparameters be tuned?".
    """
    chosen = _optimizers(optimizer)
    if trainings is not None and not (isinstance(trainings, int | float) and trainings > 0):
        raise SpaceError(
            f"trainings counts full trainings; trainings={trainings!r}: use trainings=30, or leave it out."
        )
    for name in include:
        _entry(name)
    fixed = chosen[0] if len(chosen) == 1 else None
    options = OPTIMIZERS if fixed else chosen
    params: dict[str, Hyperparameter] = {"optimizer": Choice(*options, default=chosen[0], fixed=fixed)}
    for name, entry in CATALOGUE.items():
        asked = include.get(name, True)
        if name == "optimizer" or asked is False or asked is None:
            continue
        owners = _owners(entry, chosen, name in include, trainings)
        if not owners:
            continue
        param = _asked(entry, _covering([entry.param_for(o) for o in owners]), asked)
        own = asked.when or {} if isinstance(asked, Float | Int | Choice) else {}
        param = _replace(param, when={**_conditions(entry, owners, chosen, params), **own} or None)
        params |= _per_layer(params, param) if name == "units" and asked == "per_layer" else {name: param}
    return Space(**params)


def defaults(optimizer: str = "adamw") -> dict[str, Value]:
    """Where a person would start each hyperparameter once it is searched, of those that this optimizer has.

    Args:
        optimizer: one of `OPTIMIZERS`.

    Returns:
        Values by name, in the order of the catalogue.

    Raises:
        SpaceError: an unknown optimizer.

    >>> {name: defaults("adam")[name] for name in ("lr", "beta1", "beta2", "eps", "weight_decay")}
    {'lr': 0.001, 'beta1': 0.9, 'beta2': 0.999, 'eps': 1e-08, 'weight_decay': 0.0}

    Source: each entry's own.
    """
    (name,) = _optimizers((optimizer,))
    params = {entry.name: entry.param_for(name) for entry in CATALOGUE.values()}
    return {"optimizer": name} | {n: p.start for n, p in params.items() if p is not None and n != "optimizer"}


def unasked(space: Space) -> tuple[str, ...]:
    """The numbers of a space whose range nobody asked for: it is the catalogue's.

    >>> unasked(space("adam", trainings=5, batch_size=(8, 64), dropout=True))
    ('lr', 'dropout')
    """
    numbers = {n: p for n, p in space.params.items() if n in CATALOGUE and not isinstance(p, Choice) and p.limits}
    own = {n: [p for o in OPTIMIZERS if (p := CATALOGUE[n].param_for(o))] for n in numbers}
    return tuple(n for n, param in numbers.items() if any(p.range == param.range for p in own[n]))


def rows(name: str | None = None) -> list[tuple[str, ...]]:
    """The catalogue as a table under `COLUMNS`, one row for each entry, or for each range where optimizers differ.

    Args:
        name: of one entry; None: all.

    Returns:
        Rows of words, in the order of the catalogue.

    Raises:
        SpaceError: an unknown name.

    >>> [row[1] for row in rows("lr")]
    ['sgd', 'momentum, nesterov', 'rmsprop', 'adam, adamw', 'nadam']

    Source: each entry's own.
    """
    entries = CATALOGUE.values() if name is None else [_entry(name)]
    return [(e.name, owners, e.symbol, *_words(p), e.meaning) for e in entries for owners, p in _groups(e)]


def describe(name: str) -> str:
    """One entry in words: a title, then a list of what it is, where it is searched, what moves it, who says so.

    Args:
        name: of an entry.

    Returns:
        Lines of Markdown that read well on a terminal too.

    Raises:
        SpaceError: an unknown name.

    >>> print(describe("beta1").splitlines()[2])
    - adam, adamw, nadam: default 0.9; searched 0.5..0.999 on scale one_minus_log; legal 0..0.9999

    Source: each entry's own.
    """
    entry = _entry(name)
    lines = [f"{name} ({entry.symbol})", f"- meaning: {entry.meaning}"]
    for owners, param in _groups(entry):
        default, searched, scale, limits = _words(param)
        where = f"{searched} on scale {scale}; legal {limits}" if limits else searched
        lines.append(f"- {owners}: default {default}; searched {where}")
    tuned = {None: "only when named", 1: "always"}.get(entry.worth, f"from {entry.worth} full trainings on")
    tuned += f"; for {', '.join(entry.unasked)} only when named" if entry.unasked else ""
    for parent, values in (entry.param.when or {}).items():
        tuned += f"; where {parent} is {' or '.join(map(str, values)) if isinstance(values, tuple) else values}"
    return "\n".join([*lines, f"- tuned: {tuned}", f"- depends on: {entry.depends}", f"- source: {entry.source}"])


def _optimizers(optimizer: str | Iterable[str]) -> tuple[str, ...]:
    several = isinstance(optimizer, Iterable) and not isinstance(optimizer, str)
    names = tuple(dict.fromkeys(optimizer)) if several else (optimizer,)
    for name in names or ("",):
        if name not in OPTIMIZERS:
            near = difflib.get_close_matches(str(name).lower(), OPTIMIZERS, n=1, cutoff=0.4) or ["adamw"]
            raise SpaceError(f"an optimizer is one of {', '.join(OPTIMIZERS)}; got {name!r}: use {near[0]!r}.")
    return names  # type: ignore[return-value]  # all are in OPTIMIZERS


def _entry(name: str) -> Entry:
    if name in CATALOGUE:
        return CATALOGUE[name]
    meant = [n for n, e in CATALOGUE.items() if name.lower().replace("_", " ") in e.meaning]
    near = list(dict.fromkeys([*difflib.get_close_matches(name.lower(), CATALOGUE), *meant]))[:3]
    raise SpaceError(
        f"a name is one of the catalogue's; got {name!r}: use {' or '.join(near) or 'one of ' + ', '.join(CATALOGUE)}, "
        f"or put one of your own beside them, Space(**catalogue.space().params, {name}=Float(low, high))."
    )


def _owners(entry: Entry, chosen: tuple[str, ...], named: bool, trainings: float | None) -> tuple[str, ...]:
    """Those of the chosen optimizers for which the entry is tuned."""
    owners = tuple(o for o in chosen if entry.param_for(o) is not None)
    if named and not owners:
        use = next(iter(entry.by_optimizer))
        raise SpaceError(
            f"{entry.name} belongs to {', '.join(entry.by_optimizer)}; optimizer={', '.join(chosen)!r} has none: "
            f"use optimizer={use!r}, or leave {entry.name} out."
        )
    if named:
        return owners
    enough = entry.worth is not None and (trainings is None or trainings >= entry.worth)
    return tuple(o for o in owners if enough and o not in entry.unasked)


def _covering(params: list[Hyperparameter | None]) -> Hyperparameter:
    """One hyperparameter that covers the ranges and limits of all, with the first's default."""
    first, *others = (p for p in params if p is not None)
    for other in others:
        if not isinstance(first, Choice) and not isinstance(other, Choice):
            limits = (min(first.legal[0], other.legal[0]), max(first.legal[1], other.legal[1]))
            first = _replace(first, low=min(first.low, other.low), high=max(first.high, other.high), limits=limits)
    return first


def _asked(entry: Entry, param: Hyperparameter, asked: Asked) -> Hyperparameter:
    """The hyperparameter as the user asked for it."""
    if isinstance(asked, Float | Int | Choice):
        return asked
    if asked is True or (entry.name == "units" and asked == "per_layer"):
        return _affordable(entry, param)
    values = asked if isinstance(asked, tuple) else (asked,)
    if not isinstance(param, Choice):
        return _numbers(entry, param, values, isinstance(asked, tuple))
    for value in values:
        if not param.allows(value):
            near = difflib.get_close_matches(str(value), map(str, param.options), n=1) or [str(param.options[0])]
            raise SpaceError(
                f"{entry.name} is one of {', '.join(map(str, param.options))}; {entry.name}={value!r}: use {near[0]}, "
                f"or {entry.name}=Choice(...) with options that your own code understands."
            )
    return Choice(*values) if isinstance(asked, tuple) else _replace(param, fixed=asked)


def _numbers(entry: Entry, param: Float | Int, values: tuple[Value, ...], is_range: bool) -> Hyperparameter:
    """A number's range, or its one fixed value; the limits widen as far as need be."""
    lowest, highest = entry.possible
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool) and lowest <= v <= highest]
    if len(numbers) < len(values) or len(values) != 1 + is_range:
        bounds = f" in {lowest:g}..{highest:g}" if entry.possible != (-math.inf, math.inf) else ""
        raise SpaceError(
            f"{entry.name} takes a number or (low, high){bounds}; {entry.name}={values if is_range else values[0]!r}: "
            f"use {entry.name}=({param.low!r}, {param.high!r})."
        )
    if isinstance(param, Float):
        numbers = [float(v) for v in numbers]
    real = [v for v in numbers if param.measure.allows(v)]  # Float and Int say themselves what the scale needs
    limits = (min(*param.legal, *real), max(*param.legal, *real))
    if not is_range:
        power = param.scale != "log2" or not int(numbers[0]) & (int(numbers[0]) - 1)
        return _replace(param, fixed=numbers[0], limits=limits, scale=param.scale if power else "log")
    low, high = numbers
    zero = isinstance(param, Float) and param.zero
    if zero and real == numbers:
        limits = (low, limits[1])  # the zero is next below low
    stays = param.default is not None and (low <= param.default <= high or (zero and param.default == 0))
    ranged = _replace(param, low=low, high=high, limits=limits, default=param.default if stays else None)
    return _affordable(entry, ranged)


def _affordable(entry: Entry, param: Hyperparameter) -> Hyperparameter:
    """Limited where values cost: a search that counts epochs does not see what one takes."""
    if not entry.costs or isinstance(param, Choice) or param.fixed is not None:
        return param
    (lowest, highest), large = param.legal, entry.costs == "large"
    return _replace(param, limits=(lowest, param.high) if large else (param.low, highest))


def _conditions(
    entry: Entry, owners: tuple[str, ...], chosen: tuple[str, ...], params: Mapping[str, Hyperparameter]
) -> dict[str, Value | tuple[Value, ...]]:
    """When it is active: only under its optimizers, and under those values of the others that are in the space."""
    when: dict[str, Value | tuple[Value, ...]] = {"optimizer": owners} if len(owners) < len(chosen) else {}
    for parent, allowed in (entry.param.when or {}).items():
        values = allowed if isinstance(allowed, tuple) else (allowed,)
        offered = tuple(v for v in values if parent in params and params[parent].allows(v))
        if offered:
            when[parent] = offered
    return when


def _per_layer(params: dict[str, Hyperparameter], units: Hyperparameter) -> dict[str, Hyperparameter]:
    """units_1 .. units_n for the deepest network of the space; layers can then not go beyond its range."""
    layers = params.get("layers")
    if not isinstance(layers, Int):
        raise SpaceError(f"units='per_layer' needs layers, an Int, in the space; layers={layers!r}: add layers=(1, 4).")
    if layers.fixed is not None:
        return {f"units_{i}": units for i in range(1, layers.fixed + 1)}
    deep: dict[str, Hyperparameter] = {"layers": replace(layers, limits=None)}
    for i in range(1, layers.high + 1):
        when: When = {**(units.when or {}), "layers": tuple(range(max(i, layers.low), layers.high + 1))}
        deep[f"units_{i}"] = _replace(units, when=when)
    return deep


def _replace(param: Hyperparameter, **fields: Any) -> Hyperparameter:
    if not isinstance(param, Choice):
        return replace(param, **fields)
    kept = {name: getattr(param, name) for name in ("ordered", "default", "when", "fixed")}
    return Choice(*param.options, **(kept | fields))


def _groups(entry: Entry) -> list[tuple[str, Hyperparameter]]:
    """The optimizers with the same numbers, in words, and their hyperparameter."""
    if not entry.by_optimizer:
        return [("all", entry.param)]
    groups: list[tuple[list[str], Hyperparameter]] = []
    for optimizer, param in entry.by_optimizer.items():
        owners = next((names for names, p in groups if p == param), None)
        if owners is None:
            groups.append(([optimizer], param))
        else:
            owners.append(optimizer)
    return [("all" if len(names) == len(OPTIMIZERS) else ", ".join(names), p) for names, p in groups]


def _words(param: Hyperparameter) -> tuple[str, str, str, str]:
    """Default, range, scale and limits."""
    if isinstance(param, Choice):
        return str(param.start), ", ".join(map(str, param.options)), "choice", ""
    (low, high), zero = param.legal, " or 0" if isinstance(param, Float) and param.zero else ""
    searched, limits = (f"{a:g}..{b:g}{zero}" for a, b in ((param.low, param.high), (low, high)))
    return f"{param.start:g}", searched, param.scale, limits
