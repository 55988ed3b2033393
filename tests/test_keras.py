"""Keras under tune, on whichever backend KERAS_BACKEND names; skipped without Keras.

`for b in tensorflow torch; do KERAS_BACKEND=$b pytest tests/test_keras.py; done`
"""

import re
import shutil
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

import zeroin as zi
from zeroin.executors.checkpoint import Checkpoint
from zeroin.executors.perform import perform
from zeroin.executors.run import Run
from zeroin.types import Job, Kind, Status

keras = pytest.importorskip("keras")

from zeroin.integrations.keras import batchnorm, report, seed  # noqa: E402  needs Keras

rng = np.random.default_rng(0)
X = rng.normal(size=(96, 4)).astype("float32")
Y = (X @ [1.0, -2.0, 0.5, 0.0]).astype("float32")
SPACE = zi.Space(lr=zi.Float(1e-4, 0.3, scale="log", default=0.01))


def network(config, eager=True):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, use_bias=False),
            keras.layers.BatchNormalization(**batchnorm(config)),
            keras.layers.Activation("relu"),
            keras.layers.Dropout(0.0 if keras.backend.backend() == "torch" else 0.2),  # there: of PyTorch's generator
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(config["lr"]), "mse", metrics=["mae"], run_eagerly=eager, jit_compile=False)
    return model


def objective(config, run, begun=None, eager=True):
    keras.utils.set_random_seed(0)  # the same weights each time: what is put back must come from the checkpoint
    if begun is not None:
        begun.append((run.trial, run.start, run.stop))
    model = network(config, eager)
    how = {"shuffle": False, "verbose": 0, "initial_epoch": run.start, "epochs": run.stop}
    model.fit(X[:64], Y[:64], validation_data=(X[64:], Y[64:]), batch_size=32, callbacks=[report(run)], **how)


def trained(folder, *stops, config=None, objective=objective):
    """Losses by epoch of one trial that is paused at each of the stops but the last; and how it ended."""
    losses, start = [], 0
    for number, stop in enumerate(stops):
        job = Job(number, 0, config or {"lr": 0.01}, 3, start, stop, Kind.SCREEN, "")
        ended = perform(objective, job, folder, start, stops[-1], lambda seen: losses.append(seen) or True)
        start = losses[-1].epoch if losses else 0
    return losses, ended


def test_a_paused_trial_continues_where_it_stood(tmp_path):
    compiled = partial(objective, eager=False)  # as users train
    whole, _ = trained(tmp_path / "whole", 6, objective=compiled)
    cut, _ = trained(tmp_path / "cut", 2, 3, 6, objective=compiled)
    assert [seen.epoch for seen in cut] == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose([s.loss for s in cut], [s.loss for s in whole], rtol=1e-6)
    assert whole[0].loss > 1.05 * whole[5].loss  # so that a restart would have shown
    assert {"train_loss", "mae", "val_mae"} <= set(cut[0].metrics)


class TwoOptimizers(keras.Model):
    """An offset is trained by an optimizer of its own, as in networks that play against one another."""

    def __init__(self, listed=False):
        super().__init__()
        self.dense = keras.layers.Dense(1, kernel_initializer="zeros")
        self.offset = self.add_weight(shape=(1,), initializer="zeros")
        second = keras.optimizers.SGD(0.01, momentum=0.9)
        if listed:
            self.further = [second]
        else:
            self.second = second

    def build(self, shape):
        self.dense.build(shape)
        self.built = True

    def call(self, x):
        return self.dense(x) + self.offset

    def train_step(self, *args, **kwargs):
        logs = super().train_step(*args, **kwargs)
        second_of(self).apply([keras.ops.ones(1)], [self.offset])
        return logs


def second_of(model):
    return model.further[0] if hasattr(model, "further") else model.second


def playing(config, run, built=True, listed=False):
    model = TwoOptimizers(listed)
    model.build((None, 4))
    if built:
        second_of(model).build([model.offset])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True, jit_compile=False)
    how = {"shuffle": False, "verbose": 0, "initial_epoch": run.start, "epochs": run.stop, "callbacks": [report(run)]}
    model.fit(X[:64], Y[:64], validation_data=(X[64:], Y[64:]), batch_size=32, **how)


def test_a_network_in_bfloat16_goes_on(tmp_path):
    keras.config.set_dtype_policy("bfloat16")
    try:
        (whole, _), (cut, ended) = trained(tmp_path / "a", 3), trained(tmp_path / "b", 2, 3)
    finally:
        keras.config.set_dtype_policy("float32")
    assert (ended.status, cut) == (Status.DONE, whole)


@pytest.mark.parametrize(("listed", "name"), [(False, "second"), (True, "further[0]")])
def test_a_second_optimizer_goes_on_too(tmp_path, listed, name):
    plays = partial(playing, listed=listed)
    whole, _ = trained(tmp_path / "whole", 4, objective=plays)
    cut, _ = trained(tmp_path / "cut", 1, 4, objective=plays)
    np.testing.assert_allclose([s.loss for s in cut], [s.loss for s in whole], rtol=1e-6)
    with pytest.raises(zi.ZeroinError, match=re.escape(f"{name} is not: call model.{name}.build(...) once")):
        trained(tmp_path / "told", 1, objective=partial(plays, built=False))


class Adversaries(TwoOptimizers):
    """As in Keras' own examples, the optimizer of `compile` is never used."""

    def train_step(self, *args, **kwargs):
        self.second.apply([keras.ops.ones(1)], [self.offset])
        return {"offset": keras.ops.mean(self.offset)}


def test_an_optimizer_that_is_never_used_is_put_back_too(tmp_path):
    def adversaries(config, run):
        model = Adversaries()
        model.build((None, 4))
        model.second.build([model.offset])
        model.compile(loss="mse", run_eagerly=True, jit_compile=False)
        how = {"shuffle": False, "verbose": 0, "initial_epoch": run.start, "epochs": run.stop}
        model.fit(X[:64], Y[:64], validation_data=(X[64:], Y[64:]), batch_size=32, callbacks=[report(run)], **how)

    whole, _ = trained(tmp_path / "whole", 4, objective=adversaries)
    cut, _ = trained(tmp_path / "cut", 1, 4, objective=adversaries)
    assert [s.loss for s in cut] == pytest.approx([s.loss for s in whole], rel=1e-6)
    assert len({s.loss for s in whole}) == 4


@pytest.mark.parametrize("last", [True, False])
def test_a_training_that_a_callback_ended_goes_on_from_there(tmp_path, last):
    def impatient(config, run):
        keras.utils.set_random_seed(0)
        halt = keras.callbacks.EarlyStopping(patience=2, min_delta=100, restore_best_weights=True)
        callbacks = [halt, report(run)] if last else [report(run), halt]
        how = {"shuffle": False, "verbose": 0, "initial_epoch": run.start, "epochs": run.stop, "callbacks": callbacks}
        network(config).fit(X[:64], Y[:64], validation_data=(X[64:], Y[64:]), batch_size=32, **how)

    whole, _ = trained(tmp_path / "whole", 6)
    cut, ended = trained(tmp_path / "cut", 6, 6, objective=impatient)
    assert ended.status is Status.DONE
    assert [seen.epoch for seen in cut] == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose([s.loss for s in cut], [s.loss for s in whole], rtol=1e-6)


def test_a_second_fit_is_told_in_a_sentence(tmp_path):
    def folds(config, run):
        for _ in range(2):
            objective(config, run)

    with pytest.raises(zi.TaskError, match=r"one call of fit; another begins after epoch 2: leave it out of"):
        trained(tmp_path, 2, objective=folds)


@pytest.mark.parametrize("whole", [True, False])
def test_a_network_that_another_trial_trained_is_refused(tmp_path, whole):
    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    net = keras.Sequential([base, keras.layers.Dense(1)])
    first = net.get_weights()

    def shared(config, run, reset):
        model = net if whole else keras.Sequential([base, keras.layers.Dense(1)])
        if reset:
            model.set_weights(first)
        model.compile("adam", "mse", run_eagerly=True, jit_compile=False)
        how = {"initial_epoch": run.start, "epochs": run.stop, "verbose": 0, "callbacks": [report(run)]}
        model.fit(X, Y, validation_data=(X, Y), batch_size=96, **how)

    for trial, start, reset in ((0, 0, True), (0, 1, False), (1, 0, True)):  # the second goes on
        job = Job(trial, trial, {}, 3, start, start + 1, Kind.SCREEN, "")
        assert perform(partial(shared, reset=reset), job, tmp_path, start, 3, bool).status is Status.DONE
    with pytest.raises(zi.TaskError, match=r"a network of its own; .* is as trial 1 left it: make the network within"):
        perform(partial(shared, reset=False), Job(3, 2, {}, 3, 0, 1, Kind.SCREEN, ""), tmp_path, 0, 3, bool)


def test_a_study_carries_its_promising_trials_on(tmp_path):
    begun = []
    study = zi.tune(
        lambda config, run: objective(config, run, begun), SPACE, max_epochs=2, epochs=14, store=tmp_path / "z.db"
    )
    carried = [(trial, start) for trial, start, _ in begun if start]
    assert carried
    assert all(study.trials[trial].epoch > start for trial, start in carried)
    assert sum(stop - start for _, start, stop in begun) == 14  # no epoch was trained twice
    assert max(trial.epoch for trial in study.trials) == 2


def test_a_loss_that_is_not_finite_is_diverged(tmp_path):
    losses, ended = trained(tmp_path, 6, config={"lr": float("inf")})
    assert (losses, ended.status) == ([], Status.DIVERGED)


def test_weights_that_the_last_step_spoiled_are_diverged(tmp_path):
    """The training loss is that of before the step, and the accuracy of nothing but NaN is a half."""

    class Spoiled(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.set_weights([np.nan * weight for weight in self.model.get_weights()])

    def spoiled(config, run):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile("sgd", loss, metrics=["accuracy"], run_eagerly=True, jit_compile=False)
        how = {"epochs": run.stop, "verbose": 0, "callbacks": [Spoiled(), report(run, "val_accuracy")]}
        model.fit(X, Y > 0, validation_data=(X, Y > 0), batch_size=96, **how)

    assert trained(tmp_path, 1, objective=spoiled)[1].status is Status.DIVERGED


def test_other_numbers_of_an_epoch_are_kept_and_the_loss_of_training_once(tmp_path):
    """Keras' F1Score has a number for each class, which is no metric of ours."""
    y = np.eye(2)[(Y > 0).astype(int)]

    def classes(config, run, monitor):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
        metrics = ["accuracy", keras.metrics.F1Score()]
        model.compile("adam", "categorical_crossentropy", metrics=metrics, run_eagerly=True, jit_compile=False)
        how = {"validation_data": (X, y), "epochs": run.stop, "verbose": 0, "callbacks": [report(run, monitor)]}
        model.fit(X, y, batch_size=96, **how)

    for monitor, other in (("loss", "val_loss"), ("val_loss", "train_loss")):
        [seen], _ = trained(tmp_path / monitor, 1, objective=partial(classes, monitor=monitor))
        assert set(seen.metrics) == {other, "accuracy", "val_accuracy"}
    with pytest.raises(zi.TaskError, match=r"judged by a number.*'val_f1_score' is none of"):
        trained(tmp_path / "f1", 1, objective=partial(classes, monitor="val_f1_score"))


def test_an_end_asked_for_stops_the_training(tmp_path):
    job = Job(0, 0, {"lr": 0.01}, 3, 0, 6, Kind.SCREEN, "")
    seen = []
    assert perform(objective, job, tmp_path, 0, 6, lambda s: seen.append(s) or len(seen) < 2).status is Status.DONE
    assert len(seen) == 2
    assert (tmp_path / "trial-00000" / "epoch-2" / "keras.npz").is_file()


@pytest.fixture(scope="module")
def two_epochs(tmp_path_factory):
    """The folder of a trial that was paused after two epochs."""
    folder = tmp_path_factory.mktemp("two")
    trained(folder, 1, 2)
    return folder


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"initial_epoch": 0}, "initial_epoch=run.start"),
        ({"epochs": 3}, "fit ended after 3: use .*epochs=run.stop"),
        ({"validation_data": None}, "use fit.*validation_data"),
        ({"callbacks": ["val_accuracy"]}, r"'val_accuracy' is none of loss, .*: name it in compile"),
    ],
)
def test_a_wrong_call_of_fit_is_told_in_a_sentence(tmp_path, two_epochs, options, words):
    def wrong(config, run):
        how = {"validation_data": (X, Y), "initial_epoch": run.start, "epochs": run.stop, "verbose": 0} | options
        how["callbacks"] = [report(run, *how.get("callbacks", ()))]
        network(config).fit(X, Y, batch_size=96, **how)

    shutil.copytree(two_epochs, tmp_path, dirs_exist_ok=True)
    job = Job(1, 0, {"lr": 0.01}, 3, 2, 4, Kind.SCREEN, "")
    with pytest.raises(zi.TaskError, match=words):
        perform(wrong, job, tmp_path, 2, 4, lambda seen: True)


def test_a_network_that_is_built_too_late_is_told(tmp_path):
    def late(config, run):
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.01), "mse")
        model.fit(X, Y, validation_data=(X, Y), epochs=run.stop, verbose=0, callbacks=[report(run)])

    if keras.backend.backend() == "tensorflow":
        with pytest.raises(zi.TaskError, match=r"keras\.Input"):
            trained(tmp_path, 1, objective=late)
    else:  # fit builds it before it begins
        assert len(trained(tmp_path, 1, objective=late)[0]) == 1


def test_batch_norm_in_kerass_conventions():
    layer = keras.layers.BatchNormalization(**batchnorm({"bn_momentum": 0.01, "bn_eps": 1e-5, "lr": 1.0}))
    assert (layer.momentum, layer.epsilon) == (0.99, 1e-5)
    assert batchnorm({"lr": 1.0}) == {}
    with pytest.raises(zi.TaskError, match="fixed momentum"):
        batchnorm({"bn_momentum": None})


def test_running_statistics_are_pytorchs_but_for_the_unbiased_variance():
    torch = pytest.importorskip("torch")
    config = {"bn_momentum": 0.3, "bn_eps": 1e-4}
    ours, theirs = torch.nn.BatchNorm1d(4, momentum=0.3, eps=1e-4), keras.layers.BatchNormalization(**batchnorm(config))
    y = ours(torch.tensor(X))
    z = theirs(X, training=True)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(z), y.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(theirs.moving_mean), ours.running_mean.numpy(), atol=1e-6)
    unbiased = (ours.running_var.numpy() - 0.7) * 95 / 96 + 0.7
    np.testing.assert_allclose(keras.ops.convert_to_numpy(theirs.moving_variance), unbiased, atol=1e-6)


def test_a_continued_job_has_a_seed_of_its_own(tmp_path):
    def run(start):
        return SimpleNamespace(seed=3, start=start)

    assert seed(run(0)) == seed(run(0)) != seed(run(2))
    assert isinstance(Run(Job(0, 0, {}, 3, 0, 1, Kind.SCREEN, ""), Checkpoint(tmp_path, 0, 0), bool, 1).seed, int)
