"""Ready-made tasks on tables, classes and numbers."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from zeroin.data.columns import learn, numbers
from zeroin.data.split import split
from zeroin.nn import Task
from zeroin.nn.networks import mlp
from zeroin.nn.spaces import mlp_space
from zeroin.tasks import sources


def lending() -> Task:
    """Which loans go bad: 9,857 loans, 22 columns, 5 % of them bad; judged by the area under the ROC curve.

    Source: Lending Club 2018, R package modeldata `lending_club`.
    """
    frame = sources.table("modeldata", "lending_club")
    return _classes("lending", frame, "Class", metric="roc_auc", max_epochs=12)


def cells() -> Task:
    """Which cells of a microscope's picture were cut out well: 2,019 cells, 56 measurements, 36 % of them well.

    Source: Hill et al. 2007, BMC Bioinformatics 8:340; R package modeldata `cells`.
    """
    frame = sources.table("modeldata", "cells").drop(columns="case")
    return _classes("cells", frame, "class", metric="accuracy", max_epochs=20)


def diamonds() -> Task:
    """The logarithm of a diamond's price: 53,940 diamonds, 9 columns, three of them ordered words.

    Source: R package ggplot2 `diamonds`.
    """
    frame = sources.table("ggplot2", "diamonds")
    batches = (256, 1024)  # of smaller ones a study took twice as long for the same score
    return _numbers("diamonds", frame.drop(columns="price"), np.log10(frame.price), max_epochs=5, batch_size=batches)


def ames() -> Task:
    """The logarithm of a house's price: 2,930 houses sold in Ames, Iowa, 73 columns.

    Source: De Cock 2011, Journal of Statistics Education 19(3); R package modeldata `ames`.
    """
    frame = sources.table("modeldata", "ames")
    return _numbers("ames", frame.drop(columns="Sale_Price"), np.log10(frame.Sale_Price), max_epochs=30)


def _classes(name: str, frame: pd.DataFrame, target: str, *, metric: str, max_epochs: int) -> Task:
    y = np.unique(frame[target], return_inverse=True)[1]
    outputs = int(y.max()) + 1
    return _task(
        name, frame.drop(columns=target), y, outputs=outputs, max_epochs=max_epochs, space=mlp_space, metric=metric
    )


def _numbers(name: str, frame: pd.DataFrame, target: pd.Series, *, max_epochs: int, **space: Any) -> Task:
    y = target.to_numpy(np.float32)
    train = y[split(y).train]
    scaled = (y - train.mean()) / train.std()
    return _task(
        name,
        frame,
        scaled,
        outputs=1,
        max_epochs=max_epochs,
        space=partial(mlp_space, **space),
        metric="r2",
        loss="mse",
    )


def _task(name: str, frame: pd.DataFrame, y: Any, *, outputs: int, max_epochs: int, **searched: Any) -> Task:
    at = split(y)
    columns = learn(frame.iloc[at.train])
    x = numbers(columns, frame)  # [N, F]
    return Task(
        build=partial(mlp, x.shape[1], outputs),
        train=(x[at.train], y[at.train]),
        valid=(x[at.valid], y[at.valid]),
        test=(x[at.test], y[at.test]),
        name=name,
        max_epochs=max_epochs,
        normalise=False,
        **searched,
    )
