"""One network's steps, recorded: the same bits as by its own code, or no recording."""

import logging
import random
import sys
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, partial
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from test_nn_equivalence import CALLS, ROWS, ClassCount, Fn, numbers, words
from test_nn_random import LOSSES, SEEDS, put_together, slow
from zeroin.nn import Task, gradients, loop, mlp
from zeroin.nn.loop import fresh
from zeroin.nn.recipe import OPTIMIZERS, recipe
from zeroin.nn.sequences import gru

torch.set_num_threads(1)
LOG = logging.getLogger(__name__)
CONFIG = {"lr": 0.01, "batch_size": 8}
EPOCHS = 4
# Of `ROWS`: what draws, keeps a count, takes numbers out of tensors or puts others in their place.
OWN_CODE = {
    "cumulative", "packed sequences", "a buffer replaced", "dropout of attention", "storing", "storing again",
    "reading what it stored", "rrelu", "noise", "if", "item", "mask", "random layers", "a list that grows",
    "clipped by a hook", "a count of its class", "a count of its file", "a slow count", "counting",
    "a hook where a gradient is needed", "weights kept twice", "lstm",
    "a hook that counts", "a buffer replaced by its like",
}  # fmt: skip
ABLE = [row for row in ROWS if row[0] != "a new attribute"]  # which cannot be trained at all


@pytest.fixture(autouse=True)
def _any_step_is_short(monkeypatch):
    monkeypatch.setattr(gradients, "LONG", float("inf"))


def problem_of(build, x, loss="cross_entropy", y=None):
    y = np.random.default_rng(1).integers(0, 3, len(x)) if y is None else y
    return Task(build=build, train=(x, y), valid=(x, y), loss=loss, metric="loss", normalise=False).problem


def trained(problem, config, *, records, epochs=EPOCHS, seed=3):
    """Losses, weights, optimizer's state, and whether the last steps were recorded."""
    random.seed(0)
    model = fresh(problem, config, seed)
    now = loop.Training.of(problem, model, recipe(config))
    now.gradients.records &= records
    losses = [loop.train_epoch(now, seed, epochs) for _ in range(epochs)]
    state = now.opt.state_dict()["state"]
    kept = {f"{i}.{n}": t for i, held in state.items() for n, t in held.items()}
    return losses, dict(model.named_buffers()) | dict(model.named_parameters()) | kept, now.gradients.records


def assert_same(problem, config, **kwargs):
    """Training is the same whether steps are recorded or not; returns whether they were."""
    losses, tensors, recorded = trained(problem, config, records=True, **kwargs)
    plain, others, never = trained(problem, config, records=False, **kwargs)
    assert not never
    assert losses == plain
    assert tensors.keys() == others.keys()
    for name, value in tensors.items():
        assert torch.equal(value, others[name]), name
    return recorded


@pytest.mark.parametrize("row", ABLE, ids=[r[0] for r in ABLE])
def test_a_step_of_any_network_is_the_same_or_not_recorded(row):
    name, build, x, *_ = row

    def network(_config):
        CALLS[0] = ClassCount.calls = 0
        torch.manual_seed(0)
        model = build()
        if name == "counting":
            model.steps = 0
        return model

    assert assert_same(problem_of(network, np.tile(x, (2, *[1] * (x.ndim - 1)))), CONFIG) == (name not in OWN_CODE)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_with_all_that_a_config_says(optimizer):
    config = {
        "lr": 0.02, "batch_size": 16, "layers": 2, "units": 12, "dropout": 0.3, "batchnorm": True, "weight_decay": 0.01,
        "label_smoothing": 0.1, "grad_clip": 0.5, "schedule": "cosine", "warmup": 0.2, "optimizer": optimizer,
    }  # fmt: skip
    assert assert_same(problem_of(lambda c: mlp(6, 3, c), numbers(6).repeat(5, 0)[:97]), config)


@pytest.mark.parametrize("seed", [*SEEDS[:6], *map(slow, SEEDS[6:])])
def test_networks_put_together_at_random(seed):
    draw = random.Random(seed)
    chosen, loss, batch, build, (x, y) = put_together(seed, draw)
    config = {"lr": 0.01, "batch_size": batch, "optimizer": draw.choice(OPTIMIZERS), "grad_clip": draw.choice([0, 1.0])}
    recorded = assert_same(problem_of(build, x, LOSSES[loss], y), config)
    assert not (recorded and {"noise", "branch"}.intersection(chosen))


def test_an_lstm_keeps_to_its_own_code_without_a_word_of_pytorchs(capfd):
    class Last(nn.LSTM):
        def forward(self, x):
            return super().forward(x)[0][:, -1]

    assert not assert_same(problem_of(lambda _: Last(4, 3, batch_first=True), numbers(5, 4)), {"batch_size": 4})
    assert not capfd.readouterr().err


def by_lengths(read):
    """Sums up words, as many as `read` says of how many are above 0."""

    def forward(self, x):
        counts = read((x > 0).sum(1))
        return self.out(torch.stack([self.table(row[: int(k)]).sum(0) for row, k in zip(x, counts, strict=True)]))

    return lambda _config: Fn(forward, table=nn.Embedding(9, 4), out=nn.Linear(4, 3))


READS = {
    "tolist": lambda counts: counts.tolist(),
    "numpy": lambda counts: counts.numpy(),
    "np.asarray": np.asarray,
    "item": lambda counts: [count.item() for count in counts],
    "int": lambda counts: [int(count) for count in counts],
    "dlpack": np.from_dlpack,
    "storage": lambda counts: list(counts.untyped_storage())[::8],
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_step_that_reads_numbers_of_its_mini_batch_is_not_recorded(read):
    always_six = np.sort(np.random.default_rng(0).integers(1, 9, size=(48, 6)))  # so that no mini-batch tells
    assert not assert_same(problem_of(by_lengths(read), always_six), CONFIG)


def late(count):
    return 2.0 if count > 30 else 1.0  # long after it is recorded


def counted_by(names):
    """A network whose loss doubles after 30 steps, as told by a count that its code keeps somewhere."""
    held = SimpleNamespace(n=0)
    local, context, again = threading.local(), ContextVar("n", default=0), iter(range(10**6))
    local.n, big = 0, np.zeros(2000)
    module = ModuleType("of_the_user")
    module.n = 0

    def of_an_object():
        held.n += 1
        return held.n

    def of_a_module():
        module.n += 1
        return module.n

    def of_a_thread():
        local.n += 1
        return local.n

    def of_a_context():
        context.set(context.get() + 1)
        return context.get()

    def of_an_array():
        big[1] += 1
        return big[1]

    class Counted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g * late(of_an_object())

    def of_an_iterator():
        return next(again)

    def of_a_default(kept=[0]):  # noqa: B006
        kept[0] += 1
        return kept[0]

    def of_a_parameter(weight):
        weight.n = getattr(weight, "n", 0) + 1
        return weight.n

    counts = [of_an_object, of_a_module, of_a_thread, of_a_context, of_an_array, of_an_iterator, of_a_default]

    def forward(self, x):
        if names == "of_a_backward_function":
            return Counted.apply(self.out(x))
        return self.out(x) * late(of_a_parameter(self.out.weight) if names == "of_a_parameter" else count())

    count = next((c for c in counts if c.__name__ == names), None)
    return Fn(forward, out=nn.Linear(4, 3))


COUNTS = (
    "of_an_object", "of_a_module", "of_a_thread", "of_a_context", "of_an_array", "of_an_iterator", "of_a_default",
    "of_a_parameter", "of_a_backward_function",
)  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_a_step_that_will_change_by_a_count_of_its_own_is_not_recorded(name):
    assert not assert_same(problem_of(lambda _: counted_by(name), numbers(4)), CONFIG, epochs=14)


class ByEpoch(nn.Linear):
    """Counts epochs as training begins them; what it then changes, `change` says."""

    def __init__(self, change):
        super().__init__(4, 3)
        self.change, self.scale, self.epochs = change, torch.ones(3), 0

    def train(self, mode=True):
        self.epochs += mode
        if self.epochs > 5:
            self.change(self)
        return super().train(mode)

    def forward(self, x):
        return super().forward(x) * self.scale


CHANGES = {
    "a tensor in place": lambda model: model.scale.fill_(2),
    "another tensor": lambda model: setattr(model, "scale", 2 * torch.ones(3)),
    "frozen": lambda model: model.bias.requires_grad_(False),
    "nothing": lambda model: None,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_network_that_changes_between_epochs_keeps_to_its_own_code(change):
    assert not assert_same(problem_of(lambda _: ByEpoch(change), numbers(4)), CONFIG, epochs=9)


@dataclass(frozen=True)
class Shape:
    width: int = 6
    activation: object = torch.tanh


class OfUsualParts(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape, self.first, self.out = shape, nn.Linear(4, shape.width), nn.Linear(shape.width, 3)

    @cached_property
    def scale(self):
        return 2.0

    def forward(self, x):
        LOG.debug("a step")
        return self.scale * self.out(self.shape.activation(self.first(x)))


def test_data_classes_cached_properties_and_loggers_are_no_reason_against_a_recording():
    assert assert_same(problem_of(lambda _: OfUsualParts(Shape()), numbers(4)), CONFIG)


def test_a_network_that_calls_backward_itself_is_not_recorded():
    def forward(self, x):
        y = self.out(x)
        if self.training and torch.is_grad_enabled():
            y.sum().backward(retain_graph=True)
        return y

    assert not assert_same(problem_of(lambda _: Fn(forward, out=nn.Linear(4, 3)), numbers(4)), CONFIG)


def test_a_backward_function_that_reads_numbers_is_not_recorded():
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2 if g.numpy().max() < 0.083 else g * 3

    forward = lambda self, x: Doubled.apply(self.out(x))  # noqa: E731
    assert not assert_same(problem_of(lambda _: Fn(forward, out=nn.Linear(4, 3)), numbers(4)), CONFIG)


def test_a_generator_of_the_networks_own_is_drawn_from_as_often_as_it_asks():
    def build(_config):
        own = np.random.default_rng(0)
        return Fn(lambda self, x: self.out(x) * float(own.random()), out=nn.Linear(4, 3))

    assert not assert_same(problem_of(build, numbers(4)), CONFIG)


def test_a_step_that_prints_a_tensor_is_not_recorded(capsys):
    def forward(self, x):
        print(x[0, 0])
        return self.out(x)

    assert not assert_same(problem_of(lambda _: Fn(forward, out=nn.Linear(4, 3)), numbers(4)), CONFIG)
    assert len(capsys.readouterr().out.splitlines()) == 2 * EPOCHS * 3


def test_a_loss_that_counts_is_not_recorded():
    calls = []

    def loss(output, target):
        calls.append(1)
        return F.cross_entropy(output, target) / len(calls)

    problem = problem_of(lambda _: nn.Linear(4, 3), numbers(4), loss)
    before = trained(problem, CONFIG, records=True)
    calls.clear()
    assert before[0] == trained(problem, CONFIG, records=False)[0]
    assert not before[2]


def test_a_parameter_without_a_part_in_the_loss_stays_without_a_gradient():
    problem = problem_of(lambda _: Fn(lambda s, x: s.out(x), out=nn.Linear(4, 3), more=nn.Linear(4, 3)), numbers(4))
    model = fresh(problem, CONFIG, 0)
    now = loop.Training.of(problem, model, recipe(CONFIG))
    for _ in range(EPOCHS):
        loop.train_epoch(now, 0, EPOCHS)
    assert now.gradients.records
    assert model.more.weight.grad is None


def test_gradients_that_never_change_are_clipped_anew_in_each_step():
    def forward(self, x):
        return self.out(x) + self.shift.sum()  # under a loss that is a plain mean its gradient is a constant

    def build(_config):
        model = Fn(forward, out=nn.Linear(4, 3))
        model.shift = nn.Parameter(torch.zeros(5))
        return model

    problem = problem_of(build, numbers(4), lambda output, _: output.mean(1))
    assert assert_same(problem, {**CONFIG, "grad_clip": 1e-3, "optimizer": "sgd"})


def test_tensors_put_in_place_of_others_between_epochs_end_the_recording():
    problem = problem_of(lambda _: nn.Linear(4, 3), numbers(4))
    model = fresh(problem, CONFIG, 0)
    now = loop.Training.of(problem, model, recipe(CONFIG))
    for _ in range(EPOCHS):
        loop.train_epoch(now, 0, 9)
    assert now.gradients.records
    model.weight.data = model.weight.data.clone()
    before = model.weight.detach().clone()
    loop.train_epoch(now, 0, 9)
    assert not now.gradients.records
    assert not torch.equal(before, model.weight)


def test_few_steps_to_come_are_not_worth_a_recording():
    problem = problem_of(lambda _: nn.Linear(4, 3), words().astype(np.float32)[:, :4])
    model = fresh(problem, CONFIG, 0)
    assert not loop.Training.of(problem, model, recipe(CONFIG), epochs=42).gradients.records
    assert loop.Training.of(problem, model, recipe(CONFIG), epochs=43).gradients.records


@pytest.mark.parametrize(("each", "recorded"), [(float("inf"), True), (0.0, False)])
def test_a_long_step_is_recorded_if_it_is_one_of_many_small_operations(monkeypatch, each, recorded):
    monkeypatch.setattr(gradients, "LONG", 0.0)
    monkeypatch.setattr(gradients, "EACH", each)
    x = np.random.default_rng(0).normal(size=(48, 7, 3)).astype(np.float32)
    assert assert_same(problem_of(lambda _: gru(3, 3, {"units": 8, "layers": 2}), x), CONFIG) == recorded


def in_chunks(self, x):
    """Writes into a part of a tensor that is read again as a whole, as recurrent layers do without the latter."""
    whole = self.out(x) * 2
    first, second = torch.unsafe_chunk(whole, 2, 1)
    first.add_(second).sigmoid_()
    second.mul_(first.detach())
    (third, *_) = torch.unsafe_split_with_sizes(whole.detach(), [3, 3], 1)
    return first + second * third


def whole_numbers(self, x):
    """Python numbers beside tensors of whole numbers, of truths and of other floating-point numbers."""
    n = (x * 8).long()
    odd = torch.bitwise_and(n, 1) * 2 + 1
    few = torch.bitwise_and(x > 0, True) * 3
    half = torch.bitwise_right_shift(n, 1).int() * 3 + n * 0.5 + (x.double() * 3).float()
    return self.out(odd * x + few + half + (n + 1))


def scattered(self, x):
    """Operations of several results, of which not all are needed."""
    high, where = x.max(1)
    order = x.sort(1)[0] + x.topk(4, 1).values * where[:, None]
    mean, spread = torch.var_mean(self.out(x), 1)[::-1]
    images = F.max_pool2d(x[:, None, None].expand(-1, 2, 4, 4) * spread[:, None, None, None], 2)
    return self.out(order) * mean[:, None] + high[:, None] + images.flatten(1)[:, :3]


@pytest.mark.parametrize("forward", [in_chunks, whole_numbers, scattered])
def test_results_that_share_memory_or_come_together_are_the_same(forward):
    width = 6 if forward is in_chunks else 3
    assert assert_same(problem_of(lambda _: Fn(forward, out=nn.Linear(4, width)), numbers(4)), CONFIG)


def test_an_error_of_the_users_network_is_raised_as_it_is():
    def forward(self, x):
        if sys._getframe().f_back is not None and x.shape[0] != 8:
            raise ValueError("eight at a time")
        return self.out(x)

    problem = problem_of(lambda _: Fn(forward, out=nn.Linear(4, 3)), numbers(4))
    model = fresh(problem, CONFIG, 0)
    found = gradients.Gradients(problem, model, recipe(CONFIG))
    step = partial(found, keys=torch.empty(0))
    x, y = torch.from_numpy(numbers(4)), torch.zeros(24, dtype=torch.int64)
    for _ in range(12):
        step(x[:8], y[:8])
    with pytest.raises(ValueError, match="eight at a time"):
        step(x[:7], y[:7])
