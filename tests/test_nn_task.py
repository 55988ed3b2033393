"""Tasks: data in all forms, normalised rightly; mistakes told in one sentence before any training."""

import dataclasses
import linecache
import pickle
import random
import subprocess
import sys
import time
import warnings
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from torch import nn
from torch.utils.data import (
    DataLoader,
    Dataset,
    RandomSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    get_worker_info,
)

from zeroin.errors import StudyError, TaskError, ZeroinError
from zeroin.executors import gpus
from zeroin.executors.inline import Inline
from zeroin.nn import Metric, Task, loop, mlp, small_cnn
from zeroin.nn.data import InMemory, OnDemand, edges, order, prepared
from zeroin.nn.executing import carried, importable
from zeroin.nn.layers import NORMS
from zeroin.nn.metrics import METRICS
from zeroin.nn.sequences import columns_and_texts, gru, text_cnn
from zeroin.nn.stacking import calibration
from zeroin.space import Choice, Float, Int, Space
from zeroin.tasks import TASKS, Ready, load
from zeroin.tuning import tune
from zeroin.types import Job, Kind, Status

torch.set_num_threads(1)
RNG = np.random.default_rng(0)
KEPT, FROZEN, DROP = nn.Linear(4, 3), nn.BatchNorm1d(4).requires_grad_(False), nn.Dropout(0.5)
NORMED = lambda c: nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3))  # noqa: E731
X, Y = RNG.normal(size=(60, 4)), RNG.integers(0, 3, 60)
DEEP = (X[:, :, None], X > 0)
SPACE = Space(lr=Float(1e-4, 1.0, scale="log"))


def task(**kwargs):
    return Task(**({"build": lambda c: mlp(4, 3, c), "train": (X, Y), "valid": (X, Y), "space": SPACE} | kwargs))


def check(**kwargs):
    made = task(**kwargs)
    made.check(made.space_for(1.0))


def executor_of(made, folder, max_epochs, trainings=1.0):
    return made.executor(folder, max_epochs=max_epochs, workers=1, space=made.space_for(1.0), trainings=trainings)


class Freezes(nn.Linear):
    """`train` as it is often written: it returns nothing."""

    def train(self, mode=True):
        super().train(mode)


class Pairs(Dataset):
    """Examples one by one; with `noise`, different each time."""

    def __init__(self, noise=0.0):
        self.noise = noise

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        noise = self.noise * torch.rand(4).numpy() if self.noise else 0.0
        return X[i].astype("float32") + np.float32(noise), int(Y[i])


# ------------------------------------------------------------------------------------------------------------- data


def test_every_form_of_data_is_the_same_data():
    tensors = TensorDataset(torch.tensor(X), torch.tensor(Y))
    short = torch.tensor(X).bfloat16()
    made = task(train=(short, Y), valid=(short, Y))
    assert torch.equal(made.problem.train.x, task(train=(short.float(), Y)).problem.train.x)
    assert made.measure["contents"]
    for given in ((torch.tensor(X), torch.tensor(Y)), tensors, Pairs(), DataLoader(Pairs(), batch_size=7), [X, Y]):
        made = task(train=given).problem.train
        assert isinstance(made, InMemory)
        torch.testing.assert_close(made.x, task().problem.train.x, atol=1e-6, rtol=1e-6)
        assert torch.equal(made.y, torch.tensor(Y))


class Doubled(TensorDataset):
    def __getitem__(self, i):
        x, y = super().__getitem__(i)
        return 2 * x, y


def test_a_tensor_data_set_of_ones_own_gives_its_own_examples():
    own, plain = Doubled(torch.tensor(X), torch.tensor(Y)), TensorDataset(torch.tensor(2 * X), torch.tensor(Y))
    first, second = (task(train=given, normalise=False).problem.train.x for given in (own, plain))
    assert torch.equal(first, second)


@pytest.mark.parametrize("trainings", [1.0, 60.0])
def test_a_data_set_that_changes_is_read_batch_by_batch(tmp_path, trainings):
    made = task(train=DataLoader(Pairs(noise=0.1)))
    assert isinstance(made.problem.train, OnDemand)
    executor, seen = executor_of(made, tmp_path, 2, trainings), []
    executor.start(Job(0, 0, {"lr": 0.01, "batchnorm": True}, 0, 0, 2, Kind.SCREEN, ""), 0)
    assert executor.wait(lambda _, o: seen.append(o) or True)[0].status == "done"
    assert len(seen) == 2
    batches = list(made.problem.train.batches(order(0, 0, 60), edges(60, 32)))
    assert [len(x) for x, _ in batches] == [32, 28]
    assert torch.equal(batches[0][1], torch.tensor(Y)[order(0, 0, 60)[:32]])


def quiet(_worker):
    get_worker_info().dataset.noise = 0.0


def test_workers_of_a_loader_begin_as_it_says():
    made = task(train=DataLoader(Pairs(noise=0.1), num_workers=1, worker_init_fn=quiet), normalise=False).problem.train
    ((x, _),) = made.batches(torch.arange(60), [(0, 60)])
    assert torch.equal(x, torch.tensor(X).float())


def test_what_a_data_set_draws_for_recalibration_is_the_trials(tmp_path):
    def losses(folder, *cuts):
        made, seen = task(train=Pairs(noise=0.5), recalibrate=True), []
        for start, stop in pairwise(cuts):
            executor = Inline(loop.objective(made.problem), tmp_path / folder, 4)
            job = Job(0, 0, {"lr": 0.01, "batchnorm": True}, 0, start, stop, Kind.SCREEN, "")
            executor.start(job, start)
            executor.wait(lambda _, o: seen.append(o.metrics["valid_loss"]) or True)
            torch.rand(1)
        return seen

    assert losses("whole", 0, 4) == losses("cut", 0, 2, 4)


class Own(Dataset):
    """Examples of a generator of its own, or of `random`; each in one of ten readings only is another."""

    def __init__(self, draw):
        self.draw = draw

    def __len__(self):
        return 60

    def __getitem__(self, i):
        return X[i].astype("float32") * (-1 if self.draw() < 0.1 else 1), int(Y[i])


@pytest.mark.parametrize("draw", [random.random, np.random.default_rng(0).random], ids=["global", "own"])
def test_a_data_set_that_seldom_changes_is_not_kept_as_it_was_read_once(draw):
    assert all(isinstance(task(train=Own(draw)).problem.train, OnDemand) for _ in range(10))


def test_what_a_data_set_draws_leaves_scores_and_normalisation_as_they_are(tmp_path):
    first, second = (task(train=Own(random.random), valid=Own(random.random)).problem for _ in range(2))
    assert torch.equal(first.normalisation.mean, second.normalisation.mean)
    net = mlp(4, 3, {})
    assert loop.evaluate(first, net, first.valid) == loop.evaluate(second, net, second.valid)


def test_a_sampler_says_which_examples_there_are(tmp_path):
    data, rest = TensorDataset(torch.tensor(X), torch.tensor(Y)), list(range(40, 60))
    made = task(train=DataLoader(data, sampler=SubsetRandomSampler(range(40))), valid=DataLoader(data, sampler=rest))
    assert torch.equal(made.problem.train.y, torch.tensor(Y[:40]))
    assert torch.equal(made.problem.valid.y, torch.tensor(Y[40:]))
    for loader in (
        DataLoader(data, batch_size=7, shuffle=True, drop_last=True),
        DataLoader([(x.astype("float32"), int(y)) for x, y in zip(X, Y, strict=True)], batch_sampler=[rest, range(40)]),
    ):
        assert torch.equal(task(train=loader).problem.train.y, torch.tensor(Y))


class Several(Pairs):
    def __getitem__(self, i):
        x, y = super().__getitem__(i)
        return (x, x), y


class Silent(nn.Linear):
    """Refuses its inputs without a word."""

    def forward(self, x):
        raise ValueError


class Named(Pairs):
    def __getitem__(self, i):
        return dict(zip(("x", "y"), super().__getitem__(i), strict=True))


def test_normalisation_is_the_training_sets():
    train, valid = X * [1, 10, 0, 1e-2] + [0, 5, 7, 1e6], X[:20]
    sets, norm = prepared(
        {"train": (train, Y), "valid": (valid, Y[:20])}, "cross_entropy", normalise=True, device="cpu"
    )
    x = sets["train"].x.double()
    assert x.dtype == torch.float64
    assert x.mean(0).abs().max() < 1e-6
    torch.testing.assert_close(
        x.var(0, unbiased=False)[[0, 1, 3]], torch.ones(3, dtype=torch.float64), atol=1e-5, rtol=0
    )
    assert x[:, 2].abs().max() == 0  # constant: scale 1, no division by zero
    assert norm.scale[2] == 1
    expected = (torch.tensor(valid) - torch.tensor(train).mean(0)) / norm.scale
    torch.testing.assert_close(sets["valid"].x, expected.float(), rtol=1e-5, atol=1e-5)


def test_images_are_normalised_by_channel_and_sequences_by_feature():
    images = RNG.integers(0, 255, (30, 3, 5, 5)).astype("uint8")
    sets, norm = prepared({"train": (images, Y[:30])}, "cross_entropy", normalise=True, device="cpu")
    assert norm.mean.shape == (3, 1, 1)
    assert sets["train"].x.mean((0, 2, 3)).abs().max() < 1e-5
    _, norm = prepared({"train": (X.reshape(10, 6, 4), Y[:10])}, "cross_entropy", normalise=True, device="cpu")
    assert norm.mean.shape == (1, 4)


def test_numbers_of_more_than_double_precision_are_taken():
    assert torch.equal(task(train=(X.astype(np.longdouble), Y)).problem.train.x, task().problem.train.x)


def test_weights_that_are_computed_cannot_be_set():
    normed = task(build=lambda c: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)))
    normed.network({"init": "default"})
    with pytest.raises(TaskError, match=r"those of a ParametrizedLinear are computed from others, .*config\['init'\]"):
        normed.network({"init": "kaiming"})


def test_whole_numbers_stay_for_embedding_and_normalise_can_be_off():
    tokens = RNG.integers(0, 9, (60, 5))
    assert task(train=(tokens, Y), valid=(tokens, Y)).problem.train.x.dtype == torch.int64
    raw = task(normalise=False).problem
    assert raw.normalisation is None
    torch.testing.assert_close(raw.train.x, torch.tensor(X).float())


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [(9, 4, [4, 5]), (8, 4, [4, 4]), (10, 4, [4, 4, 2]), (3, 8, [3]), (1, 8, [1]), (3, 1, [1, 1, 1]), (5, 4, [5])],
)
def test_a_last_single_example_joins_the_batch_before(count, size, expected):
    assert [b - a for a, b in edges(count, size)] == expected


def test_each_epoch_has_its_own_order_of_all_examples():
    orders = [order(1, e, 50) for e in range(3)]
    assert all(sorted(o.tolist()) == list(range(50)) for o in orders)
    assert not torch.equal(orders[0], orders[1])
    assert torch.equal(orders[2], order(1, 2, 50))


# --------------------------------------------------------------------------------------------------------- mistakes


class Ragged(torch.utils.data.Dataset):
    def __len__(self):
        return 9

    def __getitem__(self, i):
        return torch.zeros(2 + i % 3), 0


class OfWidths(Ragged):
    def __getitem__(self, i):
        return torch.rand(2 + i % 3), 0


def broken(values, at, value):
    out = np.array(values, dtype=float)
    out[at] = value
    return out


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"train": (broken(X, (3, 1), np.nan), Y)}, r"1 of 240 train inputs are NaN"),
        ({"valid": (broken(X, 5, np.inf), Y)}, r"4 of 240 valid inputs are NaN"),
        ({"loss": "mse", "metric": "mae", "test": (X, broken(Y, 2, np.nan))}, r"1 of 60 test targets"),
        ({"train": (X, Y[:-1])}, r"60 inputs and 59 targets"),
        ({"train": ((X, X), Y)}, r"2 inputs and 60 targets.* of several inputs make one"),
        ({"train": Ragged()}, r"have one shape; .*collate_fn pads them"),
        ({"valid": (X[:0], Y[:0])}, r"valid set is empty"),
        ({"train": (X, Y - 1)}, r"whole numbers from 0; the train set has -1"),
        ({"train": (X, Y - 100)}, r"the train set has -100: use loss=nn.CrossEntropyLoss\(\), which leaves them out"),
        ({"train": (X, Y + 0.5)}, r"whole numbers from 0; the train set has \d.5"),
        ({"train": (X, np.array(["a", "b", "c"] * 20))}, r"such as .*'a'.*np\.unique"),
        ({"train": (np.array([[1.0, "red"]] * 60, dtype=object), Y)}, r"object such as 'red': use pd.get_dummies\(X\)"),
        ({"train": ({"a": X, "b": X}, Y)}, r"train inputs are one tensor; these are a dict of a, b: put them into one"),
        ({"train": X}, r"\(inputs, targets\).*ndarray"),
        ({"train": (X, Y, Y)}, r"tuple of 3"),
        ({"valid": (X[:, :3], Y)}, r"one shape; valid has \[3\], train \[4\]"),
        ({"valid": (X[:, None], Y)}, r"one shape; valid has \[1, 4\], train \[4\]"),
        ({"train": OfWidths()}, r"by feature, of which all have as many; .*pad them to one length"),
        ({"loss": "hinge"}, r"loss is one of"),
        ({"metric": "f2"}, r"metric is one of"),
        ({"loss": nn.CrossEntropyLoss}, r"got the class CrossEntropyLoss: use CrossEntropyLoss\(\)"),
        ({"metric": lambda output, target: 1.0}, r"name or a Metric; got a function: use Metric\('my score', "),
        ({"max_epochs": None}, r"whole number from 1; max_epochs=None: use max_epochs=30"),
        ({"space": {"lr": 0.1}}, r"a space is a Space, .*; got a dict"),
        ({"device": "hyperdrive"}, r"a device is one that PyTorch has here; 'hyperdrive': .* use device='cpu'"),
        ({"train": (X * 1e300, Y), "normalise": False}, r"below 3.4e38.*; train inputs go to \d.*e\+30\d"),
        ({"loss": "mse", "metric": "mae", "train": (X, Y * 1e300)}, r"below 3.4e38.*; train targets go to 2e\+300"),
        ({"loss": "mse", "metric": "r2", "valid": (X, np.ones(60))}, r"all 60 in the valid set are equal"),
        ({"loss": "mse", "metric": "r2", "train": (X, X), "valid": (X, X * [1, 1, 0, 1])}, r"are equal in column 2"),
        ({"train": (np.ma.masked_greater(X, 2), Y)}, r"train inputs are NaN"),
        ({"train": (torch.tensor(X).to_sparse(), Y)}, r"train inputs are dense arrays; .* use X.to_dense\(\)"),
        ({"train": (csr_matrix(X), Y)}, r"these are a sparse csr_matrix: use X.toarray\(\)"),
        ({"train": ([[1.0], [1.0, 2.0]], [0, 1])}, r"of one shape; train inputs are not \(setting .*pad them"),
        ({"metric": "roc_auc", "valid": (X, Y * 0)}, r"all 60 in the valid set are of class 0: cut the sets anew"),
        ({"train": Several()}, r"the train set has a list of 2: put them into one tensor"),
        ({"train": Named()}, r"the train set has a dict of x, y: give a DataLoader with collate_fn"),
        ({"train": DataLoader(Pairs(), batch_size=None)}, r"has batch_size=None: give the examples"),
        (
            {"valid": DataLoader(Pairs(), sampler=WeightedRandomSampler([1.0] * 60, 60))},
            r"the sampler of the valid set gives some several times: weight them in the loss",
        ),
        (
            {"train": DataLoader(Pairs(), sampler=RandomSampler(X, num_samples=20))},
            r"the sampler of the train set gives 20 of 60, others each time: give the data without it",
        ),
    ],
)
def test_bad_data_are_told_when_the_task_is_made(kwargs, message):
    with pytest.raises(TaskError, match=message):
        task(**kwargs)


class OfLengths(torch.utils.data.Dataset):
    """Sequences [T, 2] of different lengths around (3, -5), or images [2, T, T]; others each time, by a hair."""

    def __init__(self, axes):
        self.axes = axes

    def __len__(self):
        return 40

    def __getitem__(self, i):
        size = 2 + i % 5
        x = torch.tensor([3.0, -5.0]).expand(*[size] * self.axes, 2) + torch.arange(size)[:, None] % 2
        return (x + 1e-6 * torch.rand(())).movedim(-1, 0 if self.axes == 2 else -1), i % 3


class Swapped(nn.Module):
    def forward(self, x):
        return x.movedim(2, 1)


class Averaged(nn.Module):
    def __init__(self, axes):
        super().__init__()
        self.axes, self.last = axes, nn.Linear(2, 3)

    def forward(self, x):
        return self.last(x.mean(self.axes))


@pytest.mark.parametrize(("axes", "over", "shape"), [(1, (1,), (1, 2)), (2, (2, 3), (2, 1, 1))])
def test_examples_of_different_lengths_are_normalised_by_step(axes, over, shape):
    one_by_one = DataLoader(OfLengths(axes), collate_fn=lambda batch: (batch[0][0][None], torch.tensor([batch[0][1]])))
    norm = task(build=lambda c: Averaged(over), train=one_by_one, valid=one_by_one).problem.normalisation
    steps = torch.cat(
        [x.movedim(0 if axes == 2 else -1, -1).reshape(-1, 2) for x, _ in map(OfLengths(axes).__getitem__, range(40))]
    )
    assert norm.mean.shape == shape
    torch.testing.assert_close(norm.mean.flatten().float(), steps.mean(0), rtol=0, atol=1e-5)
    torch.testing.assert_close(norm.scale.flatten().float(), steps.std(0, correction=0), rtol=0, atol=1e-5)


def test_sets_may_differ_in_the_length_of_their_sequences_if_the_network_takes_both():
    sets = {"train": (np.ones((60, 7, 2)), Y), "valid": (np.ones((60, 9, 2)), Y), "test": (np.ones((60, 3, 2)), Y)}
    study = tune(task(build=lambda c: Averaged((1,)), **sets), epochs=4, max_epochs=2, store=None, playbook=False)
    assert all(trial.status == "done" for trial in study.trials)
    flat = task(build=lambda c: nn.Sequential(nn.Flatten(), nn.Linear(14, 3)), **sets)
    with pytest.raises(TaskError, match=r"takes the inputs; for inputs \[2, 9, 2\] .* it stops with"):
        flat.check(SPACE)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"build": lambda c: "net"}, r"returns a torch.nn.Module; it returned a str"),
        ({"build": lambda c: nn.Linear(4, c["width"])}, r"of {'lr': .* it raised KeyError: 'width'.* add to"),
        ({"build": lambda c: nn.Linear(4, 2)}, r"2 outputs and the train set a label 2"),
        ({"build": lambda c: nn.Sequential(nn.Linear(4, 1), nn.Flatten(0))}, r"\[B, classes\]"),
        ({"build": lambda c: nn.Linear(9, 3)}, r"change its first layer"),
        ({"build": lambda c: Silent(4, 3)}, r"it stops with 'ValueError'"),
        ({"build": lambda c: nn.Linear(4, 3), "loss": "mse", "metric": "mae"}, r"\[2, 3\] for targets \[2\]"),
        ({"build": lambda c: nn.LSTM(4, 3)}, r"returns a tuple"),
        ({"build": lambda c: KEPT}, r"gave the same weight twice"),
        ({"build": lambda c: nn.Sequential(FROZEN, nn.Linear(4, 3))}, r"gave the same 0 twice"),
        ({"build": lambda c: nn.Sequential(DROP, nn.Linear(4, 3))}, r"gave the same 0 twice"),
        ({"build": lambda c: nn.Linear(4, 3).double()}, r"its numbers are torch.float64: return net.float\(\)"),
        ({"train": (X, np.eye(3)[Y])}, r"labels \[2, 3\]: give labels as numbers"),
        ({"train": DEEP, "valid": DEEP, "build": lambda c: nn.Linear(1, 3)}, r"return output.movedim\(-1, 1\)"),
        ({"build": lambda c: nn.Linear(4, 1), "loss": lambda output, target: (output - target) ** 2, "metric": "mae"},
         r"a loss compares .* of outputs \[32, 1\] and targets \[32\] yours gives"),
        ({"build": lambda c: nn.Linear(4, 1), "loss": "mse", "metric": Metric("own", "minimize", nn.L1Loss())},
         r"a metric compares .* of outputs \[32, 1\] and targets \[32\] yours gives"),
        ({"build": lambda c: nn.Linear(4, 3).requires_grad_(False)}, r"of this one all are frozen"),
        ({"space": Space(lr=Float(0.1, 1.0), optimizer=Choice("adamw", "lion"))}, r"optimizer is one of sgd, .*'lion'"),
        ({"space": Space(lr=Float(-1.0, 1.0))}, r"lr is a number from 0; the config has lr=-1.0: use lr=0.001"),
        ({"space": Space(lr=Float(0.1, 1.0), momentum=Float(0.5, 1.0))}, r"from 0 and below 1; .*momentum=1.0: use"),
        ({"space": Space(lr=Float(0.1, 1.0), label_smoothing=Float(0, 2))}, r"from 0 to 1; .*label_smoothing=2"),
        ({"space": Space(lr=Float(0.1, 1.0), dropout=Float(0, 1.5))}, r"dropout is a number from 0 to 1; .*=1.5"),
        ({"space": lambda trainings: {"lr": 1}}, r"space= takes a Space; got a dict"),
        ({"build": lambda c: nn.Linear(4, 1), "loss": nn.BCEWithLogitsLoss(), "metric": "loss"},
         r"of outputs \[32, 1\] and targets \[32\] yours raised ValueError .*: end the network with nn.Flatten\(0\)"),
        ({"loss": nn.BCEWithLogitsLoss(), "metric": "loss", "train": (X, np.eye(3, dtype=int)[Y])},
         r"targets \[32, 3\] yours raised RuntimeError .*: give targets as y.astype\('float32'\)"),
        ({"loss": nn.CrossEntropyLoss(), "metric": "loss", "train": (X, Y.astype(float))},
         r"yours raised RuntimeError .*: give targets as y.astype\('int64'\)"),
        ({"metric": Metric("own", "maximize", lambda output, target: (1.0, 2.0))},
         r"a metric returns a number; own returns a tuple: end it with `return float\(score\)`"),
        ({"loss": lambda output, target: None}, r"a loss returns a tensor; this one returns a NoneType"),
        ({"space": Space(batch_size=Int(1, 8)), "build": NORMED},
         r"needs two examples.*batch_size=1.*use batch_size=2"),
        ({"space": Space(batch_size=Choice(1, 8)), "build": NORMED},
         r"needs two examples"),
        ({"train": (X[:1], Y[:1]), "build": NORMED},
         r"needs two examples"),
    ],
)  # fmt: skip
def test_a_network_that_does_not_fit_is_told_before_training(kwargs, message):
    with pytest.raises(ZeroinError, match=message):
        check(**kwargs)


@pytest.mark.parametrize("whole", [lambda c: {"units": 5} | c, lambda c: c | {"units": 5}, lambda c: c.copy(), dict])
def test_build_may_complete_its_config_as_a_dict(whole):
    given = []
    check(build=lambda c: given.append(whole(c)) or nn.Linear(4, 3))
    assert given[0].keys() >= SPACE.default.keys()
    assert type(given[0]) is dict


def test_a_loss_may_ask_for_more_than_two_examples():
    def loss(output, target):
        return nn.functional.cross_entropy(output, target) + 1 / (len(torch.unique(target)) == 3)

    check(loss=loss, train=(X[np.argsort(Y)], np.sort(Y)))


def test_a_network_whose_train_returns_nothing_is_taken():
    check(build=lambda c: Freezes(4, 3))


def test_a_hyperparameter_that_nothing_asks_for_is_told(tmp_path):
    space = Space(
        lr=Float(1e-4, 1.0, scale="log"), units=Int(2, 8), learning_rate=Float(0.1, 1.0), dropout=Float(0, 0.5)
    )
    with pytest.warns(
        UserWarning,
        match=r"asked the default config for learning_rate: rename learning_rate to lr, .*optimizer, lr, momentum",
    ):
        task(space=space).check(space)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task(build=lambda c: [mlp(4, 3, c), dict(**c)][0], space=space).check(space)


@pytest.mark.parametrize(
    ("name", "message", "remedy"),
    [
        ("momentum", "adamw does without it", {"optimizer": Choice("adamw", "sgd")}),
        ("lr_decay", "the schedule is constant", {"schedule": Choice("constant", "step")}),
        ("dropout", "no nn.Dropout", {"layers": Int(0, 1, default=0)}),
        ("bn_eps", "no batch norm", {"batchnorm": Choice(False, True, default=False)}),
    ],
)
def test_a_hyperparameter_without_what_it_belongs_to_is_told(name, message, remedy):
    def build(config):
        norms = [nn.BatchNorm1d(4)] * config.get("batchnorm", False)
        return nn.Sequential(*norms, *[nn.Dropout()] * config.get("layers", 0), nn.Linear(4, 3))

    with pytest.warns(UserWarning, match=rf"{name} has none, because .*{message}"):
        task(build=build).check(Space(**{name: Float(0.1, 0.5)}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task(build=build).check(Space(**{name: Float(0.1, 0.5)}, **remedy))


class Scaled(nn.CrossEntropyLoss):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"build": lambda c: nn.Sequential(nn.Linear(4, 3), nn.Softmax(1))}, "outputs are probabilities already"),
        ({"loss": Scaled()}, r"the loss has parameters of its own \(scale\), which stay as they are"),
        ({"loss": nn.CrossEntropyLoss(), "space": Space(label_smoothing=Float(0, 0.3))}, "label_smoothing has none"),
    ],
)
def test_what_trains_but_not_as_it_is_meant_is_told(kwargs, message):
    made = task(**kwargs)
    with pytest.warns(UserWarning, match=message):
        made.check(made.space)


@pytest.mark.parametrize(("loss", "left_out"), [(nn.CrossEntropyLoss(), -100), (nn.NLLLoss(ignore_index=3), 3)])
@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_accuracies_leave_out_the_labels_that_the_loss_leaves_out(loss, left_out, metric):
    words, labels = torch.randint(0, 3, (60, 5)), torch.full((60, 5), left_out)
    labels[:, 2:] = words[:, 2:]
    model = nn.Sequential(nn.Embedding(3, 3, _weight=torch.eye(3)), Swapped())
    sets = (words, labels)
    problem = task(build=lambda c: model, train=sets, valid=sets, loss=loss, metric=metric).problem
    assert loop.evaluate(problem, model, problem.valid)[0] == 1.0


def test_an_accuracy_of_one_output_is_told_of_numbers_that_are_no_logits():
    def made(loss, *end, least=0.0):
        sets = (torch.randn(60, 4), torch.where(torch.arange(60) % 2 == 0, least, 1.0))
        build = lambda c: nn.Sequential(nn.Linear(4, 1), *end, nn.Flatten(0))  # noqa: E731
        return task(build=build, train=sets, valid=sets, loss=loss, metric="accuracy")

    made(nn.BCEWithLogitsLoss()).check(SPACE)
    with pytest.raises(TaskError, match="outputs are probabilities: leave the last Sigmoid out"):
        made(nn.BCELoss(), nn.Sigmoid()).check(SPACE)
    with pytest.raises(TaskError, match="outputs are numbers"):
        made("mse").check(SPACE)
    with pytest.raises(TaskError, match="labels are -1 and others: number the classes 0 and 1"):
        made(nn.SoftMarginLoss(), least=-1.0).check(SPACE)


@pytest.mark.parametrize("trainings", [1, 100])
def test_a_default_config_that_stops_in_training_alone_is_a_failed_trial(tmp_path, trainings):
    def build(config):
        net = nn.Linear(4, 3)
        net.register_forward_hook(lambda *_: 1 / 0 if net.training and config["lr"] == 0.5 else None)
        return net

    space = Space(lr=Choice(0.5, 0.1))
    study = tune(task(build=build, space=space), epochs=2 * trainings, max_epochs=2, store=None, confirm=0)
    assert [str(trial.status) for trial in study.trials[:2]] == ["failed", "done"]


LAMBDA = task(build=lambda c: nn.Linear(4, 3))


def test_a_task_with_a_lambda_is_found_by_its_name_and_trains_as_an_objective(tmp_path):
    by_name = importable(LAMBDA, loop.train, loop.Paused())
    assert by_name.func is not loop.train
    executor = Inline(pickle.loads(pickle.dumps(by_name)), tmp_path, 2)
    executor.start(Job(0, 0, {"lr": 0.1}, 0, 0, 1, Kind.SCREEN, ""), 0)
    assert [str(ended.status) for ended in executor.wait(lambda *_: True)] == ["done"]


def test_workers_are_told_of_a_task_that_its_file_does_not_have_or_has_as_another(tmp_path, monkeypatch):
    module = sys.modules[__name__]

    def done_by_a_worker():
        executor = Inline(pickle.loads(by_name), tmp_path, 2)
        executor.start(Job(0, 0, {"lr": 0.1}, 0, 0, 1, Kind.SCREEN, ""), 0)
        executor.wait(lambda *_: True)

    monkeypatch.setattr(module, "GUARDED", task(build=lambda c: nn.Linear(4, 3)), raising=False)
    by_name = pickle.dumps(importable(GUARDED, loop.train, loop.Paused()))  # noqa: F821
    monkeypatch.setattr(module, "GUARDED", task(build=lambda c: nn.Linear(4, 3), train=(X + 1, Y)))
    with pytest.raises(TaskError, match="'GUARDED' is another there: define it once at the top level, above"):
        done_by_a_worker()
    monkeypatch.delattr(module, "GUARDED")
    with pytest.raises(TaskError, match="'GUARDED' is none of that name there: define it once"):
        done_by_a_worker()


def test_batches_do_not_grow_past_one_of_all_examples():
    searched = Space(lr=Float(1e-3, 1, scale="log"), batch_size=Int(8, 32, scale="log2", limits=(2, 4096)))
    for given in (searched, lambda trainings: searched):
        assert task(space=given).space_for(1.0)["batch_size"].legal == (2, 64)  # of 60 examples
    wide = Space(batch_size=Int(8, 256, scale="log2", limits=(2, 4096)))
    assert task(space=wide).space_for(1.0)["batch_size"].legal == (2, 256)  # as it was asked for


def test_a_batch_size_that_is_held_is_the_smallest():
    task(build=NORMED).check(Space(batch_size=Int(1, 32)).fix("batch_size", 8))


def test_a_mistake_is_told_too_where_the_space_is_given_to_tune(tmp_path):
    executor = executor_of(task(space=Space(lr=Float(0.1, 1.0)), build=lambda c: nn.Linear(4, 2)), tmp_path, 3)
    executor.start(Job(0, 0, {"lr": 0.1}, 0, 0, 2, Kind.SCREEN, ""), 0)
    with pytest.raises(TaskError, match="a label 2"):
        executor.wait(lambda *_: True)
    with pytest.raises(TaskError, match="has none"):
        task(space=None).space_for(3)


def test_images_of_one_example_may_be_normalised_alone(tmp_path):
    made = task(
        build=lambda c: nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, 3)),
        train=(X.reshape(60, 1, 2, 2), Y), valid=(X.reshape(60, 1, 2, 2), Y), space=Space(batch_size=Int(1, 8)),
    )  # fmt: skip
    made.check(made.space_for(1.0))
    assert isinstance(executor_of(made, tmp_path, 3), Inline)


class Stuck(nn.Module):
    """A layer that never ends."""

    def forward(self, x):
        time.sleep(600)


def sometimes_stuck(config):
    return nn.Sequential(nn.Linear(4, 8), *[Stuck()] * bool(config["stuck"]), nn.Linear(8, 3))


@pytest.mark.parametrize("rows", [1, 8], ids=["one by one", "stacked"])
def test_a_network_that_hangs_is_ended_and_the_others_go_on(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(
        calibration.Calibrations, "of", lambda self, config: calibration.Calibration(rows, "both", why="of this test")
    )
    monkeypatch.setattr(calibration.Calibrations, "most", rows)
    space = Space(lr=Float(1e-3, 0.1, scale="log", default=0.01), stuck=Choice(False, True))
    made = task(build=sometimes_stuck, space=space)
    given = {"max_epochs": 2, "workers": 2, "confirm": 0, "store": tmp_path / "z.db", "playbook": False}
    study = tune(made, **given, trials=6, trial_minutes=1 / 60, start=[{"lr": 0.01, "stuck": True}])
    assert {t.status for t in study.trials if t.config["stuck"]} == {Status.TIMED_OUT}
    assert "no epoch ended within" in study.trials[0].note
    assert {t.status for t in study.trials if not t.config["stuck"]} == {Status.DONE}


def test_a_task_that_names_one_of_several_gpus_has_no_workers_that_see_others(monkeypatch):
    monkeypatch.setattr(gpus, "visible", lambda: ["0", "1"])
    named = SimpleNamespace(name="t", problem=SimpleNamespace(device="cuda:1"))
    assert not carried(named, 1)[0]
    with pytest.raises(TaskError, match="device='cuda:1' with workers=2: use device='cuda'"):
        carried(named, 2)


def test_a_task_is_a_frozen_trainable():
    made = task(metric="loss", max_epochs=3)
    assert (made.goal, made.name, made.max_epochs) == ("minimize", "task", 3)
    assert task().goal == "maximize"
    assert task(space=lambda trainings: Space(x=Float(0, trainings))).space_for(5.0)["x"].high == 5
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.name = "other"
    own = Metric("worst", "minimize", lambda output, target: float((output.argmax(1) != target).max()))
    assert task(metric=own).goal == "minimize"


# ---------------------------------------------------------------------------------------------- metrics, networks


def test_metrics_by_hand():
    logits, labels = torch.tensor([[2.0, 1, 0], [0, 1, 0], [0, 0, 3], [1, 0, 0]]), torch.tensor([0, 1, 1, 0])
    assert METRICS["accuracy"].compute(logits, labels) == 0.75
    assert METRICS["balanced_accuracy"].compute(logits, labels) == 0.75
    assert METRICS["accuracy"].compute(torch.tensor([[1.0], [-1.0]]), torch.tensor([1.0, 1.0])) == 0.5
    output, target = torch.tensor([[1.0], [2], [4]]), torch.tensor([1.0, 2, 3])
    assert METRICS["mae"].compute(output, target) == pytest.approx(1 / 3)
    assert METRICS["mse"].compute(output, target) == pytest.approx(1 / 3)
    assert METRICS["rmse"].compute(output, target) == pytest.approx(3**-0.5)
    assert METRICS["r2"].compute(output, target) == pytest.approx(0.5)
    for shape in ([3, 2], [1, 3], [4], []):
        with pytest.raises(TaskError, match="shape of the targets"):
            METRICS["mse"].compute(torch.zeros(shape), target)


@pytest.mark.parametrize("position", ["before", "after"])
@pytest.mark.parametrize(("kind", "flat", "image"), [
    ("batch", nn.BatchNorm1d, nn.BatchNorm2d),
    ("group", nn.GroupNorm, nn.GroupNorm),
    ("layer", nn.LayerNorm, nn.GroupNorm),
])  # fmt: skip
def test_networks_have_the_norm_that_their_config_asks_for(kind, flat, image, position):
    config = {"norm": kind, "norm_position": position, "bn_eps": 1e-3, "units": 8}
    for net, cls, x in ((mlp(4, 3, config), flat, torch.randn(5, 4)),
                        (small_cnn(2, 8, 3, config), image, torch.randn(5, 2, 8, 8))):  # fmt: skip
        assert net(x).shape == (5, 3)
        layers = [m for m in net if not isinstance(m, nn.MaxPool2d)]
        norms = [i for i, m in enumerate(layers) if isinstance(m, cls)]
        assert len(norms) == 2
        assert {layers[i].eps for i in norms} == {1e-3}
        assert all(isinstance(layers[i + (1 if position == "before" else -1)], nn.ReLU) for i in norms)
        biases = [m.bias is None for m in net if isinstance(m, nn.Linear | nn.Conv2d)]
        assert biases == [kind == "batch" and position == "before"] * 2 + [False]
    if kind == "group":  # of two values only their order would be left
        assert [m.num_groups for m in mlp(4, 3, config | {"units": 64}) if isinstance(m, cls)] == [4, 4]
        assert [m.num_groups for m in small_cnn(2, 8, 3, config | {"units": 64}) if isinstance(m, cls)] == [32, 32]
    with pytest.raises(TaskError, match="norm is one of none, batch, group, layer; the config has norm='power'"):
        mlp(4, 3, {"norm": "power"})


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_pooling_in_front_of_a_relu_gives_the_same_bits(norm):
    net, x = small_cnn(2, 8, 3, {"norm": norm, "units": 4}), torch.randn(16, 2, 8, 8).round(decimals=1)  # with ties
    usual = [*net]
    for i in [i for i, m in enumerate(net) if isinstance(m, nn.MaxPool2d)]:
        assert isinstance(net[i + 1], nn.ReLU)
        usual[i : i + 2] = net[i + 1], net[i]
    outputs = [one(x) for one in (net, nn.Sequential(*usual))]
    assert torch.equal(*outputs)
    found = [torch.autograd.grad((out**2).sum(), list(net.parameters())) for out in outputs]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("kind", ["batch", "group", "layer"])
@pytest.mark.parametrize(("build", "example"), [
    (lambda c: mlp(4, 3, c), torch.zeros(5, 4)), (lambda c: small_cnn(2, 8, 3, c), torch.zeros(5, 2, 8, 8)),
    (lambda c: text_cnn(9, 3, c), torch.ones(5, 7, dtype=torch.long)), (lambda c: gru(4, 3, c), torch.zeros(5, 6, 4)),
    (lambda c: columns_and_texts(2, [(9, 4), (7, 3)], 3, c), torch.ones(5, 9)),
], ids=["mlp", "small_cnn", "text_cnn", "gru", "columns_and_texts"])  # fmt: skip
def test_every_ready_made_network_takes_the_hyperparameters_of_norms(build, example, kind):
    norms = [m for m in build({"norm": kind, "bn_eps": 0.01, "bn_momentum": 0.3}).modules() if isinstance(m, NORMS)]
    assert {m.eps for m in norms} == {0.01}
    assert {m.momentum for m in norms if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)} == (
        {0.3} if kind == "batch" else set()
    )
    assert build({"norm": kind})(example).shape == (5, 3)
    assert not [m for m in build({}).modules() if isinstance(m, NORMS)]


def test_batchnorm_is_a_word_for_norm_batch():
    for config in ({"batchnorm": True}, {"norm": "batch"}):
        torch.manual_seed(0)
        assert str(mlp(4, 3, config | {"bn_momentum": 0.3})).count("BatchNorm1d") == 2
    assert "Norm" not in str(mlp(4, 3, {"batchnorm": True, "norm": "none"}))


def test_the_mlp_is_what_its_config_says():
    net = mlp(4, 3, {"layers": 2, "units_1": 8, "units": 6, "batchnorm": True, "dropout": 0.0, "activation": "gelu"})
    kinds = [type(m).__name__ for m in net]
    block = ["Linear", "BatchNorm1d", "GELU"]
    assert kinds == ["Flatten", *block, *block, "Dropout", "Linear"]  # dropout only where no batch norm comes after it
    assert (net[1].bias, net[1].out_features, net[4].out_features) == (None, 8, 6)
    assert str(mlp(4, 3, {"layers": 2, "dropout": 0.1})).count("Dropout") == 2
    assert mlp(4, 3, {"layers": 1})[1].bias is not None
    assert small_cnn(2, 7, 5, {"layers": 3, "batchnorm": True, "dropout": 0.1})(torch.zeros(4, 2, 7, 7)).shape == (4, 5)
    with pytest.raises(TaskError, match="activation is one of"):
        mlp(4, 3, {"activation": "sine"})
    with pytest.raises(TaskError, match="init is one of"):
        task().network({"init": "zero"})


# ------------------------------------------------------------------------------------------------------ ready-made


def test_ready_made_tasks_are_listed_without_torch():
    code = "import sys, zeroin.tasks as t; print(len(t.TASKS), 'torch' in sys.modules, 'sklearn' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert int(out[0]) >= 1
    assert out[1:] == ["False", "False"]


def test_what_is_missing_is_told_with_the_line_to_paste(monkeypatch):
    with monkeypatch.context() as absent:
        absent.setitem(sys.modules, "sklearn", None)
        with pytest.raises(TaskError, match=r"-m pip install scikit-learn$"):
            load("digits")
    for name in [name for name in sys.modules if name.startswith(("zeroin.nn", "zeroin.tasks.vision"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(TaskError, match=r"-m pip install torch scikit-learn pandas$"):
        load("digits")
    with pytest.raises(TaskError, match="use 'digits'"):
        load("digit")


def test_digits_learns_in_one_epoch(tmp_path):
    digits = load("digits")
    assert isinstance(TASKS["digits"], Ready)
    assert [len(d) for d in (digits.problem.train, digits.problem.valid, digits.problem.test)] == [1197, 240, 360]
    assert digits.problem.train.x.shape == (1197, 1, 8, 8)
    counts = torch.bincount(digits.problem.test.y)
    assert counts.max() - counts.min() <= 3  # stratified
    config = digits.space_for(20).default | {"lr": 3e-3, "batch_size": 32}
    executor, seen = Inline(loop.objective(digits.problem), tmp_path, 1), []
    executor.start(Job(0, 0, config, 0, 0, 1, Kind.CONFIRM, ""), 0)
    executor.wait(lambda _, o: seen.append(o) or True)
    assert seen[0].loss > 0.85
    assert seen[0].metrics["test"] > 0.85


NET = """
class Net(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x)
"""


def test_a_network_that_was_changed_is_told(tmp_path, caplog):
    def made(text, build="lambda c: Net(4, 3)"):
        (tmp_path / "own_network.py").write_text(text)
        linecache.checkcache()
        space = {"torch": torch, "__name__": "own_network"}
        exec(compile(text, str(tmp_path / "own_network.py"), "exec"), space)
        sys.modules["own_network"] = SimpleNamespace(__file__=str(tmp_path / "own_network.py"))
        return task(build=eval(build, space))

    given = {"store": tmp_path / "z.db", "name": "s", "max_epochs": 1, "confirm": 0, "playbook": False}
    for trials, text, build, told in (
        (1, NET, "lambda c: Net(4, 3)", False),
        (2, NET, "lambda c: Net(4, 3)", False),
        (3, NET.replace("forward(x)", "forward(x.tanh())"), "lambda c: Net(4, 3)", True),
        (4, NET.replace("forward(x)", "forward(x.tanh())"), "lambda c: Net(4, 3, bias=False)", True),
    ):
        caplog.clear()
        tune(made(text, build), **given, trials=trials)
        assert ("a network, loss or metric that has another code since" in caplog.text) == told
    sys.modules.pop("own_network")
    assert "code" not in Task(partial(mlp, 4, 3), (X, Y), (X, Y), space=SPACE).measure


def test_what_a_score_is_a_score_of_tells_data_apart():
    same, again = task().measure, task().measure
    assert same == again
    other = X.copy()
    other[3, 2] += 1
    assert task(train=(other, Y)).measure["contents"] != same["contents"]
    assert task(train=(torch.from_numpy(X), Y)).measure["contents"] == task(train=(X, Y)).measure["contents"]
    tensors = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    for given in (tensors, DataLoader(tensors, 16, shuffle=True), DataLoader(tensors, 7, drop_last=True)):
        assert task(train=given).measure["contents"] == same["contents"]
    assert task(train=TensorDataset(torch.from_numpy(other), tensors[:][1])).measure["contents"] != same["contents"]
    half = DataLoader(tensors, sampler=SubsetRandomSampler(range(30)))
    doubled = DataLoader(tensors, collate_fn=lambda batch: [2 * part for part in default_collate(batch)])
    for given in (Pairs(), half, doubled):
        assert "contents" not in task(train=given).measure


def test_a_study_goes_on_with_its_test_set_or_with_its_first_one(tmp_path):
    given = {"store": tmp_path / "z.db", "name": "s", "trials": 1, "max_epochs": 1, "confirm": 0, "playbook": False}
    for test in (None, (X, Y)):
        tune(task(test=test), **given)
    with pytest.raises(StudyError, match="those of 's' have changed"):
        tune(task(test=(X + 1, Y)), **given)


def test_a_study_keeps_whether_its_inputs_are_normalised(tmp_path):
    given = {"store": tmp_path / "z.db", "name": "s", "trials": 1, "max_epochs": 1, "confirm": 0, "playbook": False}
    tune(task(), **given)
    with pytest.raises(StudyError, match=r"a study keeps its normalise; 's' .* has True, not False"):
        tune(task(normalise=False), **given)
