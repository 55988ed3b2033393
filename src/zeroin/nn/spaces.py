"""Spaces for the ready-made networks, with AdamW and a cosine schedule.

As in the catalogue, the search cannot go beyond the upper ends of layers and units, so that the time that a study takes
is known beforehand.
"""

from dataclasses import replace

from zeroin import catalogue
from zeroin.catalogue.spaces import Asked
from zeroin.space import Float, Hyperparameter, Int, Space

Sizes = tuple[int, int]

# The defaults. These networks train for some hundred steps: the usual learning rate of 0.001 is too small for so few,
# and dropping half of the units does more harm than good (docs/time-experiments.md).
STARTS = {"lr": 0.005, "dropout": 0.2}


def short_space(trainings: float, *, dropout: Asked = (0.0, 0.5), **searched: Asked) -> Space:
    """A space for small networks that train for some hundred steps.

    Args:
        trainings: how many full trainings the budget pays for.
        dropout: its range.
        searched: further hyperparameters, as `catalogue.space` takes them; weight decay is always searched.
    """
    usual = catalogue.space("adamw", trainings, weight_decay=True, dropout=dropout, schedule="cosine", **searched)
    return Space(**{**usual.params, **{name: _starting(usual[name], start) for name, start in STARTS.items()}})


def _starting(param: Hyperparameter, start: float) -> Hyperparameter:
    assert isinstance(param, Float)
    return replace(param, default=start)


def mlp_space(trainings: float, *, batch_size: Sizes = (64, 512)) -> Space:
    """A space for `mlp` on tables.

    Args:
        trainings: how many full trainings the budget pays for.
        batch_size: its range.
    """
    return short_space(
        trainings,
        batch_size=batch_size,
        layers=Int(1, 4, default=2, limits=(1, 4)),
        units=Int(32, 256, scale="log", default=128, limits=(16, 256)),
        batchnorm=True,
    )


def cnn_space(trainings: float, *, batch_size: Sizes = (32, 256), units: Sizes = (4, 12)) -> Space:
    """A space for `small_cnn` on images; wider networks than `units` (of the first layer) take minutes on a CPU."""
    return short_space(
        trainings,
        batch_size=batch_size,
        layers=Int(2, 3, default=2, limits=(1, 3)),
        units=Int(*units, scale="log", default=8, limits=(2, units[1])),
        batchnorm=True,
    )


def text_space(trainings: float, *, batch_size: Sizes = (32, 256), smoothing: bool = True) -> Space:
    """A space for `text_cnn` and `columns_and_texts`, with label `smoothing` if classes are predicted."""
    return short_space(
        trainings,
        batch_size=batch_size,
        layers=Int(1, 2, default=1, limits=(1, 2)),
        units=Int(16, 64, scale="log", default=32, limits=(8, 64)),
        dropout=(0.0, 0.7),
        batchnorm=True,
        label_smoothing=Float(0.0, 0.2, default=0.0) if smoothing else False,
    )


def gru_space(trainings: float, *, batch_size: Sizes = (16, 128)) -> Space:
    """A space for `gru` on sequences and forecasts."""
    return short_space(
        trainings,
        batch_size=batch_size,
        layers=Int(1, 2, default=1, limits=(1, 2)),
        units=Int(16, 48, scale="log", default=32, limits=(8, 48)),
        grad_clip=True,
    )
