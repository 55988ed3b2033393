"""Keras 3, on any of its backends: a callback that reports, pauses and resumes trials, and helpers for configs."""

import hashlib
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from zeroin.errors import TaskError
from zeroin.executors.run import Run
from zeroin.rng import seed_of
from zeroin.types import Config, Status

STATE = "keras.npz"  # in a trial's checkpoint folder


def report(run: Run, monitor: str = "val_loss") -> keras.callbacks.Callback:
    """A callback for `model.fit` that reports each epoch, stops when the trial is paused, and resumes it later.

    Weights, running statistics, the optimizer's state and the layers' random states are saved to the trial's
    checkpoint, and restored when the trial is resumed. A loss that is not finite ends the trial as diverged. The other
    numbers among the logs of Keras are kept as metrics, its `loss` as `train_loss`.

    Args:
        run: the second argument of the objective.
        monitor: the log that trials are judged by; use `tune(..., goal="maximize")` if higher is better.

    Returns:
        The callback, for this one call of `fit`.

    Raises:
        TaskError: raised within `fit`, if it begins or ends at another epoch than the trial, it is the second with such
            a callback, the network is not built or comes trained by another trial, or there is no such log.

    >>> def objective(config, run):
    ...     keras.utils.set_random_seed(seed(run))
    ...     model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    ...     model.compile(keras.optimizers.Adam(config["lr"]), "mse")
    ...     model.fit(x, y, validation_data=valid, initial_epoch=run.start, epochs=run.stop, callbacks=[report(run)])
    """
    return _Report(run, monitor)


def seed(run: Run) -> int:
    """A seed for `keras.utils.set_random_seed`, which differs between trials and each time that a trial is resumed.

    The state of the backend's own generator (order of examples; dropout on the torch backend) cannot be restored. With
    this seed, a resumed trial does at least not repeat what it has already seen.

    Args:
        run: the second argument of the objective.

    Returns:
        A whole number from 0 to 2^31 - 1.

    >>> keras.utils.set_random_seed(seed(run))  # doctest: +SKIP
    """
    return seed_of(run.seed, "keras", run.start)


def batchnorm(config: Config) -> dict[str, float]:
    """The batch norm hyperparameters of a config, as arguments of `keras.layers.BatchNormalization`.

    zeroin follows PyTorch's convention: running = (1 − m)·running + m·batch, with m = 0.1. Keras' momentum is 1 − m,
    its epsilon is eps. Where the config has no value, Keras' own (0.99 and 0.001) stay. One difference remains: Keras
    keeps the biased variance of a batch, PyTorch n/(n − 1) of it, for n values of a channel in a batch.

    Args:
        config: the hyperparameters by name; `bn_momentum` and `bn_eps` are used.

    Returns:
        Keyword arguments: `momentum`, `epsilon`, or none.

    Raises:
        TaskError: `bn_momentum` is None, which in PyTorch means a plain average; Keras has none.

    >>> keras.layers.BatchNormalization(**batchnorm({"bn_momentum": 0.25, "bn_eps": 1e-5})).momentum
    0.75
    """
    found: dict[str, float] = {}
    if "bn_momentum" in config:
        share = config["bn_momentum"]
        if not isinstance(share, int | float):
            raise TaskError(
                f"Keras' batch norm averages with a fixed momentum; bn_momentum={share!r}: use bn_momentum=0.01."
            )
        found["momentum"] = 1.0 - share
    if "bn_eps" in config:
        found["epsilon"] = float(config["bn_eps"])
    return found


class _Report(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    def __init__(self, run: Run, monitor: str) -> None:
        super().__init__()
        self._run, self._monitor = run, monitor
        self._epochs: Iterator[int] = iter(())
        self._saved = run.start  # the epoch after which the state was saved last

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002  the names are Keras'
        self._epochs = self._run.epochs()
        if self._run.epoch > self._run.start:
            raise TaskError(
                f"report(run) follows one call of fit; another begins after epoch {self._run.epoch}: leave it out of "
                f"all but one, or return the mean loss of several networks from an objective(config)."
            )
        if not self.model.built:  # TensorFlow would build it within the first step, too late to put anything back
            raise TaskError(
                f"a network is built before fit, so that a paused trial can go on; {self.model.name!r} is "
                f"not: begin it with keras.Input(x.shape[1:]), or call model(x[:1]) once."
            )
        for name, optimizer in _further(self.model).items():
            if not optimizer.built:  # by which of the variables only the network knows
                raise TaskError(
                    f"a network's optimizers are built before fit, so that a paused trial can go on; {name} is not: "
                    f"call model.{name}.build(...) once, with the variables that it trains."
                )
        if not self.model.optimizer.built:  # a train_step may never use it; what is saved and put back must agree
            self.model.optimizer.build(self.model.trainable_variables)
        if self._run.start:
            _restore(self.model, self._run)
        _check_new(self.model, self._run.trial)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        due = next(self._epochs, None)  # also puts the last checkpoint aside where it is time to
        if due != epoch:
            raise TaskError(
                f"a trial continues at the epoch where it stopped; fit trains epoch {epoch} instead of {due}: "
                f"use model.fit(..., initial_epoch=run.start, epochs=run.stop, callbacks=[report(run)])."
            )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        run = self._run
        seen = {name: v for name, v in (logs or {}).items() if np.ndim(v) == 0}  # F1Score has a number for each class
        if self._monitor not in seen:
            known = [name for name in seen if name.startswith("val_")]
            other = f"report(run, monitor={(known or ['loss'])[0]!r})"
            remedy = (
                f"name it in compile(metrics=[...]), or use {other}"
                if known
                else (f"use fit(..., validation_data=(x, y)), or {other}")
            )
            raise TaskError(
                f"a trial is judged by a number among Keras' logs; {self._monitor!r} is none of {', '.join(seen)}: "
                f"{remedy}."
            )
        # An accuracy is finite where a loss is not; that of training is not yet, if the last step spoiled the weights.
        sound = all(math.isfinite(seen.get(name, 0.0)) for name in ("loss", "val_loss"))
        value = seen.pop(self._monitor) if sound else math.nan
        finite = {name: v for name, v in seen.items() if math.isfinite(v)}
        run.report(value, **{"train_loss" if name == "loss" else name: v for name, v in finite.items()})
        if run.saving or self.model.stop_training:
            self._save()
        if run.ending or run.status is Status.DIVERGED:
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        if not self.model.stop_training:  # neither at the end of the job, nor by a callback such as EarlyStopping
            raise TaskError(
                f"a trial is trained to the end of its job, epoch {self._run.stop}; fit ended after {self._run.epoch}: "
                f"use model.fit(..., initial_epoch=run.start, epochs=run.stop, callbacks=[report(run)])."
            )
        self._save()  # where a callback after this one ended the training
        for variable in self.model.trainable_variables:
            variable.left_by = self._run.trial, _digest(variable)

    def _save(self) -> None:
        if self._run.status is not Status.DIVERGED and self._saved < self._run.epoch:
            _save(self.model, self._run)
            self._saved = self._run.epoch


def _check_new(model: Any, trial: int) -> None:
    """Whether no weights are as another trial left them; a network may be shared, if its first weights are put back."""
    shared = [v for v in model.trainable_variables if getattr(v, "left_by", (trial,))[0] != trial]
    if shared and all(_digest(v) == v.left_by[1] for v in shared):
        raise TaskError(
            f"each trial trains a network of its own; {shared[0].path} is as trial {shared[0].left_by[0]} left it: "
            f"make the network within the objective, what is pretrained as well, or put its first weights back with "
            f"set_weights."
        )


def _digest(variable: Any) -> str:
    return hashlib.sha256(keras.ops.convert_to_numpy(variable).tobytes()).hexdigest()


def _further(model: Any) -> dict[str, Any]:
    """Optimizers beside that of `compile`, by name, as a `train_step` of one's own may use."""
    named: dict[str, Any] = {}
    for name, kept in vars(model).items():
        several = kept if isinstance(kept, list | tuple) else ()
        named |= {name: kept} | {f"{name}[{i}]": one for i, one in enumerate(several)}
    return {name: it for name, it in named.items() if isinstance(it, keras.Optimizer) and it is not model.optimizer}


def _variables(model: Any) -> list[Any]:
    """All that training changes: weights, running statistics, random states, the optimizers' moments and steps."""
    return [v for it in (model, model.optimizer, *_further(model).values()) for v in it.variables]


def _save(model: Any, run: Run) -> None:
    arrays = [keras.ops.convert_to_numpy(v) for v in _variables(model)]
    known = (a.astype(np.float32) if a.dtype.kind == "V" else a for a in arrays)  # NumPy does not read bfloat16 again
    np.savez(run.checkpoint / STATE, *known)


def _restore(model: Any, run: Run) -> None:
    with np.load(run.checkpoint / STATE) as saved:
        for variable, name in zip(_variables(model), saved.files, strict=True):
            variable.assign(saved[name])
