"""Audits: a network with one fault has it named first; sound ones raise no alarm; the evidence is measured."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import spectral_norm
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, SubsetRandomSampler, TensorDataset

from networks_table import TABLE
from zeroin.errors import TaskError
from zeroin.nn import Task, audit, fold, insert_batchnorm, mlp, recalibrate, small_cnn
from zeroin.nn.auditing.audit import RULES
from zeroin.nn.networks import network
from zeroin.space import Float, Space
from zeroin.tasks import load

torch.set_num_threads(1)
G = torch.Generator().manual_seed(0)
X = torch.randn(600, 8, generator=G)
Y = (X[:, 0] * 2 + X[:, 1]).argsort().argsort() // 200  # three classes, as many each
DATA, VALID = (X[:480], Y[:480]), (X[480:], Y[480:])


def plain(**config):
    return network(lambda c: mlp(8, 3, c), {"units": 32} | config)


def trained(net, steps=120, lr=0.05, batch=32, x=X[:480], y=Y[:480], **kwargs):
    opt = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9, **kwargs)
    net.train()
    for i in range(steps):
        rows = torch.arange(i * batch, (i + 1) * batch) % len(x)
        opt.zero_grad()
        F.cross_entropy(net(x[rows]), y[rows]).backward()
        opt.step()
    return net


def normed(**config):
    return plain(norm="batch", **config)


class ForgetsTheMode(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 32), nn.Linear(32, 3)

    def forward(self, x):
        return self.b(F.dropout(F.relu(self.a(x)), 0.5))  # training=self.training is missing


class AlwaysTraining(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = normed()

    def forward(self, x):
        self.net.train()
        return self.net(x)


def with_bias():
    net = normed()
    net[1].bias = nn.Parameter(torch.zeros(32))
    return audit(trained(net), DATA, valid=VALID)


def last_of_one():
    return audit(normed(), DataLoader(TensorDataset(X[:481], Y[:481]), batch_size=32))


def batches_of_four():
    return audit(trained(normed(), batch=4, lr=0.005, steps=400), DATA, valid=VALID, batch_size=4)


def dropout_first():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 32, bias=False), nn.BatchNorm1d(32),
                        nn.ReLU(), nn.Linear(32, 3))  # fmt: skip
    return audit(trained(net, 400), DATA, valid=VALID)


class DropsFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.norm, self.b = nn.Linear(8, 32, bias=False), nn.BatchNorm1d(32), nn.Linear(32, 3)

    def forward(self, x):
        return self.b(F.relu(self.norm(F.dropout(self.a(x), 0.5, self.training))))


def decayed():
    net = trained(normed())
    return audit(net, DATA, valid=VALID, optimizer=torch.optim.AdamW(net.parameters(), weight_decay=0.1))


def stale_statistics():
    return audit(trained(normed(bn_momentum=0.001)), DATA, valid=VALID)


def evaluates_in_training():
    net = trained(normed())
    return audit(net, DATA, valid=VALID, evaluate=lambda: net.train()(VALID[0]))


def keras_momentum():
    return audit(trained(normed(bn_momentum=0.99)), DATA, valid=VALID)


def normed_output():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3, bias=False), nn.BatchNorm1d(3))
    return audit(trained(net), DATA, valid=VALID)


def dead_channels():
    net = trained(normed())
    with torch.no_grad():
        net[2].weight[:9] = 1e-6
    recalibrate(net, X[:480])
    return audit(net, DATA, valid=VALID)


def averaged_weights():
    net = normed()
    mean = AveragedModel(net)
    for i in range(8):
        trained(net, 8, lr=0.3, x=X[:480].roll(256 * i, 0), y=Y[:480].roll(256 * i, 0))
        mean.update_parameters(net)
    return audit(mean, DATA, valid=VALID)


def raw_inputs():
    x = X * torch.logspace(-2, 2, 8) + 1000
    return audit(plain(init="kaiming"), (x[:480], Y[:480]), valid=(x[480:], Y[480:]), fresh=True)


def dead_relus():
    net = plain(init="kaiming")
    with torch.no_grad():
        net[1].bias[:] = -20.0
        net[1].bias[:2] = 0.0
    return audit(net, DATA, valid=VALID)


def vanishing():
    net = plain(layers=5, activation="tanh")
    with torch.no_grad():
        for m in net:
            if isinstance(m, nn.Linear):
                m.weight *= 0.1
                m.bias.zero_()
    return audit(net, DATA, valid=VALID)


def exploding():
    net = plain(layers=6, init="kaiming")
    with torch.no_grad():
        for m in net:
            if isinstance(m, nn.Linear):
                m.weight *= 6
    return audit(net, DATA, valid=VALID)


def default_init_when_deep():
    return audit(plain(layers=12, units=64), DATA, valid=VALID, fresh=True)


FAULTS = [
    (with_bias, "bias before batch norm", "gradients "),
    (last_of_one, "mini-batch of one", "Expected more than 1 value"),
    (batches_of_four, "small mini-batches", "off by 0."),
    (dropout_first, "dropout before batch norm", "times that at evaluation"),
    (lambda: audit(trained(DropsFirst()), DATA, valid=VALID), "dropout before batch norm", "times that at evaluation"),
    (decayed, "weight decay on γ and β", "128 of them are decayed by 0.1"),
    (stale_statistics, "running statistics stale", "recalibrated"),
    (evaluates_in_training, "training mode at evaluation", "2 layers ran in training mode"),
    (lambda: audit(trained(ForgetsTheMode()), DATA, valid=VALID), "training mode at evaluation", "two passes differ"),
    (lambda: audit(trained(AlwaysTraining()), DATA, valid=VALID), "training mode at evaluation", "with its company"),
    (keras_momentum, "momentum convention", "newest mini-batch makes up 99 %"),
    (normed_output, "batch norm on the output", "mean 0 and deviation 1"),
    (dead_channels, "γ near zero", "9 of 32 channels"),
    (averaged_weights, "statistics after weight averaging", "validation loss"),
    (raw_inputs, "inputs not normalised", "deviations from 0"),
    (dead_relus, "dead ReLUs", "of its units are 0"),
    (vanishing, "activations vanish", "every example looks the same"),
    (exploding, "activations explode", "deviation"),
    (default_init_when_deep, "init does not fit the activation", "keeps the signal"),
]


class Freezes(nn.Module):
    """Its norm is not trained, as it is often written: `train` returns nothing."""

    def __init__(self):
        super().__init__()
        self.norm, self.layer = nn.BatchNorm1d(4), nn.Linear(4, 3)

    def train(self, mode=True):
        super().train(mode)
        self.norm.eval()

    def forward(self, x):
        return self.layer(self.norm(x))


def test_a_network_whose_train_returns_nothing_is_audited_and_folded():
    assert "training mode at evaluation" in audit(Freezes(), (torch.randn(40, 4), torch.arange(40) % 3)).checked
    assert fold(Freezes(), torch.randn(5, 4))[1].difference == 0


@pytest.mark.parametrize(
    ("make", "rule", "evidence"), FAULTS, ids=[f"{i}-{rule}" for i, (_, rule, _) in enumerate(FAULTS)]
)
def test_a_planted_fault_is_named_first(make, rule, evidence):
    result = make()
    assert result.findings, "nothing found"
    assert result.findings[0].rule == rule, str(result)
    assert evidence in result.findings[0].evidence
    assert result.findings[0].remedy
    assert f"{result.findings[0].severity}: {rule}" in str(result)


def sound_cnn():
    torch.manual_seed(0)
    x = torch.randn(300, 1, 8, 8, generator=G)
    y = (x[:, 0, :4].sum((1, 2)) > 0).long()
    net = trained(small_cnn(1, 8, 2, {"norm": "batch"}), 60, x=x, y=y)
    return audit(net, (x, y), valid=(x[:100], y[:100]), batch_size=32)


class BeginsAsItsInput(nn.Module):
    """Each branch is scaled by next to nothing at first, as in ConvNeXt."""

    def __init__(self):
        super().__init__()
        self.first, self.branches = nn.Linear(8, 32), nn.ModuleList([nn.Linear(32, 32) for _ in range(4)])
        self.last = nn.Linear(32, 3)

    def forward(self, x):
        x = self.first(x)
        for branch in self.branches:
            x = x + 1e-6 * F.gelu(branch(x))
        return self.last(x)


def sound_row(name):
    row = next(r for r in TABLE if r.name == name)
    torch.manual_seed(0)
    x = row.example(64)
    return audit(row.build(), (x, torch.arange(64) % 3), fresh=True)


def task(**kwargs):
    space = Space(lr=Float(1e-4, 1.0, scale="log", default=0.01))
    build = lambda c: mlp(8, 3, {"units": 32, "norm": "batch"} | dict(c))  # noqa: E731
    return Task(**({"build": build, "train": DATA, "valid": VALID, "space": space} | kwargs))


SOUND = {
    "trained with batch norm": lambda: audit(trained(normed()), DATA, valid=VALID, batch_size=32),
    "trained without norm": lambda: audit(trained(plain()), DATA, valid=VALID, batch_size=32),
    "group norm, batches of 2": lambda: audit(
        trained(plain(norm="group"), 300, batch=2, lr=0.005), DATA, valid=VALID, batch_size=2),
    "fresh, kaiming, 10 layers": lambda: audit(plain(layers=10, units=64, init="kaiming"), DATA, fresh=True),
    "fresh, batch norm, 20 layers": lambda: audit(normed(layers=20), DATA, fresh=True),
    "convolutions": sound_cnn,
    "residual, small at first": lambda: audit(BeginsAsItsInput(), DATA, fresh=True),
    "residual": lambda: sound_row("residual MLP in a loop"),
    "LSTM": lambda: sound_row("LSTM classifier"),
    "Transformer": lambda: sound_row("Transformer"),
    "ResNet with batch norm": lambda: audit(
        insert_batchnorm(next(r for r in TABLE if r.name == "ResNet without norm").build())[0],
        (torch.randn(64, 3, 32, 32, generator=G), torch.arange(64) % 3), fresh=True),
    "dropout behind the last norm": lambda: audit(
        trained(nn.Sequential(normed(layers=1)[:-1], nn.Dropout(0.3), nn.Linear(32, 3))), DATA, valid=VALID),
    "a task": lambda: audit(task()),
    "digits": lambda: audit(load("digits")),
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_network_raises_no_alarm(name):
    result = SOUND[name]()
    assert result.worst != "error", str(result)
    assert len(result.checked) >= 8
    if name == "digits":
        assert not result.findings, str(result)
    if not result.findings:
        assert str(result).startswith("nothing to fix\nchecked: ")


def test_a_task_with_raw_inputs_and_one_with_small_batches():
    x = X * torch.logspace(-2, 2, 8) + 1000
    found = audit(task(train=(x[:480], Y[:480]), valid=(x[480:], Y[480:]), normalise=False)).findings
    assert found[0].rule == "inputs not normalised"
    assert audit(task(), config={"lr": 0.001, "batch_size": 2}).findings[0].rule == "small mini-batches"


def test_no_alarm_where_statistics_stay_nan_or_a_constant_is_rounded():
    net = trained(normed())
    net(torch.full((9, 8), torch.nan))  # in training mode: the running statistics are NaN from now on
    assert "training mode at evaluation" not in [f.rule for f in audit(net, DATA).findings]
    nearly = torch.cat([X, 1e-12 * torch.randn(600, 1, generator=G)], 1)
    found = audit(network(lambda c: mlp(9, 3, c), {"units": 32}), (nearly, Y)).findings
    assert "inputs not normalised" not in [f.rule for f in found]


def test_nothing_is_changed():
    net = trained(normed(dropout=0.2))
    before, state = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    audit(net, DATA, valid=VALID, evaluate=lambda: net.train()(VALID[0]))
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert net.training
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


def test_the_picture_has_a_line_for_each_layer():
    result = audit(plain(layers=4), DATA, fresh=True)
    lines = result.picture().splitlines()
    assert len(lines) == 5
    assert "▁" in lines[1] or "█" in lines[1]
    assert len(result.gradients) == 5
    assert all(math.isclose(sum(level.histogram), 1) for level in result.levels)


def test_arrays_of_numpy_are_data_too():
    x, y = (part.numpy() for part in DATA)
    assert str(audit(normed(), (x.astype("float64"), y.astype("int32")))) == str(audit(normed(), DATA))
    models = normed(), normed()
    models[1].load_state_dict(models[0].state_dict())
    for model, data in zip(models, ((x.astype("float64"), y), DATA), strict=True):
        assert recalibrate(model, data).examples == len(x)
    assert all(torch.equal(a, b) for a, b in zip(models[0].buffers(), models[1].buffers(), strict=True))
    with pytest.raises(TaskError, match=r"an array or a tensor; got a list: use audit"):
        audit(normed(), ([1.0], [0]))


class SharesItsNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        self.norm, self.drop = nn.BatchNorm1d(16), nn.Dropout(0.5)

    def forward(self, x):
        return self.out(F.relu(self.norm(self.b(self.drop(F.relu(self.norm(self.a(x))))))))


def test_a_norm_that_is_used_twice_behind_dropout_is_measured():
    found = {f.rule: f for f in audit(SharesItsNorm(), DATA, fresh=True).findings}
    assert found["dropout before batch norm"].where == "drop before norm"


def test_a_loss_of_numbers_compares_each_output_with_its_own_target():
    net, y = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1)), X[:, 0]
    alone, column = (audit(net, (X, target), valid=(X, target), loss="mse") for target in (y, y[:, None]))
    assert str(alone) == str(column)  # [B] and [B, 1] are the same, and not broadcast to [B, B]


@pytest.mark.parametrize("data", [TensorDataset(*DATA), TensorDataset(DATA[0], X[:480, :3]), TensorDataset(DATA[0])])
def test_loaders_of_any_targets_are_data(data):
    net, loader = normed(), DataLoader(data, batch_size=32)
    loss = "cross_entropy" if len(data.tensors) == 2 and data.tensors[1].dim() == 1 else "mse"
    assert str(audit(net, loader, loss=loss)) == str(
        audit(net, data.tensors[:2] if len(data.tensors) == 2 else X[:480], batch_size=32, loss=loss)
    )


def test_the_examples_of_a_loader_are_those_that_its_sampler_chooses():
    loader = DataLoader(TensorDataset(X[:481], Y[:481]), batch_size=32, sampler=SubsetRandomSampler(range(480)))
    assert "mini-batch of one" not in [f.rule for f in audit(normed(), loader).findings]


def test_a_frozen_network_has_no_gradients():
    result = audit(normed().requires_grad_(False), DATA)
    assert "nothing to train" in dict(result.skipped)["gradients"]


class ReturnsADict(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = normed()

    def forward(self, x):
        return {"logits": self.net(x)}


def test_a_network_that_returns_a_dict_is_seen_in_training_mode():
    net = ReturnsADict()
    loss = lambda output, target: F.cross_entropy(output["logits"], target)  # noqa: E731
    result = audit(net, DATA, loss=loss, evaluate=lambda: net.train()(VALID[0]))
    assert result.findings[0].rule == "training mode at evaluation"


class Returns(nn.Module):
    def __init__(self, what):
        super().__init__()
        self.net, self.what = normed(), what

    def forward(self, x):
        return self.what(self.net(x))


@pytest.mark.parametrize(
    "what",
    [
        lambda z: z.square().mean(),  # a loss
        lambda z: z > 0,
        lambda z: z.argmax(1),
        lambda z: z[:, None].expand(-1, 5, -1).transpose(0, 1),  # steps before examples, as CTC takes them
        lambda z: (z, z.flatten()),
        torch.fft.fft,
    ],
)
def test_outputs_of_any_kind_are_no_alarm(what):
    assert not audit(Returns(what), X).findings


def test_a_loss_that_does_not_take_what_a_network_returns_is_told():
    with pytest.raises(TaskError, match=r"outputs of type tuple .* or a function"):
        audit(Returns(lambda z: (z, z)), DATA)
    with pytest.raises(TaskError, match=r"valid=\(x_valid, y_valid\)"):
        audit(normed(), DATA, valid=VALID[0])
    assert not audit(Returns(lambda z: z.detach()), DATA).findings


def test_a_network_without_a_way_back_is_told():
    with pytest.raises(TaskError, match=r"modified by an inplace operation.*: use inplace=False"):
        audit(Returns(lambda z: (w := z.tanh()) * w.mul_(2)), DATA)


class Gate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(channels, channels // 4), nn.ReLU(), nn.Linear(channels // 4, channels))

    def forward(self, x):
        return x * self.net(x.mean((2, 3))).sigmoid()[:, :, None, None]


class GatedBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.one, self.two = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.norm, self.last, self.gate = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels), Gate(channels)

    def forward(self, x):
        return (x + self.gate(self.last(self.two(self.norm(self.one(x)).relu())))).relu()


def test_the_signal_is_followed_from_norm_to_norm_only():
    torch.manual_seed(0)
    first = (nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
    net = nn.Sequential(*first, *(GatedBlock(32) for _ in range(6)), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x = F.interpolate(torch.randn(128, 3, 4, 4), 8, mode="bilinear") + torch.randn(128, 3, 1, 1)
    assert not audit(net.append(nn.Linear(32, 10)), (x, torch.randint(0, 10, (128,))), fresh=True).findings
    hidden = [m for _ in range(20) for m in (nn.Linear(8, 8), nn.ReLU())]
    deep = nn.Sequential(nn.BatchNorm1d(8), *hidden, nn.Linear(8, 3))
    assert audit(deep, DATA, fresh=True).findings[0].rule == "init does not fit the activation"


def test_computed_weights_are_examined_and_not_stepped_on():
    net = nn.Sequential(*(m for _ in range(5) for m in (spectral_norm(nn.Linear(8, 8)), nn.ReLU())), nn.Linear(8, 3))
    before = copy.deepcopy(net.state_dict())
    audit(net, DATA, fresh=True)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    prune.l1_unstructured(net[-1], "weight", 0.2)
    net(X)
    audit(net, DATA, valid=VALID)


@pytest.mark.parametrize(("momentum", "remedy"), [(0.5, 0.1), (0.6, 0.4), (0.9, 0.1), (0.99, 0.01), (1.0, 0.1)])
def test_the_remedy_for_a_momentum_is_another_one_that_moves(momentum, remedy):
    net = nn.Sequential(
        nn.Linear(8, 16, bias=False), nn.BatchNorm1d(16, momentum=momentum), nn.ReLU(), nn.Linear(16, 3)
    )
    assert audit(net, DATA).findings[0].remedy == f"momentum={remedy}"


def test_what_is_said_of_dead_channels_is_true_of_them_and_mends_them():
    net = nn.Sequential(nn.Linear(8, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    with torch.no_grad():
        net[1].weight[:8], net[1].weight[8:] = 10.0, 5e-3  # next to 10 these are nothing
    (found,) = audit(net, DATA).findings
    assert "8 of 16 channels have |γ| < 0.01" in found.evidence
    mend, _, _ = found.remedy.partition("; no weight decay")
    exec(mend, {"torch": torch, "model": net})
    assert not audit(net, DATA).findings


def test_evidence_does_not_depend_on_the_global_random_state():
    net = nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.5), nn.ReLU(), nn.Linear(16, 3), nn.BatchNorm1d(3))
    said = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        said.append(str(audit(net, DATA)))
    assert said[0] == said[1]


class Counted(IterableDataset):
    def __iter__(self):
        return iter(X)


def test_numbers_one_by_one_are_examples():
    assert not audit(nn.Sequential(nn.Unflatten(0, (-1, 1)), nn.Linear(1, 3)), X[:, 0]).findings


def test_a_batch_sampler_says_how_many_examples_are_left():
    batches = BatchSampler(SubsetRandomSampler(range(241)), 16, drop_last=False)
    found = audit(normed(), DataLoader(TensorDataset(*DATA), batch_sampler=batches)).findings
    assert found[0].rule == "mini-batch of one"


def test_what_cannot_be_looked_at_is_told():
    result = audit(normed(), X)
    assert dict(result.skipped).keys() >= {"weight decay on γ and β", "gradients", "running statistics stale"}
    assert set(result.checked) | set(dict(result.skipped)) == set(RULES)
    for data in (None, X[:1], DataLoader(Counted())):
        with pytest.raises(TaskError, match=r"use audit\(model, \(x_train, y_train\)\)"):
            audit(normed(), data)
    with pytest.raises(TaskError, match="600 of 4800 training inputs are NaN"):
        audit(normed(), torch.cat([X[:, 1:], torch.full((600, 1), torch.nan)], 1))
    with pytest.raises(TaskError, match="batch_size=0: leave it out"):
        audit(normed(), X, batch_size=0)
    with pytest.raises(TaskError, match=r"outputs \[480, 3\] .* and targets \[480\] .*give the loss"):
        audit(normed(), (X[:480], X[:480, 0]))
    with pytest.raises(TaskError, match="loss is"):
        audit(normed(), DATA, loss="hinge")
    with pytest.raises(TaskError, match="epochs=-1: use epochs=3"):
        audit(task(), epochs=-1)


def test_a_deep_plain_network_is_explained():
    """The 30-layer network that does not learn digits: its init is named, and batch norm offered."""
    digits = load("digits")
    first = audit(digits, config={"layers": 30, "units": 64, "batchnorm": False, "lr": 0.001}).findings[0]
    assert first.rule == "init does not fit the activation"
    assert first.severity == "error"
    assert "insert_batchnorm" in first.remedy


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_remedy_for_a_deep_plain_network_can_be_pasted(activation):
    """Both halves of it: the law of the first weights that fits the activation, and batch norm put in."""
    model = plain(layers=30, units=64, activation=activation)
    x = X[:64]
    laws, put_in = audit(model, DATA, fresh=True).findings[0].remedy.split("; or ")[1:]
    exec(put_in, names := {"model": copy.deepcopy(model), "insert_batchnorm": insert_batchnorm, "x": x})
    assert audit(names["model"], DATA, fresh=True).worst != "error"
    exec(laws, {"model": model, "nn": nn})
    assert ("xavier" in laws) == (activation == "tanh")
    assert audit(model, DATA, fresh=True).worst != "error"
