"""The names that people give the usual hyperparameters: a `learning_rate` is an `lr`, whoever wrote it."""

import re
from collections.abc import Iterable

OTHERS: dict[str, tuple[str, ...]] = {  # name in the catalogue: what else it is called; case and underscores are free
    "optimizer": ("optim", "opt", "optimiser"),
    "lr": ("learning_rate", "learning_rate_init", "initial_learning_rate", "init_lr", "initial_lr", "base_lr"),
    "momentum": ("sgd_momentum",),
    "beta1": ("adam_beta1",),
    "beta2": ("adam_beta2",),
    "eps": ("epsilon", "adam_eps", "adam_epsilon"),
    "weight_decay": ("wd",),  # an L2 penalty is another thing under Adam
    "batch_size": ("batch", "bs", "mini_batch", "mini_batch_size", "train_batch_size", "per_device_train_batch_size"),
    "layers": ("num_layers", "n_layers", "hidden_layers", "num_hidden_layers", "n_hidden_layers", "depth"),
    "units": (
        "num_units", "n_units", "max_units", "hidden", "hidden_units", "hidden_size", "hidden_dim", "n_hidden",
        "num_hidden", "width", "neurons",
    ),
    "dropout": ("drop", "dropout_rate", "dropout_prob", "dropout_p", "p_dropout", "drop_rate", "max_dropout"),
    "activation": ("act", "act_fn", "activation_function", "nonlinearity"),
    "batchnorm": ("bn", "use_bn", "use_batchnorm"),
    "norm": ("norm_type", "normalization", "normalisation"),
    "norm_position": (),
    "bn_momentum": ("batchnorm_momentum",),
    "bn_eps": ("batchnorm_eps",),
    "schedule": ("scheduler", "lr_schedule", "lr_scheduler"),
    "lr_decay": (),
    "warmup": ("warmup_ratio", "warmup_share", "warmup_fraction"),
    "label_smoothing": ("smoothing", "label_smoothing_factor"),
    "grad_clip": ("clip", "clip_norm", "gradient_clip", "gradient_clip_val", "grad_norm", "max_grad_norm"),
    "init": ("weight_init", "initialization", "initialisation", "initializer"),
}  # fmt: skip


def common(name: str) -> str:
    """The catalogue's name of a hyperparameter that may be called otherwise; the name itself if it has none there.

    >>> common("learning_rate"), common("Batch-Size"), common("temperature")
    ('lr', 'batch_size', 'temperature')
    """
    return _BY_NAME.get(_bare(name), name)


def called(names: Iterable[str]) -> dict[str, str]:
    """What the catalogue's hyperparameters are called among some names, by the catalogue's.

    Of several names for one hyperparameter the catalogue's own counts; without that none does, as nobody can tell
    which is meant.

    >>> called(["learning_rate", "momentum", "temperature"]), called(["width", "hidden_size"])
    ({'lr': 'learning_rate', 'momentum': 'momentum'}, {})
    """
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        found.setdefault(common(name), []).append(name)
    known = {usual: given for usual, given in found.items() if usual in OTHERS}
    own = {usual: usual for usual, given in known.items() if usual in given}
    return {usual: given[0] for usual, given in known.items() if len(given) == 1} | own


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


_BY_NAME = {_bare(other): name for name, others in OTHERS.items() for other in (name, *others)}
