"""The table of the usual hyperparameters: default, range, scale, limits, what moves the best value, source.

A range is where good values were published, drawn wide; `limits` are how far the search may move it when the best lies
on its edge. Defaults are PyTorch's where it has one worth starting from; where not, the entry says so.
Longer than other files because it is one table, which is read best in one place.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from zeroin.space import Choice, Float, Hyperparameter, Int

OPTIMIZERS = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "nadam")
ADAM = ("adam", "adamw", "nadam")  # those with two betas
SCHEDULES = ("constant", "cosine", "linear", "step", "wsd")
INITS = ("default", "kaiming", "xavier", "orthogonal")


@dataclass(frozen=True, slots=True)
class Entry:
    """One hyperparameter of the catalogue.

    Args:
        name, symbol, meaning: its name in a config, its symbol in the literature, what it does in one line.
        param: range, scale, default and limits; its `when` counts only if the other hyperparameter is in the space.
        depends: what its best value depends on, in words.
        source: a paper with section or equation, or the framework's documentation.
        by_optimizer: `param` for each optimizer that has it; empty if the optimizer does not matter.
        worth: the number of full trainings from which it is tuned by default; None: only if it is named.
        unasked: optimizers for which it is tuned only if it is named.
        possible: the values that make sense at all.
        costs: whether "large" or "small" values make an epoch more expensive; the search does not move the range that
            way.
        others: what else it is called; case and underscores are free.

    >>> CATALOGUE["lr"].param_for("sgd").default
    0.01
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
    others: tuple[str, ...] = ()

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
        others=("optim", "opt", "optimiser"),
    ),
    Entry(
        "lr", "α (η, ε)", "learning rate: length of a step",
        _ADAM,
        "optimizer; momentum (the step is lr/(1−β) long); batch size; batch normalisation, which lifts the upper end "
        "(5–21 times on digits): the limits leave room for it. PyTorch's 0.001 for SGD gave way to Bengio's 0.01",
        "Robbins & Monro 1951; Goodfellow et al. 2016, sections 8.3.1 and 11.4; Bengio 2012, arXiv 1206.5533, "
        "section 3.1; Kingma & Ba 2015, arXiv 1412.6980, Algorithm 1; torch.optim",
        {"sgd": _SGD, "momentum": _HEAVY, "nesterov": _HEAVY, "rmsprop": _RMSPROP, "adam": _ADAM, "adamw": _ADAM,
         "nadam": replace(_ADAM, default=2e-3)},
        worth=0,
        others=("learning_rate", "learning_rate_init", "initial_learning_rate", "init_lr", "initial_lr", "base_lr"),
    ),
    Entry(
        "momentum", "β (μ, γ)", "share of the last step that is kept",
        _MOMENTUM,
        "learning rate: lr/(1−β) is what acts, so tune both; with RMSProp it starts at 0 and is tuned only when named. "
        "PyTorch's SGD starts at 0; 0.9 is the value of the literature",
        "Polyak 1964; Sutskever et al. 2013, equations 1–2 (momentum) and 3–4 (Nesterov)",
        {"momentum": _MOMENTUM, "nesterov": _MOMENTUM, "rmsprop": _decay(0.0, 0.99, 0.0, (0.0, 0.9999))},
        worth=0, unasked=("rmsprop",), possible=(0.0, 1.0),
        others=("sgd_momentum",),
    ),
    Entry(
        "beta1", "β₁", "decay of the running mean of gradients",
        _BETA1,
        "batch size and noise: larger where gradients are noisy; learning rate",
        "Kingma & Ba 2015, arXiv 1412.6980, Algorithm 1; Dozat 2016 (NAdam); torch.optim.Adam",
        dict.fromkeys(ADAM, _BETA1), worth=10, possible=(0.0, 1.0),
        others=("adam_beta1",),
    ),
    Entry(
        "beta2", "β₂ (α, ρ of RMSProp)", "decay of the running mean of squared gradients",
        _BETA2,
        "number of steps: 1/(1−β₂) of them are remembered; smaller for short trainings and large batches",
        "Kingma & Ba 2015, arXiv 1412.6980, Algorithm 1; Hinton 2012, lecture 6e (RMSProp: 0.9); torch.optim",
        {"rmsprop": replace(_BETA2, default=0.99), **dict.fromkeys(ADAM, _BETA2)}, worth=100, possible=(0.0, 1.0),
        others=("adam_beta2",),
    ),
    Entry(
        "eps", "ε", "added to the root of the squared gradients before dividing",
        _EPS,
        "learning rate: a large ε turns Adam into momentum with rate lr/ε",
        "Kingma & Ba 2015, arXiv 1412.6980, Algorithm 1; Choi et al. 2019, arXiv 1910.05446; "
        "Hinton 2012, lecture 6e (RMSProp)",
        dict.fromkeys(("rmsprop", *ADAM), _EPS), worth=25,
        others=("epsilon", "adam_eps", "adam_epsilon"),
    ),
    Entry(
        "weight_decay", "λ", "pull of the weights towards 0 at every step; 0: none",
        _L2,
        "learning rate, above all under batch normalisation, where it only sets the effective rate (van Laarhoven "
        "2017, arXiv 1706.05350); decoupled from the gradient in adamw, part of it elsewhere; usually not for biases "
        "nor for γ and β of normalisation",
        "Loshchilov & Hutter 2019, arXiv 1711.05101, Algorithm 2; Krogh & Hertz 1992; torch.optim",
        {o: _DECOUPLED if o == "adamw" else _L2 for o in OPTIMIZERS}, possible=(0.0, math.inf),
        others=("wd",),  # an L2 penalty is another thing under Adam
    ),
    Entry(
        "batch_size", "B", "examples in a mini-batch",
        Int(16, 512, scale="log2", default=32, limits=(2, 65536)),
        "memory and speed; learning rate, momentum and decay have other best values at each batch size. Sets the time "
        "of a training rather than its quality. PyTorch's DataLoader starts at 1, Bengio at 32",
        "Bengio 2012, arXiv 1206.5533, section 3.1; Shallue et al. 2019, arXiv 1811.03600; "
        "Deep Learning Tuning Playbook, 'Choosing the batch size'",
        costs="small",
        others=("batch", "bs", "mini_batch", "mini_batch_size", "train_batch_size", "per_device_train_batch_size"),
    ),
    Entry(
        "layers", "L", "hidden layers",
        Int(1, 6, default=2, limits=(1, 100)),
        "initialisation and batch normalisation: deep networks need one of them right; learning rate falls with depth",
        "Bergstra & Bengio 2012, JMLR 13; Goodfellow et al. 2016, section 6.4",
        costs="large",
        others=("num_layers", "n_layers", "hidden_layers", "num_hidden_layers", "n_hidden_layers", "depth"),
    ),
    Entry(
        "units", "n", "width of a hidden layer; units='per_layer' makes one for each",
        Int(16, 1024, scale="log", default=128, limits=(1, 65536)),
        "data: more examples carry more units; dropout and decay",
        "Bergstra & Bengio 2012, JMLR 13, section 2 (18 to 1024, geometrically)",
        costs="large",
        others=(
            "num_units", "n_units", "max_units", "hidden", "hidden_units", "hidden_size", "hidden_dim", "n_hidden",
            "num_hidden", "width", "neurons",
        ),
    ),
    Entry(
        "dropout", "p", "share of units put to 0 in a training step",
        Float(0.0, 0.7, default=0.5, limits=(0.0, 0.95)),
        "width and number of examples; less or none with batch normalisation, and then after the last of it "
        "(Li et al. 2018, arXiv 1801.05134). The paper's p is the share kept, PyTorch's and ours the share dropped",
        "Srivastava et al. 2014, JMLR 15; torch.nn.Dropout",
        possible=(0.0, 1.0),
        others=("drop", "dropout_rate", "dropout_prob", "dropout_p", "p_dropout", "drop_rate", "max_dropout"),
    ),
    Entry(
        "activation", "g", "what a unit does to its input",
        Choice("relu", "leaky_relu", "gelu", "silu", "tanh", "elu"),
        "initialisation: kaiming belongs to the relu family, xavier to tanh",
        "Nair & Hinton 2010; Maas et al. 2013; Hendrycks & Gimpel 2016, arXiv 1606.08415; Ramachandran et al. 2017, "
        "arXiv 1710.05941; Clevert et al. 2016, arXiv 1511.07289",
        others=("act", "act_fn", "activation_function", "nonlinearity"),
    ),
    Entry(
        "batchnorm", "BN", "normalise each hidden unit over the mini-batch",
        Choice(True, False),
        "batch size: too noisy for very small ones; allows larger learning rates and poorer initialisation. "
        "batchnorm=True searches it; Choice(True, False, fixed=True) holds it",
        "Ioffe & Szegedy 2015, arXiv 1502.03167, Algorithm 1; Bjorck et al. 2018, arXiv 1806.02375",
        others=("bn", "use_bn", "use_batchnorm"),
    ),
    Entry(
        "norm", "–", "which normalisation hidden layers have; in place of batchnorm where several kinds are compared",
        Choice("none", "batch", "group", "layer", default="batch"),
        "batch size: batch needs 16 or more, group and layer do not look at the batch; layer is that of transformers "
        "and recurrent networks. group: 32 groups, or the most that divide the channels; behind a fully connected "
        "layer groups of 16 channels or more",
        "Ioffe & Szegedy 2015, arXiv 1502.03167, Algorithm 1; Wu & He 2018, arXiv 1803.08494, sections 3 and 4.1; "
        "Ba et al. 2016, arXiv 1607.06450, equations 3-4",
        others=("norm_type", "normalization", "normalisation"),
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
        others=("batchnorm_momentum",),
    ),
    Entry(
        "bn_eps", "ε", "added to the variance of the mini-batch before its root",
        Float(1e-6, 0.01, scale="log", default=1e-5, limits=(1e-8, 1.0),
              when={"batchnorm": True, "norm": ("batch", "group", "layer")}),
        "number format: not below 1e-5 in half precision. Keras starts at 0.001",
        "Ioffe & Szegedy 2015, arXiv 1502.03167, Algorithm 1; torch.nn.BatchNorm1d",
        others=("batchnorm_eps",),
    ),
    Entry(
        "schedule", "α(t)", "course of lr over max_epochs, so that a paused trial continues exactly",
        Choice(*SCHEDULES),
        "length of training: it spans max_epochs from the first step on, wherever a trial is paused. With d = lr_decay "
        "and s the share done of the steps after warm-up, lr is multiplied by: "
        "constant 1; cosine d + (1−d)·(1 + cos πs)/2; linear 1 − (1−d)·s; step 1, √d from s = 1/2, d from s = 3/4; "
        "wsd (warm-up, stable, decay) 1 up to s = 0.8, then straight down to d",
        "Loshchilov & Hutter 2017, arXiv 1608.03983, equation 5 (cosine); He et al. 2016, arXiv 1512.03385, section "
        "4.2 (step); Hu et al. 2024, arXiv 2404.06395 (wsd); Hägele et al. 2024, arXiv 2405.18392",
        others=("scheduler", "lr_schedule", "lr_scheduler"),
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
        others=("warmup_ratio", "warmup_share", "warmup_fraction"),
    ),
    Entry(
        "label_smoothing", "ε", "share of the target spread evenly over all classes; 0: none",
        Float(0.0, 0.3, default=0.0, limits=(0.0, 0.9)),
        "classification only; noise in the labels. It changes what a cross-entropy means: compare by the plain one",
        "Szegedy et al. 2016, arXiv 1512.00567, section 7; torch.nn.CrossEntropyLoss", possible=(0.0, 1.0),
        others=("smoothing", "label_smoothing_factor"),
    ),
    Entry(
        "grad_clip", "c (θ)", "largest norm of the whole gradient, longer ones are shortened to it; 0: off",
        _log(0.1, 10.0, 0.0, (0.1, 1e3), zero=True),
        "recurrent and deep networks; one that clips most steps is a smaller learning rate by another name",
        "Pascanu et al. 2013, arXiv 1211.5063, Algorithm 1; torch.nn.utils.clip_grad_norm_", possible=(0.0, math.inf),
        others=("clip", "clip_norm", "gradient_clip", "gradient_clip_val", "grad_norm", "max_grad_norm"),
    ),
    Entry(
        "init", "W₀", "law of the weights before training; 'default': the framework's",
        Choice(*INITS),
        "activation and depth; matters little under batch normalisation",
        "He et al. 2015, arXiv 1502.01852, equation 10; Glorot & Bengio 2010, equation 16; "
        "Saxe et al. 2014, arXiv 1312.6120 (orthogonal); torch.nn.init",
        others=("weight_init", "initialization", "initialisation", "initializer"),
    ),
)  # fmt: skip

CATALOGUE: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}
PACE = frozenset(e.name for e in _ENTRIES if e.costs)  # they set what an epoch takes
