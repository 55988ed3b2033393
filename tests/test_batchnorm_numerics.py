"""PyTorch's batch norm, stacked training, recalibration and folding against the paper's equations in float64."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import batchnorm_reference as reference
from zeroin.errors import TaskError
from zeroin.nn import Task, fold, loop, mlp, recalibrate, small_cnn
from zeroin.nn.loop import fresh
from zeroin.nn.norms.normlayers import ChannelsLast
from zeroin.nn.recipe import recipe
from zeroin.nn.sets import evenly
from zeroin.nn.stacking.stack import stack

torch.set_num_threads(1)
SHAPES = {"N": (nn.BatchNorm1d, (16, 5)), "NT": (nn.BatchNorm1d, (8, 5, 7)), "NHW": (nn.BatchNorm2d, (6, 5, 4, 3))}
KINDS = pytest.mark.parametrize("kind", SHAPES)


def layer(kind, momentum=0.1, eps=1e-5, dtype=torch.float64, seed=0):
    made = SHAPES[kind][0](SHAPES[kind][1][1], momentum=momentum, eps=eps, dtype=dtype)
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        made.weight.copy_(torch.rand(5, generator=g) * 2 - 0.5)
        made.bias.copy_(torch.randn(5, generator=g))
    return made


def inputs(kind, seed, count=None):
    shape = SHAPES[kind][1]
    rng = np.random.default_rng(seed)
    scale, shift = rng.uniform(0.1, 5, 5), rng.normal(0, 10, 5)
    x = np.moveaxis(rng.normal(size=(count or shape[0], *shape[1:])), 1, -1) * scale + shift
    return np.moveaxis(x, -1, 1).copy()


def numbers(made):
    return made.weight.detach().numpy(), made.bias.detach().numpy()


@KINDS
@pytest.mark.parametrize("eps", [1e-8, 1e-5, 1e-3, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_forward_and_gradients_are_the_papers(kind, seed, eps):
    made, x = layer(kind, eps=eps), inputs(kind, seed)
    dy = np.random.default_rng(seed + 1).normal(size=x.shape)
    t = torch.tensor(x, requires_grad=True)
    y = made(t)
    y.backward(torch.tensor(dy))
    expected, kept = reference.forward(x, *numbers(made), eps)
    dx, dgamma, dbeta = reference.backward(dy, kept)
    pairs = ((y.detach(), expected), (t.grad, dx), (made.weight.grad, dgamma), (made.bias.grad, dbeta))
    assert max(np.abs(a.numpy() - b).max() for a, b in pairs) <= 1e-10


def test_the_references_gradient_is_the_slope():
    x, dy = inputs("NT", 3), np.random.default_rng(4).normal(size=SHAPES["NT"][1])
    gamma, beta = np.linspace(0.5, 2, 5), np.zeros(5)
    dx, _, _ = reference.backward(dy, reference.forward(x, gamma, beta, 1e-5)[1])
    h = 1e-5
    for at in ((0, 0, 0), (3, 2, 1), (7, 4, 6)):
        step = np.zeros_like(x)
        step[at] = h
        high, low = (reference.forward(x + s * step, gamma, beta, 1e-5)[0] for s in (1, -1))
        assert abs(((high - low) * dy).sum() / (2 * h) - dx[at]) < 1e-7


@KINDS
@pytest.mark.parametrize("momentum", [0.1, 0.01, 0.5, 1.0, None])
def test_running_statistics_over_200_steps(kind, momentum):
    made, running = layer(kind, momentum), reference.Running(5, momentum, unbiased=True)
    for step in range(200):
        x = inputs(kind, step)
        made(torch.tensor(x))
        running.update(x)
    assert np.abs(made.running_mean.numpy() - running.mean).max() <= 1e-12
    assert np.abs(made.running_var.numpy() - running.variance).max() <= 1e-12 * max(1, running.variance.max())
    x = inputs(kind, 999)
    expected = reference.inference(x, *numbers(made), running.mean, running.variance, made.eps)
    assert np.abs(made.eval()(torch.tensor(x)).detach().numpy() - expected).max() <= 1e-10


def test_channels_last_is_one_value_per_channel_over_n_and_t():
    made = layer("N")
    x = np.random.default_rng(0).normal(3, 2, (6, 7, 5))
    expected, _ = reference.forward(x, *numbers(made), 1e-5, last=True)
    assert np.abs(ChannelsLast(made)(torch.tensor(x)).detach().numpy() - expected).max() <= 1e-10


@KINDS
def test_stacked_rows_are_each_the_papers(kind):
    """Batch norm mapped over models, parameters and buffers alike, as the stacked trainer does."""
    rows = [layer(kind, dtype=torch.float32, seed=k) for k in range(3)]
    parameters, buffers = torch.func.stack_module_state(rows)
    base = rows[0]
    running = [reference.Running(5, 0.1, unbiased=True) for _ in rows]

    def call(p, b, x):
        return torch.func.functional_call(base, (p, b), (x,))

    for step in range(20):
        x = np.stack([inputs(kind, 10 * step + k) for k in range(3)])
        y = torch.vmap(call)(parameters, buffers, torch.tensor(x, dtype=torch.float32)).detach().numpy()
        for k, row in enumerate(rows):
            expected, _ = reference.forward(x[k], *numbers(row), 1e-5)
            assert np.abs(y[k] - expected).max() < 1e-3
            running[k].update(x[k])
    for k in range(3):
        assert np.allclose(buffers["running_mean"][k], running[k].mean, rtol=1e-5, atol=1e-4)
        assert np.allclose(buffers["running_var"][k], running[k].variance, rtol=1e-5, atol=1e-4)


# ------------------------------------------------------------------------------------------------------ recalibrate


@KINDS
@pytest.mark.parametrize("layerwise", [False, True])
@pytest.mark.parametrize("batch_size", [3, 8, 1000])
def test_recalibrated_statistics_are_those_of_all_examples(kind, layerwise, batch_size):
    made, x = layer(kind), inputs(kind, 1, count=50)
    told = recalibrate(nn.Sequential(made), torch.tensor(x), batch_size=batch_size, layerwise=layerwise)
    mean, variance = reference.population([x])
    assert np.abs(made.running_mean.numpy() - mean).max() <= 1e-12
    assert np.abs(made.running_var.numpy() - variance).max() <= 1e-11
    assert told.examples == 50
    assert made.training
    assert made.momentum == 0.1
    assert made.num_batches_tracked == 0


def test_great_means_cost_no_accuracy():
    x = torch.randn(500, 3, dtype=torch.float64) + 1e6
    net = nn.Sequential(nn.BatchNorm1d(3, dtype=torch.float64))
    recalibrate(net, x, batch_size=50)
    assert np.abs(net[0].running_var.numpy() / reference.population([x.numpy()])[1] - 1).max() < 1e-9


def trained(seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 16),
                        nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3)).double()  # fmt: skip
    x, y = torch.randn(300, 6, dtype=torch.float64), torch.randint(0, 3, (300,))
    opt = torch.optim.SGD(net.parameters(), lr=0.5)
    for i in range(30):
        rows = slice(30 * (i % 10), 30 * (i % 10) + 30)
        opt.zero_grad()
        nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
        opt.step()
    return net, x


def test_layerwise_is_exact_for_the_network_that_is_evaluated_however_it_is_cut():
    results = []
    for size in (7, 60, 300):
        net, x = trained()
        recalibrate(net, x, batch_size=size, layerwise=True)
        results.append(net)
    net = results[0].eval()
    for index in (1, 5):
        with torch.no_grad():
            mean, variance = reference.population([net[:index](x).numpy()])
        assert np.abs(net[index].running_mean.numpy() - mean).max() < 1e-12
        assert np.abs(net[index].running_var.numpy() - variance).max() < 1e-12
    for other in results[1:]:
        assert (other[5].running_var - net[5].running_var).abs().max() < 1e-12


def test_one_pass_takes_batches_as_in_training_without_dropout():
    net, x = trained()
    state = torch.get_rng_state()
    recalibrate(net, x, batch_size=300)
    z = net[0](x).detach().numpy()
    mean, variance = reference.population([z])
    assert np.abs(net[1].running_mean.numpy() - mean).max() < 1e-12
    y, _ = reference.forward(z, *numbers(net[1]), 1e-5)
    second = net[4](torch.tensor(y).relu()).detach().numpy()
    assert np.abs(net[5].running_var.numpy() - reference.population([second])[1]).max() < 1e-11
    assert torch.equal(state, torch.get_rng_state())
    assert net.training
    assert variance.shape == (16,)


def test_all_forms_of_data_give_the_same():
    x = torch.randn(40, 6, dtype=torch.float64)
    y = torch.zeros(40, dtype=torch.long)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=10)
    forms = [x, (x, y), [x, y], loader, list(x.split(10)), list(x.split(20)), ((b, None) for b in x.split(10))]
    found = []
    for data in forms:
        net = nn.Sequential(nn.BatchNorm1d(6, dtype=torch.float64))
        recalibrate(net, data, batch_size=10)
        found.append(net[0].running_var)
    assert all((f - found[0]).abs().max() < 1e-12 for f in found)
    net = nn.Sequential(nn.BatchNorm1d(6, dtype=torch.float64))
    assert recalibrate(net, x, batch_size=16, examples=20).examples == 20
    assert np.abs(net[0].running_mean.numpy() - x[evenly(40, 20)].mean(0).numpy()).max() < 1e-12


def test_mini_batches_of_numpy_are_data_too():
    x, net = torch.randn(40, 3), nn.Sequential(nn.BatchNorm1d(3))
    recalibrate(net, [(part.double().numpy(), 0) for part in x.split(10)])
    torch.testing.assert_close(net[0].running_var, x.var(0))


def test_sorted_data_give_the_statistics_of_mixed_ones():
    net, _ = trained()
    x = torch.cat([torch.randn(256, 6, dtype=torch.float64) + shift for shift in (-2, 0, 2)])
    exact = recalibrate_copy(net, x, layerwise=True)
    found = recalibrate_copy(net, x)
    assert (found.running_var / exact.running_var - 1).abs().max() < 0.05


def recalibrate_copy(net, x, **how):
    net = copy.deepcopy(net)
    recalibrate(net, x, **how)
    return net[5]


def test_a_tasks_training_set_is_taken_normalised():
    x, y = np.random.default_rng(0).normal(5, 3, (70, 4)), np.arange(70) % 3
    task = Task(lambda c: mlp(4, 3, c), (x, y), (x, y))
    net = nn.Sequential(nn.BatchNorm1d(4))
    recalibrate(net, task)
    assert net[0].running_mean.abs().max() < 1e-6


def test_no_data_is_told():
    with pytest.raises(TaskError, match="there were none"):
        recalibrate(nn.Sequential(nn.BatchNorm1d(3)), [])
    with pytest.raises(TaskError, match="two values"):
        recalibrate(nn.Sequential(nn.BatchNorm1d(3)), [torch.zeros(1, 3)])
    with pytest.raises(TaskError, match="3 of 12 inputs are NaN or infinite"):
        recalibrate(nn.Sequential(nn.BatchNorm1d(3)), torch.tensor([[1.0], [2.0], [3.0], [torch.nan]]).expand(4, 3))
    with pytest.raises(TaskError, match="examples=-5: leave it out"):
        recalibrate(nn.Sequential(nn.BatchNorm1d(3)), torch.randn(4, 3), examples=-5)
    with pytest.raises(TaskError, match="got a int"):
        recalibrate(nn.Sequential(nn.BatchNorm1d(3)), 3)
    with pytest.raises(TaskError, match=r"a generator gives them once alone: use recalibrate\(model, list"):
        recalibrate(nn.Sequential(nn.BatchNorm1d(3)), (torch.randn(4, 3) for _ in range(2)), layerwise=True)


class TakesADict(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, inputs):
        return self.norm(inputs["x"])


def test_mini_batches_may_be_dicts_and_their_examples_are_counted():
    x = torch.randn(40, 3)
    net = TakesADict()
    assert recalibrate(net, [{"x": part, "name": "part"} for part in x.split(16)], examples=20).examples == 20
    torch.testing.assert_close(net.norm.running_mean, x[:20].mean(0))


class TakesTwo(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x, y):
        return self.norm(x + y)


@pytest.mark.parametrize("layerwise", [False, True])
def test_a_network_of_several_inputs_is_told_how_it_can_be_recalibrated(layerwise):
    with pytest.raises(TaskError, match=r"missing 1 required .*: give them in the form"):
        recalibrate(TakesTwo(), torch.randn(8, 3), layerwise=layerwise)
    with pytest.raises(TaskError, match="got a str"):
        recalibrate(TakesADict(), {"x": torch.randn(8, 3)}, layerwise=layerwise)


def test_synchronised_norms_are_recalibrated_too():
    x = torch.randn(300, 4)
    net = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2)))
    recalibrate(net, x)
    torch.testing.assert_close(net[0].running_var, x.var(0))
    assert net[0].num_batches_tracked == 0


class CallsByKeyword(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        return self.norm(input=x)


@pytest.mark.parametrize("layerwise", [False, True])
def test_a_norm_may_be_called_by_keyword(layerwise):
    net, x = CallsByKeyword(), torch.randn(50, 3)
    recalibrate(net, x, layerwise=layerwise)
    torch.testing.assert_close(net.norm.running_mean, x.mean(0))


def test_examples_chosen_evenly_are_among_those_there_are():
    many = 2**24 + 4  # more than whole numbers in float32
    assert evenly(many, 10)[-1] == many - 1


# ------------------------------------------------------------------------------------------------------------- fold


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_folding_is_the_equations(bias, affine):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(4, 6, 3, groups=2, bias=bias), nn.BatchNorm2d(6, affine=affine)).double()
    for _ in range(5):
        net(torch.randn(8, 4, 6, 6, dtype=torch.float64) * 3 + 1)
    if affine:
        nn.init.normal_(net[1].weight)
        nn.init.normal_(net[1].bias)
    x = torch.randn(3, 4, 6, 6, dtype=torch.float64)
    result, told = fold(net, x)
    gamma, beta = numbers(net[1]) if affine else (np.ones(6), np.zeros(6))
    old = net[0].bias.detach().numpy() if bias else np.zeros(6)
    weight, shift = reference.folded(net[0].weight.detach().numpy(), old, gamma, beta, net[1].running_mean.numpy(),
                                     net[1].running_var.numpy(), net[1].eps)  # fmt: skip
    assert np.abs(result[0].weight.detach().numpy() - weight).max() < 1e-14
    assert np.abs(result[0].bias.detach().numpy() - shift).max() < 1e-14
    assert told.difference < 1e-12
    assert "times as fast" in str(told)


@pytest.mark.parametrize("shape", [(6,), (2, 6, 6)])
def test_a_task_is_scored_with_exact_statistics_alone_and_in_a_stack(shape):
    x = torch.tensor(np.random.default_rng(0).normal(size=(300, *shape)), dtype=torch.float32)
    y = (x.flatten(1).sum(1) > 0).long()
    build = mlp_of if len(shape) == 1 else cnn_of
    config = {"lr": 0.1, "optimizer": "sgd", "norm": "batch", "bn_momentum": 0.01, "units": 8, "dropout": 0.3}
    scored = {}
    for exact in (False, True):
        task = Task(build=build, train=(x[:210], y[:210]), valid=(x[210:], y[210:]), recalibrate=exact)
        models = [fresh(task.problem, config, seed) for seed in range(2)]
        now = loop.Training.of(task.problem, models[0], recipe(config))
        stacked = stack(task.problem, [(config, seed, fresh(task.problem, config, seed)) for seed in range(2)])
        for _ in range(2):
            loop.train_epoch(now, 0, 2)
            stacked.train_epoch(2)
        scored[exact] = loop.evaluate(task.problem, now.model, task.problem.valid)[1]
        assert stacked.judge(task.problem.valid)[0][1] == pytest.approx(scored[exact], rel=1e-4)
        alone, row = now.model.state_dict(), stacked.state_dict(0)
        assert all(torch.allclose(row[k].float(), v.float(), rtol=1e-4, atol=1e-5) for k, v in alone.items())
        shift = max(moved for _, moved in recalibrate(now.model, task).layers)
        assert shift < 1e-5 if exact else shift > 0.1
    assert scored[True] < scored[False]


def mlp_of(config):
    return mlp(6, 2, config)


def cnn_of(config):
    return small_cnn(2, 6, 2, config)
