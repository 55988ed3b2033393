"""Ready-made tasks on sequences: whose voice, and a forecast."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from zeroin.data.split import split
from zeroin.nn import Metric, Task
from zeroin.nn.metrics import METRICS
from zeroin.nn.sequences import gru
from zeroin.nn.spaces import gru_space
from zeroin.tasks import sources

DAY = 48  # half-hours
AHEAD = 12  # half-hours forecast
EVERY = 12  # half-hours from one forecast to the next
LONGEST = 29  # steps of a vowel


def vowels() -> Task:
    """Which of 9 men speaks: 12 numbers a step, 7 to 29 steps; 270 recordings to train and validate, 370 to test.

    Source: Kudo, Toyama & Shimbo 1999, Pattern Recognition Letters 20; from the package aeon.
    """
    (known, y), (unseen, y_test) = sources.vowels("TRAIN"), sources.vowels("TEST")
    cut = split(y)
    train, valid = cut.train, np.sort(np.concatenate([cut.valid, cut.test]))  # a test set comes with the data
    steps = np.concatenate([known[i] for i in train])  # [N, 12]
    x, x_test = (_filled(some, steps.mean(0), steps.std(0)) for some in (known, unseen))
    return Task(
        build=partial(gru, x.shape[2], 9),
        train=(x[train], y[train]),
        valid=(x[valid], y[valid]),
        test=(x_test, y_test),
        name="vowels",
        space=gru_space,
        max_epochs=30,
        normalise=False,
    )


def electricity() -> Task:
    """Demand for electricity in the next 6 hours from the day before it: Victoria 2014, every half-hour.

    Judged by the mean absolute error over that of repeating yesterday in the months of training ("mase"); 0 is perfect,
    and repeating yesterday has 0.81 in those to validate and 0.85 in those to test. January to August to train,
    September and October to validate, the rest to test.

    Source: Hyndman & Athanasopoulos, Forecasting: Principles and Practice; R package fpp2 `elecdemand`.
    """
    frame = sources.table("fpp2", "elecdemand")
    demand = frame.Demand.to_numpy(float)
    hour = np.arange(len(demand)) % DAY / DAY * 2 * np.pi
    steps = np.stack([demand, frame.WorkDay, frame.Temperature, np.sin(hour), np.cos(hour)], 1)  # [T, 5]
    begin = np.arange(DAY, len(demand) - AHEAD + 1, EVERY)
    x = np.stack([steps[i - DAY : i] for i in begin]).astype(np.float32)  # [N, 48, 5]
    ahead = begin[:, None] + np.arange(AHEAD)
    change = demand[ahead] - demand[ahead - DAY]  # [N, 12]: what repeating yesterday misses
    first, last = begin / len(demand), (begin + AHEAD) / len(demand)
    train, valid, test = last <= 8 / 12, (first >= 8 / 12) & (last <= 10 / 12), first >= 10 / 12
    y = (change / np.abs(change[train]).mean()).astype(np.float32)
    return Task(
        build=partial(gru, x.shape[2], AHEAD),
        train=(x[train], y[train]),
        valid=(x[valid], y[valid]),
        test=(x[test], y[test]),
        loss="mse",
        metric=Metric("mase", "minimize", METRICS["mae"].compute),
        name="electricity",
        space=gru_space,
        max_epochs=6,
    )


def _filled(
    series: list[NDArray[np.float64]], mean: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Normalised sequences [N, 29, F], filled up with zeros at their beginning."""
    out = np.zeros((len(series), LONGEST, len(mean)), np.float32)
    for row, one in zip(out, series, strict=True):
        row[LONGEST - len(one) :] = (one - mean) / scale
    return out
