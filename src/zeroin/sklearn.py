"""Estimators for scikit-learn whose `fit` tunes a network; they work in a Pipeline and with cross_val_score."""

import math
import tempfile
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from zeroin import catalogue
from zeroin.budget import Budget
from zeroin.confirm import Finish
from zeroin.data.examples import LEAST, Examples, counting, split
from zeroin.errors import TaskError
from zeroin.executors.checkpoint import trial_folder
from zeroin.executors.inline import Inline
from zeroin.header import Header
from zeroin.history import History
from zeroin.nn import Task, loop, mlp, sample_weights
from zeroin.nn.data import Normalisation
from zeroin.nn.export import newest
from zeroin.nn.metrics import FOR_CLASSES, FOR_NUMBERS
from zeroin.nn.modes import switched
from zeroin.reporting import report_of, write_report
from zeroin.running import run
from zeroin.space import Float, Int, Space
from zeroin.tuning import tune
from zeroin.types import Config, Trial

NUMBERS = (np.float64, np.float32)
ONE_FIT = threading.RLock()  # PyTorch's random generator is the process's: of two fits at once, both would draw from it

Network: TypeAlias = Callable[[int, int, Config], nn.Module]  # of features, outputs and config


@dataclass(frozen=True, slots=True, eq=False)
class Tuned:
    """What a fit found: the network of the best trial at its best epoch, and the study that found it.

    Args:
        network: takes normalised inputs; in evaluation mode. `mlp` is in float64, so that the prediction for an example
            does not depend on the others through rounding; one of your own is in float32, as it was trained.
        normalisation: of the examples that it was trained on.
        best: the best trial of the search, with `config`, `number` and `why`.
        score: its validation score after a full training.
        header, history: what the study is, and what it saw.

    >>> tuned = TunedClassifier(minutes=5).fit(X, y).tuned_  # doctest: +SKIP
    >>> tuned.report("fit.html")  # doctest: +SKIP
    """

    network: nn.Module
    normalisation: Normalisation
    best: Trial
    score: float
    header: Header
    history: History

    def outputs(self, X: NDArray[Any]) -> NDArray[Any]:
        """The network's outputs [N, outputs] for examples [N, features]."""
        norm = self.normalisation
        with loop.one_thread(), torch.no_grad():
            x = torch.from_numpy(np.require(X, requirements=["C", "W"])).double()  # pandas' arrays are read-only
            x = (x - norm.mean) / norm.scale
            x = x if any(p.dtype == torch.float64 for p in self.network.parameters()) else x.float()
            parts: list[Tensor] = [self.network(part) for part in torch.split(x, loop.EVALUATED)]
        found: NDArray[Any] = torch.cat(parts).double().numpy()
        return found

    def report(self, path: str | Path) -> Path:
        """Write the study's report, a single HTML file that opens offline; returns its path."""
        return write_report(Path(path), report_of(self.header, self.history))


# scikit-learn reads an estimator's parameters from its own __init__, so each class needs one; they share the rest.


class TunedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier whose `fit` tunes a network. Configs are judged by a part of the examples, which is held out.

    Args:
        build: f(features, classes, config) -> torch.nn.Module that returns logits; None: `zeroin.nn.mlp`.
        space: the hyperparameters; None: those of AdamW and `mlp` that the budget can tune.
        trials, epochs, minutes: the whole budget of a fit; the limit that is reached first ends the search. If none is
            given, it is 60 full trainings. The best config is then trained to its last epoch.
        max_epochs: the number of epochs of a full training.
        metric: what configs are judged by: "accuracy", "balanced_accuracy", "roc_auc" (of two classes), "loss", or a
            `zeroin.nn.Metric`.
        validation_fraction: the share of the examples by which configs are judged; they are not trained on.
        playbook: whether to start from what past studies taught.
        device: where to train, as PyTorch names it.
        random_state: decides the split and every random draw.

    Attributes:
        classes_: the labels, sorted.
        n_features_in_, feature_names_in_: as in all of scikit-learn.
        best_config_, best_score_: the config that predicts, and its validation score.
        tuned_: a `Tuned`, with the network, the history of the study and its report.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = TunedClassifier(trials=2, max_epochs=10, random_state=0).fit(X, y)
    >>> model.predict_proba(X[:2]).shape
    (2, 3)
    """

    tuned_: Tuned
    best_config_: dict[str, Any]
    best_score_: float

    def __init__(
        self,
        build: Network | None = None,
        space: Space | Callable[[float], Space] | None = None,
        *,
        trials: int | None = None,
        epochs: int | None = None,
        minutes: float | None = None,
        max_epochs: int = 50,
        metric: Any = "accuracy",
        validation_fraction: float = 0.2,
        playbook: bool = False,
        device: str = "cpu",
        random_state: Any = None,
    ) -> None:
        self.build, self.space = build, space
        self.trials, self.epochs, self.minutes, self.max_epochs = trials, epochs, minutes, max_epochs
        self.metric, self.validation_fraction = metric, validation_fraction
        self.playbook, self.device, self.random_state = playbook, device, random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> Self:
        """Tune on examples X [N, features] with labels y [N] of any kind.

        Args:
            X, y: the examples.
            sample_weight: how much each example counts [N], in the loss and in the metric; one of weight 0 is ignored.
                A `zeroin.nn.Metric` of your own does not see the weights.
            groups: what each example belongs to [N], such as a patient. Examples of one group are never split between
                training and validation.

        Returns:
            The estimator itself.

        Raises:
            ValueError: scikit-learn's own estimators would refuse the data, or there are fewer than 4 examples or only
                one class.
            ZeroinError: a space, budget or network that cannot be tuned.
        """
        X, y = _begun(self, X, y)
        check_classification_targets(y)
        examples = counting(X, y, groups, sample_weight)
        self.classes_, labels = np.unique(examples.y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"a classifier tells classes apart; y has one class, {self.classes_.tolist()[0]!r}: "
                f"give examples of another."
            )
        with ONE_FIT:
            _tune(self, replace(examples, y=labels), len(self.classes_), "cross_entropy")
        return self

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """The probabilities [N, classes] of the classes in `classes_`, for examples X [N, features]."""
        out: NDArray[Any] = torch.from_numpy(_outputs(self, X)).softmax(1).numpy()
        return out

    def predict(self, X: Any) -> NDArray[Any]:
        """The most likely class [N] of each of the examples X [N, features]."""
        likely = self.predict_proba(X).argmax(1)
        out: NDArray[Any] = self.classes_[likely]
        return out


class TunedRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A regressor whose `fit` tunes a network. Configs are judged by a part of the examples, which is held out.

    Args:
        build: f(features, 1, config) -> torch.nn.Module with one output; None: `zeroin.nn.mlp`.
        metric: what configs are judged by: "r2", "mae", "mse", "rmse", "loss", or a `zeroin.nn.Metric`. All but r2 are
            in units of y's standard deviation.
        space, trials, epochs, minutes, max_epochs, validation_fraction, playbook, device, random_state: as for
            `TunedClassifier`.

    Attributes:
        n_features_in_, feature_names_in_, best_config_, best_score_, tuned_: as for `TunedClassifier`.

    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> model = TunedRegressor(trials=2, max_epochs=20, random_state=0).fit(X, X[:, 0] ** 2)
    >>> model.predict(X[:2]).shape
    (2,)
    """

    tuned_: Tuned
    best_config_: dict[str, Any]
    best_score_: float

    def __init__(
        self,
        build: Network | None = None,
        space: Space | Callable[[float], Space] | None = None,
        *,
        trials: int | None = None,
        epochs: int | None = None,
        minutes: float | None = None,
        max_epochs: int = 50,
        metric: Any = "r2",
        validation_fraction: float = 0.2,
        playbook: bool = False,
        device: str = "cpu",
        random_state: Any = None,
    ) -> None:
        self.build, self.space = build, space
        self.trials, self.epochs, self.minutes, self.max_epochs = trials, epochs, minutes, max_epochs
        self.metric, self.validation_fraction = metric, validation_fraction
        self.playbook, self.device, self.random_state = playbook, device, random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> Self:
        """Tune on examples X [N, features] with numbers y [N].

        Args:
            X, y, sample_weight, groups: as for `TunedClassifier`.

        Returns:
            The estimator itself.

        Raises:
            ValueError: scikit-learn's own estimators would refuse the data, or there are fewer than 4 examples.
            ZeroinError: a space, budget or network that cannot be tuned.
        """
        X, y = _begun(self, X, y, y_numeric=True)
        y = y.astype(np.float64)
        assert_all_finite(y, input_name="y")  # None becomes NaN only now
        examples = counting(X, y, groups, sample_weight)
        self._center = float(np.average(examples.y, weights=examples.weights))
        far = examples.y - self._center
        self._scale = float(np.sqrt(np.average(far**2, weights=examples.weights)))  # 0: y is constant
        with ONE_FIT:
            _tune(self, replace(examples, y=far / (self._scale or 1.0)), 1, "mse")
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The predicted numbers [N] for examples X [N, features]."""
        return _outputs(self, X).reshape(-1) * self._scale + self._center


Model: TypeAlias = TunedClassifier | TunedRegressor


def _begun(model: Model, X: Any, y: Any, **how: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Checked examples; what an earlier fit found is forgotten, since it does not go with the labels of this one."""
    if hasattr(model, "tuned_"):
        del model.tuned_
    X, y = validate_data(model, X, y, dtype=NUMBERS, ensure_min_samples=LEAST, **how)
    return X, y


def _outputs(model: Model, X: Any) -> NDArray[Any]:
    """The outputs [N, outputs] of a fitted estimator's network."""
    check_is_fitted(model, "tuned_")
    return model.tuned_.outputs(validate_data(model, X, dtype=NUMBERS, reset=False))


def _tune(model: Model, examples: Examples, outputs: int, loss: Any) -> None:
    """Fit an estimator as its parameters say. Targets are class numbers, or numbers of mean 0 and variance 1."""
    seed = int(check_random_state(model.random_state).randint(2**31 - 1))
    X, y, groups, weights = examples.X, examples.y, examples.groups, examples.weights
    train, valid = split(y, groups, model.validation_fraction, loss == "cross_entropy", seed)
    metric = _metric(model.metric, loss, y, valid)
    targets = [y[rows] for rows in (train, valid)]
    if weights is not None:
        targets = [sample_weights.with_weights(y[rows], weights[rows]) for rows in (train, valid)]
        loss, metric = sample_weights.LOSSES[loss], sample_weights.metric_of(metric, loss)
    build = partial(model.build or mlp, X.shape[1], outputs)
    space = model.space or partial(_space, len(train))
    sets = (X[train], targets[0]), (X[valid], targets[1])
    task = Task(build, sets[0], sets[1], loss=loss, metric=metric, space=space, name="fit", max_epochs=model.max_epochs,
                device=model.device)  # fmt: skip
    budget: dict[str, Any] = {"trials": model.trials, "epochs": model.epochs, "minutes": model.minutes}
    with tempfile.TemporaryDirectory(prefix="zeroin-", ignore_cleanup_errors=True) as folder:
        # One by one: whether stacks pay is decided by timing, but here random_state must decide everything.
        training = Inline(loop.objective(task.problem), Path(folder), task.max_epochs)
        study = tune(task, store=None, seed=seed, playbook=model.playbook, confirm=0, executor=training, **budget)
        run(study, training, Finish(), Budget())
        saved = newest(trial_folder(Path(folder), study.best.number))
    network = task.network(study.best.config, saved["seed"])
    network.load_state_dict(saved["best"]["weights"])
    norm, best, score = task.problem.normalisation, study.best, saved["metric"]
    assert norm
    network = switched(network if model.build else network.double(), False)  # one's own may ask for float32
    model.tuned_ = Tuned(network, norm, best, score, study.header, study.history)
    model.best_config_, model.best_score_ = dict(best.config), score


def _metric(metric: Any, loss: str, y: NDArray[Any], valid: NDArray[Any]) -> Any:
    """What configs are judged by on the examples `valid` of targets y [N]: the loss, where the metric is not defined.

    Raises:
        TaskError: a metric for the other estimator, or an unknown one.
    """
    fitting = (*(FOR_CLASSES if loss == "cross_entropy" else FOR_NUMBERS), "loss")
    if isinstance(metric, str) and metric not in fitting:
        raise TaskError(
            f"a metric is one of {', '.join(fitting)}, or a zeroin.nn.Metric; got {metric!r}: use "
            f"metric={fitting[0]!r}."
        )
    if metric not in ("r2", "roc_auc") or np.ptp(y[valid]):
        return metric
    if np.ptp(y):
        warnings.warn(
            f"{metric} compares examples of different y; the {len(valid)} held out have the same, so that configs are "
            f"judged by the loss: give more examples, or a larger validation_fraction",
            UndefinedMetricWarning,
            stacklevel=4,
        )
    return "mse" if metric == "r2" else "loss"


def _space(count: int, trainings: float) -> Space:
    """The default space, for `count` training examples: what `trainings` full trainings can tune of AdamW and `mlp`."""
    largest = 2 ** min(8, int(math.log2(count)))
    return catalogue.space(
        "adamw",
        max(1.0, trainings),
        weight_decay=True,
        batch_size=(16, largest) if largest > 16 else 16,
        layers=(1, 3),
        units=Int(16, 256, scale="log", default=64, limits=(8, 512)),
        dropout=Float(0.0, 0.5, default=0.0),  # what small tables need least
        batchnorm=True,
        schedule="cosine",
    )
