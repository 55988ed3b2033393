"""The loop: cut anywhere it gives the same network; what a config says is what happens."""

import math
import random
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from zeroin.errors import StoreError, TaskError
from zeroin.executors.inline import Inline
from zeroin.nn import Metric, Task, export, loop, mlp
from zeroin.nn.data import order
from zeroin.nn.export import newest
from zeroin.nn.recipe import OPTIMIZERS
from zeroin.nn.stacking.timing import timed
from zeroin.space import Float, Space
from zeroin.types import Job, Kind, Observation, Status

torch.set_num_threads(1)
SPACE = Space(lr=Float(1e-4, 1.0, scale="log"))
FULL = {
    "lr": 0.01, "batch_size": 16, "layers": 2, "units": 12, "dropout": 0.3, "batchnorm": True, "schedule": "cosine",
    "warmup": 0.2, "weight_decay": 0.01, "label_smoothing": 0.1, "grad_clip": 1.0, "init": "orthogonal",
}  # fmt: skip


def data(n=97, seed=0, features=6):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, features)) * 3 + 1
    return x, (x[:, 0] * x[:, 1] > 1).astype(int) + (x[:, 2] > 1)


def task(**kwargs):
    usual = {
        "build": lambda c: mlp(6, 3, c),
        "train": data(),
        "valid": data(50, 1),
        "test": data(50, 2),
        "space": SPACE,
    }
    return Task(**(usual | kwargs))


def train(task, folder, config, *cuts, seed=7, max_epochs=10, kind=Kind.SCREEN, stays=False):
    """Train in jobs cut at `cuts`, in a new process each unless it `stays`; observations and how the last job ended."""
    seen, ended, objective = [], None, loop.objective(task.problem)
    for number, (start, stop) in enumerate(pairwise(cuts)):
        executor = Inline(objective if stays else loop.objective(task.problem), folder, max_epochs)
        executor.start(Job(number, 0, config, seed, start, stop, kind, "test"), start)
        (ended,) = executor.wait(lambda _, o: seen.append(o) or True)
        assert ended.status in (Status.DONE, Status.DIVERGED), ended.note
    return seen, ended


def weights(folder):
    return newest(folder / "trial-00000")["model"]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) if torch.is_tensor(a[k]) else a[k] == b[k] for k in a)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resumed_equals_unbroken_bit_for_bit(optimizer, tmp_path):
    config = {**FULL, "optimizer": optimizer, **({"momentum": 0.8} if optimizer == "rmsprop" else {})}
    whole, _ = train(task(), tmp_path / "whole", config, 0, 10)
    torch.manual_seed(99)  # what others leave in the global generator changes nothing
    cut, _ = train(task(), tmp_path / "cut", config, 0, 3, 4, 10)
    assert whole == cut
    a, b = (newest(tmp_path / f / "trial-00000") for f in ("whole", "cut"))
    assert same(a["model"], b["model"])
    assert same(a["best"]["weights"], b["best"]["weights"])
    assert len(whole) == 10


@pytest.mark.parametrize("size", [16, pytest.param(2, marks=pytest.mark.slow)])  # recorded at last, or at once
def test_a_trial_that_goes_on_in_the_same_process_gives_what_its_checkpoint_gives(size, tmp_path, monkeypatch):
    config = {**FULL, "batch_size": size}
    whole, _ = train(task(), tmp_path / "whole", config, 0, 30, max_epochs=30)
    monkeypatch.setattr(torch, "load", None)
    cut, _ = train(task(), tmp_path / "cut", config, 0, 3, 4, 30, max_epochs=30, stays=True)
    assert whole == cut
    monkeypatch.undo()
    a, b = (newest(tmp_path / f / "trial-00000") for f in ("whole", "cut"))
    assert same(a["model"], b["model"])
    assert same(a["best"]["weights"], b["best"]["weights"])


class Warming(nn.Module):
    """Counts its own steps, which no checkpoint holds."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.steps = layer, 0

    def forward(self, x):
        self.steps += self.training
        return self.layer(x) * min(1.0, self.steps / 40)


def test_what_a_network_counts_itself_goes_on_from_its_checkpoint_in_any_process(tmp_path):
    def seen(folder, stays):
        X = torch.linspace(-1, 1, 400).reshape(100, 4)
        split = X, (X[:, 0] > 0).long()
        made = Task(lambda c: Warming(nn.Linear(4, 2)), train=split, valid=split, name="t", space=SPACE)
        return train(made, folder, {"lr": 0.1}, 0, 2, 4, 8, max_epochs=8, stays=stays)[0]

    assert seen(tmp_path / "stays", True) == seen(tmp_path / "moves", False)


class Loud(nn.Linear):
    """Reads what `build` has set for all of its kind."""

    loudness = 1.0

    def forward(self, x):
        return super().forward(x) * Loud.loudness


def loud(config):
    Loud.loudness = config["loudness"]
    return Loud(6, 3)


def test_what_build_sets_for_all_networks_is_as_a_trials_own_config_says_when_it_goes_on(tmp_path):
    def seen(folder, stays):
        observed, objective = [], loop.objective(problem)
        for number, (trial, start, loudness) in enumerate(((0, 0, 0.1), (1, 0, 3.0), (0, 1, 0.1))):
            executor = Inline(objective if stays else loop.objective(problem), folder, 2)
            config = {"lr": 0.1, "loudness": loudness}
            executor.start(Job(number, trial, config, trial, start, start + 1, Kind.SCREEN, ""), start)
            executor.wait(lambda _, o: observed.append(o) or True)
        return [o.loss for o in observed]

    problem = task(build=loud).problem
    assert seen(tmp_path / "stays", True) == seen(tmp_path / "moves", False)


def test_of_networks_that_may_go_on_few_and_small_ones_are_kept(tmp_path):
    paused, problem, config = loop.Paused(), task().problem, {**FULL, "batch_size": 32}

    def work(trial, start, stop, config=config):
        executor = Inline(partial(loop.train, problem, paused), tmp_path, 3)
        executor.start(Job(trial, trial, config, trial, start, stop, Kind.SCREEN, ""), start)
        (ended,) = executor.wait(lambda *_: True)
        assert ended.status is Status.DONE, ended.note

    for trial in range(loop.KEPT + 2):
        work(trial, 0, 1)
    assert list(paused.kept) == list(range(2, loop.KEPT + 2))
    work(5, 1, 2)
    assert list(paused.kept)[-1] == 5
    work(5, 2, 3)  # trained in full
    assert 5 not in paused.kept
    work(99, 0, 1, {**config, "units": 800})
    assert 99 not in paused.kept
    paused.kept[2][0].epoch = 7  # it stands elsewhere: the checkpoint is what counts
    work(2, 1, 2)
    assert paused.kept[2][0].epoch == 2


def test_a_lost_checkpoint_costs_time_only(tmp_path):
    whole, _ = train(task(), tmp_path / "whole", FULL, 0, 6)
    executor, seen = Inline(loop.objective(task().problem), tmp_path / "lost", 10), []
    executor.start(Job(0, 0, FULL, 7, 4, 6, Kind.SCREEN, ""), 4)  # no folder at all, but four epochs are known
    executor.wait(lambda _, o: seen.append(o) or True)
    assert seen == whole  # those that are known are told again, and not counted
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "lost"))


def test_a_network_that_a_quota_has_no_room_for_is_no_failure_of_its_config(tmp_path):
    resource = pytest.importorskip("resource")  # of Unix
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    executor = Inline(loop.objective(task().problem), tmp_path, 10)
    executor.start(Job(0, 0, FULL, 7, 0, 1, Kind.SCREEN, ""), 0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(StoreError, match="needs room on the disk"):
            executor.wait(lambda _, o: True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_global_generator_is_left_alone(tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    train(task(), tmp_path, FULL, 0, 2)
    assert torch.equal(torch.rand(3), expected)


def test_the_seed_decides(tmp_path):
    a, _ = train(task(), tmp_path / "a", FULL, 0, 2)
    b, _ = train(task(), tmp_path / "b", FULL, 0, 2)
    c, _ = train(task(), tmp_path / "c", FULL, 0, 2, seed=8)
    assert a == b != c


CHANGES = {
    "lr": ("adamw", 0.02), "momentum": ("momentum", 0.5), "beta1": ("adam", 0.5), "beta2": ("adam", 0.5),
    "eps": ("adamw", 0.1), "weight_decay": ("adamw", 0.5), "batch_size": ("adamw", 32), "layers": ("adamw", 3),
    "units": ("adamw", 7), "units_2": ("adamw", 7), "dropout": ("adamw", 0.6), "activation": ("adamw", "tanh"),
    "batchnorm": ("adamw", False), "bn_momentum": ("adamw", 0.5), "bn_eps": ("adamw", 0.1),
    "schedule": ("adamw", "linear"), "lr_decay": ("adamw", 0.9), "warmup": ("adamw", 0.5),
    "label_smoothing": ("adamw", 0.3), "grad_clip": ("sgd", 0.01), "init": ("adamw", "kaiming"),
    "optimizer": ("nadam", "adam"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_each_name_has_an_effect(name, tmp_path):
    optimizer, value = CHANGES[name]
    config = {**FULL, "optimizer": optimizer}
    train(task(), tmp_path / "a", config, 0, 3)
    train(task(), tmp_path / "b", {**config, name: value}, 0, 3)
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_names_that_build_does_not_ask_for_are_applied_to_its_layers():
    def build(config):
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, config["out"]))

    config = {"out": 3, "dropout": 0.2, "bn_eps": 0.01, "bn_momentum": 0.3, "init": "xavier"}
    net = task(build=build).network(config)
    assert (net[1].eps, net[1].momentum, net[2].p) == (0.01, 0.3, 0.2)
    assert net[0].bias.abs().sum() == 0
    mine = task(build=lambda c: nn.Sequential(nn.Linear(6, 3), nn.Dropout(c["dropout"] / 2)))
    assert mine.network(config)[1].p == 0.1  # asked for, so it is the user's own


def test_what_is_frozen_keeps_its_weights_whatever_the_init():
    frozen = nn.Linear(6, 4).requires_grad_(False)
    before = frozen.weight.clone()
    task(build=lambda _: nn.Sequential(frozen, nn.Linear(4, 3))).network({"init": "kaiming"})
    assert torch.equal(frozen.weight, before)


class AlwaysDrops(nn.Linear):
    def forward(self, x):
        return super().forward(nn.functional.dropout(x, 0.5))  # also when it is judged


def test_what_a_network_draws_when_it_is_judged_depends_on_nothing_else(tmp_path):
    always = task(build=lambda _: AlwaysDrops(6, 3))
    first, _ = train(always, tmp_path / "a", {"lr": 0.01}, 0, 3)
    torch.rand(1)
    second, _ = train(always, tmp_path / "b", {"lr": 0.01}, 0, 2, 3)
    assert [o.loss for o in first] == [o.loss for o in second]


def test_batch_norm_is_judged_by_running_statistics(tmp_path):
    seen, _ = train(task(), tmp_path, FULL, 0, 1)
    state = newest(tmp_path / "trial-00000")
    net = task().network(FULL)
    net.load_state_dict(state["model"])
    problem = task().problem
    x, y = problem.valid.x, problem.valid.y
    net.eval()
    with torch.no_grad():
        first = net[1](net[0](x))  # by hand: 1 x 6 -> 12, then the norm
        norm = net[2]
        hand = (first - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
        torch.testing.assert_close(norm(first), hand)
        accuracy = (net(x).argmax(1) == y).double().mean().item()
        one_by_one = torch.cat([net(x[i : i + 1]) for i in range(len(x))])
        torch.testing.assert_close(one_by_one, net(x), atol=1e-5, rtol=1e-5)
    assert seen[0].loss == accuracy
    assert seen[0].metrics["valid_loss"] == pytest.approx(nn.functional.cross_entropy(net(x), y).item(), rel=1e-5)


def test_divergence_is_told_once_and_early(tmp_path):
    seen, ended = train(task(), tmp_path, {"lr": 1e30, "optimizer": "sgd", "layers": 2}, 0, 10)
    assert ended.status is Status.DIVERGED
    assert len(seen) < 3


def test_the_final_training_tests_the_best_epoch(tmp_path):
    searched, _ = train(task(), tmp_path / "search", FULL, 0, 3)
    assert "test" not in searched[0].metrics
    seen, _ = train(task(), tmp_path / "final", FULL, 0, 2, 6, kind=Kind.CONFIRM)
    state = newest(tmp_path / "final" / "trial-00000")
    best = max(o.loss for o in seen)
    assert seen[state["best"]["epoch"] - 1].loss == best == state["metric"]
    problem, net = task().problem, task().network(FULL)
    net.load_state_dict(state["best"]["weights"])
    net.eval()
    accuracy = (net(problem.test.x).argmax(1) == problem.test.y).double().mean().item()
    assert seen[-1].metrics["test"] == accuracy
    assert seen[-1].metrics["test_loss"] > 0


def test_export_works_from_the_files_alone(tmp_path):
    train(task(), tmp_path / "runs", FULL, 0, 4)
    target = tmp_path / "best.pt"
    lines = export("task", str(tmp_path / "runs" / "trial-00000"), FULL, str(target), source="pass")
    assert len(lines.splitlines()) == 3
    names = {"task": task()}
    exec(lines, names)
    saved, net = names["saved"], names["net"]
    x, y = (torch.tensor(v) for v in data(50, 1))
    inputs = ((x - saved["mean"]) / saved["scale"]).float()
    assert torch.equal(inputs, task().problem.valid.x)
    output = net(inputs)
    assert (output.argmax(1) == y).double().mean().item() == pytest.approx(saved["metric"])
    with pytest.raises(TaskError, match="of its own config"):
        export("task", tmp_path / "runs" / "trial-00000", {"lr": 1.0}, target)
    with pytest.raises(TaskError, match="holds no such network"):
        export("task", tmp_path / "runs" / "trial-00001", FULL, target)


class Fourier(nn.Linear):
    """Draws as it is made what no state_dict holds."""

    def __init__(self):
        super().__init__(12, 3)
        self.frequencies = torch.randn(6, 12)

    def forward(self, x):
        return super().forward((x @ self.frequencies).sin())


def test_an_exported_network_is_built_by_its_trials_seed(tmp_path):
    one = task(build=lambda c: Fourier())
    seen, _ = train(one, tmp_path, {"lr": 0.01}, 0, 4)
    names = {"task": one}
    exec(export("task", tmp_path / "trial-00000", {"lr": 0.01}, tmp_path / "best.pt", source="pass"), names)
    best = max(seen, key=lambda o: o.loss)
    assert loop.evaluate(one.problem, names["net"], one.problem.valid)[0] == best.loss


class SetUp(nn.Module):
    """Moves inputs by the mean of the first that it is given, as an ActNorm does."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(6, 3)
        self.register_buffer("mean", torch.full((6,), torch.nan))

    def forward(self, x):
        if self.mean.isnan().any():
            self.mean.copy_(x.mean(0))
        return self.out(x - self.mean)


def test_a_network_is_first_called_with_its_first_mini_batch(tmp_path):
    one = task(build=lambda c: SetUp())
    train(one, tmp_path, {"batch_size": 16}, 0, 1)
    x = one.problem.train.x[order(7, 0, 97)[:16]]
    assert torch.equal(weights(tmp_path)["mean"], x.mean(0))


def test_a_metric_may_give_a_number_of_numpys(tmp_path):
    score = Metric("spread", "maximize", lambda output, _: np.float64(output.std()))
    seen, _ = train(task(metric=score), tmp_path, FULL, 0, 2, 4)
    assert len(seen) == 4


def test_out_of_memory_is_a_status(tmp_path):
    def build(config):
        raise torch.OutOfMemoryError("CUDA out of memory")

    executor = Inline(loop.objective(task(build=build).problem), tmp_path, 10)
    executor.start(Job(0, 0, FULL, 7, 0, 2, Kind.SCREEN, ""), 0)
    assert executor.wait(lambda *_: True)[0].status is Status.OUT_OF_MEMORY


def test_regression_and_a_loss_of_ones_own(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    y = x[:, 0] - 2 * x[:, 1]
    kwargs = {"build": lambda c: mlp(4, 1, c), "train": (x, y), "valid": (x[:40], y[:40]), "test": None}
    config = {"lr": 0.01, "units": 16, "batch_size": 16}
    r2, _ = train(task(**kwargs, loss="mse", metric="r2"), tmp_path / "r2", config, 0, 8)
    assert r2[-1].loss > 0.9
    own, _ = train(task(**kwargs, loss=lambda o, t: (o[:, 0] - t).abs(), metric="mae"), tmp_path / "mae", config, 0, 8)
    assert own[-1].loss == pytest.approx(own[-1].metrics["valid_loss"], rel=1e-5)
    assert own[-1].loss < own[0].loss
    assert math.isfinite(own[-1].metrics["train_loss"])
    assert isinstance(own[-1], Observation)


def test_a_task_checks_the_default_config():
    task().check(task().space_for(1.0))
    with pytest.raises(TaskError, match="first layer"):
        task(build=lambda c: nn.Linear(5, 3)).check(task().space_for(1.0))


class Viewing(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv, self.out = nn.Conv2d(channels, 4, 3), nn.Linear(16, 2)

    def forward(self, x):
        h = self.conv(x)
        return self.out(h.view(len(h), -1))


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 2, dtype=torch.cfloat)

    def forward(self, x):
        return self.inner(x.to(torch.cfloat)).abs()


class Drawing(nn.Module):
    """Draws where PyTorch does not see it."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 2)
        self.inner.weight.data = torch.from_numpy(np.random.rand(2, 6).astype("f"))  # noqa: NPY002

    def forward(self, x):
        return self.inner(x) * (random.random() + np.random.rand() if self.training else 1)  # noqa: NPY002


class Extra(nn.Linear):
    def get_extra_state(self):
        return {"version": 1}

    def set_extra_state(self, state):
        assert state == {"version": 1}


def tied():
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    model[2].weight = model[0].weight
    return model


def sparse(_config):
    return nn.Sequential(nn.Embedding(9, 4, sparse=True), nn.Flatten(), nn.Linear(24, 2))


ANY = {  # shape of an example; none: words
    "view": ((2, 4, 4), lambda _: Viewing(2)),
    "view, one channel": ((1, 4, 4), lambda _: Viewing(1)),
    "conv 3d": (
        (1, 2, 4, 4),
        lambda _: nn.Sequential(nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2), nn.Flatten(), nn.Linear(18, 2)),
    ),
    "no running statistics": (
        (6,),
        lambda _: nn.Sequential(nn.BatchNorm1d(6, track_running_stats=False), nn.Linear(6, 2)),
    ),
    "complex": ((6,), lambda _: Complex()),
    "lazy": ((6,), lambda _: nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.LazyLinear(2))),
    "sparse": ((), sparse),
    "drawing": ((6,), lambda _: Drawing()),
    "tied": ((6,), lambda _: tied()),
    "extra state": ((6,), lambda _: Extra(6, 2)),
}


class Convolution(nn.Conv2d):
    """Knows how what it gave last was laid out."""

    def forward(self, x):
        out = super().forward(x)
        self.is_last = out.is_contiguous(memory_format=torch.channels_last)
        return out


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_trained_channels_last(channels, tmp_path):
    """That takes up to half the time, also where images have one channel, whose kernels lie either way."""
    built = []

    def build(_config):
        built.append(Convolution(channels, 4, 3))
        return nn.Sequential(built[-1], nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))

    x = np.random.default_rng(0).normal(size=(64, channels, 4, 4)).astype("f")
    sets = (x, (x.mean((1, 2, 3)) > 0).astype(int))
    task = Task(build=build, train=sets, valid=sets)
    train(task, tmp_path, {"lr": 0.01}, 0, 1)
    assert built[-1].is_last
    timed(task.problem, {"lr": 0.01})  # whether stacks pay is measured against such training
    assert built[-1].is_last


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "nadam"])
@pytest.mark.parametrize(("shape", "build"), ANY.values(), ids=ANY)
def test_any_network_is_trained_and_resumed(shape, build, optimizer, tmp_path):
    rng = np.random.default_rng(0)
    x = (
        rng.normal(size=(257, *shape)).astype("f") if shape else rng.integers(0, 9, (257, 6))
    )  # one more than judged at once
    y = rng.integers(0, 2, 257)
    mine = Task(build=build, train=(x, y), valid=(x, y), test=(x, y))
    config = {"lr": 0.01, "optimizer": optimizer, "batch_size": 64, "grad_clip": 1.0, "momentum": 0.9}
    whole, ended = train(mine, tmp_path / "whole", config, 0, 3, kind=Kind.CONFIRM)
    assert ended.status is Status.DONE
    assert whole[-1].metrics["train_loss"] < whole[0].metrics["train_loss"]
    assert whole[-1].metrics["test"] == max(o.loss for o in whole)  # of the best epoch, on the same examples
    train(mine, tmp_path / "cut", config, 0, 1, 3, kind=Kind.CONFIRM)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    mine.network(config).load_state_dict(weights(tmp_path / "whole"), strict=True)
