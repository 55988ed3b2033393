"""Norms put into networks of many makes: what was done, that it trains, that folding undoes it.

`python tests/test_batchnorm_networks.py` writes the table of docs/batch-normalisation.md.
"""

import copy
import random
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import spectral_norm

from networks_table import TABLE, Functional, Shared
from zeroin.errors import TaskError
from zeroin.nn import audit, fold, insert_batchnorm, recalibrate, remove_batchnorm, swap_norm
from zeroin.nn.layers import NORMS
from zeroin.nn.norms.surgery import guessed_example
from zeroin.nn.norms.trace import record

torch.set_num_threads(1)
WORK = [row for row in TABLE if not row.refused]
ROWS = pytest.mark.parametrize("row", WORK, ids=lambda row: row.name)


def built(row, seed=0):
    torch.manual_seed(seed)
    return row.build()


def norms(model):
    return [m for m in model.modules() if isinstance(m, NORMS)]


def loss_after(model, row, steps=20):
    """The share of the loss on the outputs of another such network that is left after some steps."""
    x = row.example(24, seed=5)
    with torch.no_grad():
        target = built(row, seed=1).eval()(x)
    opt = torch.optim.Adam(model.train().parameters(), lr=0.02)
    losses = []
    for _ in range(steps):
        opt.zero_grad()
        loss = (model(x) - target).square().mean()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return losses[-1] / losses[0]


@ROWS
@pytest.mark.parametrize("kind", ["batch", "group", "layer"])
def test_a_norm_goes_behind_each_hidden_layer(row, kind):
    model, x = built(row), row.example()
    before = copy.deepcopy(model.state_dict())
    result, report = insert_batchnorm(model, x, kind=kind)
    assert tuple(c.layer for c in report.done) == row.normalised, str(report)
    assert len(norms(result)) == len(row.normalised)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert {p.dtype for p in result.parameters()} == {row.dtype}
    assert result.training == model.training
    if kind == "batch":
        for name in row.normalised:
            assert result.get_submodule(name)[0].bias is None
    assert loss_after(result, row) < 0.2


@ROWS
def test_folding_undoes_it_with_equal_outputs(row):
    result, _ = insert_batchnorm(built(row), row.example(), momentum=0.3)
    loss_after(result, row)
    for norm in norms(result):
        nn.init.uniform_(norm.weight, -1.5, 1.5)
        nn.init.normal_(norm.bias)
    folded, told = fold(result, row.example())
    assert norms(folded) == []
    assert [(n, type(m)) for n, m in folded.named_modules()] == [(n, type(m)) for n, m in row.build().named_modules()]
    x = row.example(50, seed=3)
    with torch.no_grad():
        expected = result.eval()(x)
        assert (folded(x) - expected).abs().max() <= 1e-5 * max(1.0, expected.abs().max())
    assert told.difference <= 1e-5
    assert told.before > 0


@ROWS
def test_taking_out_gives_the_old_network(row):
    model = built(row)
    result, _ = insert_batchnorm(model, row.example())
    bare, _ = remove_batchnorm(result, row.example())
    old, new = model.state_dict(), bare.state_dict()
    assert list(old) == list(new)
    assert all(torch.equal(old[k], new[k]) for k in old if not k.endswith("bias"))


@ROWS
@pytest.mark.parametrize("to", ["group", "layer", "batch"])
def test_norms_are_exchanged(row, to):
    result, _ = insert_batchnorm(built(row), row.example())
    swapped, report = swap_norm(result, to, row.example())
    assert len(report.done) == len(norms(swapped)) == len(row.normalised), str(report)
    assert {type(m).__name__[:5] for m in norms(swapped)} <= {"batch": {"Batch"}, "group": {"Group"}}.get(
        to, {"Layer", "Group"}
    )
    back, _ = swap_norm(swapped, "batch", row.example())
    x = row.example()
    torch.testing.assert_close(back.train()(x), result.train()(x)) if "dropout" not in row.name else None
    assert loss_after(swapped, row) < 0.2


@pytest.mark.parametrize("row", [r for r in TABLE if r.refused], ids=lambda row: row.name)
def test_what_cannot_be_done_safely_is_refused_with_the_reason(row):
    model = built(row)
    if not row.refused.startswith("left alone"):
        with pytest.raises(TaskError, match=row.refused):
            insert_batchnorm(model, row.example())
    else:
        result, report = insert_batchnorm(model, row.example())
        assert row.refused in str(report)
        assert [(n, type(m)) for n, m in result.named_modules()] == [(n, type(m)) for n, m in model.named_modules()]


def test_what_is_no_network_is_told():
    with pytest.raises(TaskError, match=r"a network is a torch\.nn\.Module; got a str: pass the model itself"):
        insert_batchnorm("resnet")  # type: ignore[arg-type]


@ROWS
def test_after_the_activation(row):
    model, x = built(row), row.example()
    if "self.training" in row.name or row.name in ("control flow on shapes",):
        with pytest.raises(TaskError, match=r"position='before'"):
            insert_batchnorm(model, x, position="after")
        return
    result, report = insert_batchnorm(model, x, position="after")
    assert tuple(c.layer for c in report.done) == row.normalised
    kinds = [n for n in record(result, x).nodes if n.is_norm or n.is_activation]
    for i, node in enumerate(kinds):
        assert not node.is_norm or kinds[i - 1].is_activation
    assert loss_after(result, row) < 0.2


class PartlyInEvaluation(nn.Module):
    """Its dropout is kept in evaluation mode, the rest trains."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.drop = nn.Linear(4, 5), nn.Linear(5, 2), nn.Dropout(0.5).eval()

    def forward(self, x):
        return self.b(self.drop(torch.relu(self.a(x))))


def test_each_module_keeps_its_mode():
    result, _ = insert_batchnorm(PartlyInEvaluation(), torch.zeros(2, 4), position="after")
    assert result.training
    assert not result.get_submodule("drop").training


def test_nothing_is_done_to_frozen_layers_and_parametrised_ones():
    net = nn.Sequential(
        nn.Linear(4, 5), nn.ReLU(), nn.utils.parametrizations.weight_norm(nn.Linear(5, 5)), nn.ReLU(), nn.Linear(5, 2)
    )
    net[0].requires_grad_(False)
    result, report = insert_batchnorm(net)
    assert norms(result) == []
    assert "is frozen" in str(report)
    assert "computed from others" in str(report)


def test_anyway_adds_where_there_is_none():
    net = nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5), nn.ReLU(), nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 2))
    result, report = insert_batchnorm(net, anyway=True)
    assert [c.layer for c in report.done] == ["3"]
    assert "has a norm behind it" in str(report)
    assert len(norms(result)) == 2


def test_the_shared_layer_is_left_with_its_reason():
    assert "used 2 times in one pass" in str(insert_batchnorm(Shared())[1])


def test_bfloat16_and_meta_devices_are_kept():
    assert {p.dtype for p in insert_batchnorm(Functional().bfloat16())[0].parameters()} == {torch.bfloat16}
    with torch.device("meta"):
        net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    assert {p.device.type for p in insert_batchnorm(net)[0].parameters()} == {"meta"}


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"kind": "power"}, "one of batch, group, layer; got 'power'"),
        ({"position": "beside"}, "before or after"),
        ({"example": torch.zeros(2, 9)}, r"for \[2, 9\] it stops with"),
    ],
)
def test_mistakes_are_told(kwargs, message):
    with pytest.raises(TaskError, match=message):
        insert_batchnorm(Functional(), **kwargs)
    with pytest.raises(TaskError, match="call model"):
        insert_batchnorm(nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.Linear(4, 2)))


def test_a_pass_changes_nothing():
    net = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(5, 2))
    before, state = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    trace = record(net, guessed_example(net))
    assert [n.name for n in trace.nodes] == ["0", "1", "2", "3", "4"]
    assert trace.outputs == {4}
    assert net.training
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


class OwnPair(nn.Module):
    """A pair of the user's own, whose parts its code calls by name."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(OrderedDict(linear=nn.Linear(4, 4), norm=nn.BatchNorm1d(4)))

    def forward(self, x):
        return self.block.norm(self.block.linear(x))


@pytest.mark.parametrize("build", [lambda: OwnPair().block, OwnPair], ids=["the whole network", "within"])
def test_a_pair_of_the_users_own_stays_one(build):
    net, x = build(), torch.randn(5, 4)
    bare, report = remove_batchnorm(net, x)
    assert norms(bare) == []
    assert len(report.done) == 1
    folded, told = fold(net, x)
    assert norms(folded) == []
    assert told.difference < 1e-5


def test_a_norm_that_is_the_whole_network_stays():
    net, x = nn.BatchNorm1d(4), torch.randn(5, 4)
    for _, report in (remove_batchnorm(net, x), swap_norm(net, "layer", x)):
        assert not report.done
        assert "is the whole network" in str(report)


def test_as_many_steps_as_channels_are_told_apart():
    x = torch.randn(5, 6, 4)  # six steps; the layer has six channels
    net, _ = insert_batchnorm(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)), x)
    swapped, _ = swap_norm(net, "layer", x)
    assert [type(m) for m in norms(swapped)] == [nn.LayerNorm]  # over the channels, not over all of [T, C]


@pytest.mark.parametrize("old", [nn.InstanceNorm2d(3), nn.BatchNorm2d(3, affine=False)])
def test_a_norm_without_numbers_of_its_own_is_exchanged_in_the_networks_precision(old):
    net = nn.Sequential(nn.Conv2d(1, 3, 3), old, nn.ReLU()).double()
    swapped, _ = swap_norm(net, "group", torch.zeros(2, 1, 5, 5, dtype=torch.float64))
    assert swapped[1].weight.dtype == torch.float64


def test_another_batch_norm_keeps_the_statistics():
    net = trained_a_little(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU()), 16, 4).eval()
    x = torch.randn(5, 4)
    assert torch.equal(swap_norm(net, "batch", x, momentum=0.01)[0](x), net(x))


def hooked(module):
    module.register_forward_hook(lambda *of: of[2].relu())
    return module


def with_computed_bias(layer):
    torch.nn.utils.parametrize.register_parametrization(layer, "bias", nn.Tanh())
    return layer


class FlattensFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(1, 2, 3), nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(torch.flatten(self.conv(x[:, None]), 1))


class WritesBetween(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

    def forward(self, x):
        z = self.layer(x)
        z[:, 0] = 1.0
        return self.norm(z)


@pytest.mark.parametrize(
    "net",
    [
        WritesBetween(),
        FlattensFirst(),  # two channels, four values to normalise
        nn.Sequential(nn.utils.spectral_norm(nn.Linear(4, 4)), nn.BatchNorm1d(4)),  # sets its weight anew in each pass
        nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.BatchNorm1d(4)),  # an activation between
        nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 4)),  # no layer before
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False)),
        nn.Sequential(hooked(nn.Linear(4, 4)), nn.BatchNorm1d(4)),
        nn.Sequential(nn.Linear(4, 4), hooked(nn.BatchNorm1d(4))),
        nn.Sequential(with_computed_bias(nn.Linear(4, 4)), nn.BatchNorm1d(4)),
    ],
)
def test_what_cannot_be_folded_stays(net):
    folded, told = fold(net, torch.randn(5, 4))
    assert len(norms(folded)) == 1
    assert not told.changes[0].done
    assert told.difference == 0


def trained_a_little(net, *shape):
    for _ in range(5):
        net(3 * torch.randn(shape) + 1)
    return net


def test_a_norm_over_another_axis_than_a_layers_channels_stays():
    net = trained_a_little(nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Flatten()), 16, 8, 5)
    folded, told = fold(net, torch.randn(4, 8, 5))
    assert len(norms(folded)) == 1
    assert "another axis" in told.changes[0].why


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(6, 4), nn.BatchNorm1d(4)

    def forward(self, x):
        return nn.functional.linear(self.norm(self.layer(x)).relu(), self.layer.weight.t())


class ReadsItsNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(6, 4), nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(self.layer(x)) * self.norm.weight


@pytest.mark.parametrize(("network", "read"), [(Tied, "layer"), (ReadsItsNorm, "norm")])
def test_a_norm_stays_if_its_weights_or_those_before_it_are_read_elsewhere_too(network, read):
    folded, told = fold(trained_a_little(network(), 16, 6), torch.randn(4, 6))
    assert len(norms(folded)) == 1
    assert told.changes[0].why == f"the weights of {read} are read elsewhere, too"
    assert told.difference == 0


class AsksWhatItIs(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Linear(6, 6)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, nn.BatchNorm1d):
                x = 2 * x
        return x


class AsksItsNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(6, 4), nn.BatchNorm1d(4, affine=False)

    def forward(self, x):
        return self.norm(self.layer(x)) / self.norm.num_features


@pytest.mark.parametrize(("network", "words"), [(AsksWhatItIs, "asks its layers"), (AsksItsNorm, "num_features")])
def test_a_network_that_would_compute_something_else_without_a_norm_is_not_folded(network, words):
    with pytest.raises(TaskError, match=words):
        fold(trained_a_little(network(), 16, 6), torch.randn(4, 6))


@dataclass
class Found:
    logits: torch.Tensor
    features: torch.Tensor


class ReturnsADataclass(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.norm, self.out = nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, x):
        z = self.layer(x)
        return Found(self.out(self.norm(z).relu()).sigmoid(), z)


def test_what_is_returned_in_a_dataclass_is_seen():
    net = trained_a_little(ReturnsADataclass(), 16, 6)
    folded, told = fold(net, x := torch.randn(4, 6))
    assert told.changes[0].why == "what layer gives is used elsewhere too"
    assert torch.equal(folded(x).features, net.layer(x))
    assert not insert_batchnorm(net, x, anyway=True)[1].done


class ReturnsNothing(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def forward(self, x):
        self.layer(x)


def test_a_network_that_returns_no_tensor_is_refused():
    with pytest.raises(TaskError, match="returns no tensors"):
        insert_batchnorm(ReturnsNothing(), torch.randn(4, 6))


class CallsItFlatten(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.flatten, self.norm = nn.Conv1d(2, 4, 3), nn.AdaptiveMaxPool1d(1), nn.BatchNorm1d(4)
        nn.init.constant_(self.norm.weight, -1.0)

    def forward(self, x):
        return self.norm(self.flatten(self.conv(x)))


def test_a_name_makes_no_flatten_but_a_module_does():
    x = torch.randn(5, 2, 8)
    folded, told = fold(trained_a_little(CallsItFlatten(), 16, 2, 8), x)
    assert not told.changes[0].done
    net = nn.Sequential(nn.Conv1d(2, 4, 3), nn.Flatten(2), nn.BatchNorm1d(4))
    folded, told = fold(trained_a_little(net, 16, 2, 8), x)
    assert told.changes[0].done == "merged into 0"
    assert torch.allclose(folded(x), net.eval()(x), atol=1e-6)


class MyLinear(nn.Linear):
    pass


class MyNorm(nn.BatchNorm1d):
    pass


class MyActivation(nn.ReLU):
    pass


def test_a_class_that_inherits_its_forward_is_what_it_inherits_from():
    net = nn.Sequential(MyLinear(4, 8), MyActivation(), MyLinear(8, 2))
    _, told = insert_batchnorm(net, torch.randn(4, 4))
    assert [c.layer for c in told.done] == ["0"]
    net = nn.Sequential(MyLinear(4, 8), MyNorm(8), MyActivation(), MyLinear(8, 2))
    assert fold(trained_a_little(net, 16, 4), torch.randn(4, 4))[1].changes[0].done == "merged into 0"


def test_weights_of_spectral_norm_are_not_stepped_on():
    net = nn.Sequential(spectral_norm(nn.Linear(4, 8)), nn.BatchNorm1d(8), nn.Linear(8, 8))
    net.extend([nn.ReLU(), nn.Linear(8, 2)])
    x = torch.randn(16, 4)
    for changed in (insert_batchnorm(net, x, anyway=True)[0], swap_norm(net, "batch", x)[0]):
        left = changed.state_dict()
        assert all(torch.equal(value, left[name]) for name, value in net.state_dict().items() if name in left)
    assert "0.parametrizations.weight.0._u" in left


def test_a_pruned_network_is_copied_with_its_mask():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    prune.l1_unstructured(net[0], "weight", 0.5)
    x = torch.randn(16, 4)
    folded, told = fold(trained_a_little(net, 16, 4), x)
    assert told.changes[0].done
    assert torch.allclose(folded(x), net.eval()(x), atol=1e-6)
    assert int((folded[0].weight == 0).sum()) == 16


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_what_torch_jit_hides_is_refused():
    net = nn.Sequential(torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))), nn.ReLU())
    x = torch.randn(8, 4)
    for look in (fold, insert_batchnorm, recalibrate, audit):
        with pytest.raises(TaskError, match=r"torch\.jit hides those of 0"):
            look(net, x)


class DropsBlocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)) for _ in range(3))

    def forward(self, x):
        for block in self.blocks:
            x = x if self.training and random.random() < 0.5 else x + block(x)
        return x


def test_the_users_random_numbers_are_not_drawn():
    before = random.getstate()
    insert_batchnorm(DropsBlocks(), torch.randn(8, 4))
    assert random.getstate() == before


class RefusesItsInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        assert x.shape[1] == 4, "four columns are needed"
        return self.layer(x)


def test_whatever_a_network_raises_is_told():
    with pytest.raises(TaskError, match="it stops with 'four columns are needed"):
        insert_batchnorm(RefusesItsInputs(), torch.randn(4, 5))


def test_a_counter_in_forward_does_not_count():
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    net[0].counted = torch.zeros(())
    net[0].register_forward_hook(lambda layer, _, result: result + 0 * layer.counted.add_(1))
    fold(net, torch.randn(8, 4))
    assert net[0].counted == 0


def test_outputs_that_are_infinite_or_complex_are_compared():
    class Masks(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

        def forward(self, x):
            z = self.norm(self.layer(x))
            return torch.cat([z, torch.full_like(z, -torch.inf)], 1), torch.fft.fft(z)

    told = fold(trained_a_little(Masks(), 16, 4), torch.randn(8, 4))[1]
    assert 0 < told.difference < 1e-5


class SplitsItsLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.out = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x):
        h = self.one(x)
        return self.out(self.two(h).relu() + (2 * h + 1).relu())


def test_of_two_activations_each_layer_gets_its_own_normed():
    normed, told = insert_batchnorm(SplitsItsLayer(), x := torch.randn(8, 4), position="after")
    assert [c.layer for c in told.done] == ["one", "two"]
    nodes = record(normed, x).nodes
    before = {n.name: nodes[nodes[n.sources[0]].sources[0]].name for n in nodes if n.is_norm}
    assert before == {"one_norm": "add", "two_norm": "two"}


class SmallWithMask(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

    def forward(self, x):
        found = self.norm(self.layer(x))
        return 1e-9 * found, found > 0


def test_the_difference_is_relative_to_small_outputs_too_and_masks_are_outputs():
    net, x = trained_a_little(SmallWithMask(), 16, 4), torch.randn(64, 4)
    folded, told = fold(net, x)
    with torch.no_grad():
        before, after = net.eval()(x)[0], folded(x)[0]
    assert told.difference == pytest.approx(float((before - after).abs().max() / before.abs().max()), rel=1e-3)
    assert told.difference > 1e-9


# --- the table of the manual


PAGE = Path(__file__).parent.parent / "docs" / "batch-normalisation.md"
BEGIN, END = "<!-- networks: python tests/test_batchnorm_networks.py -->\n", "<!-- end of networks -->"


def table():
    lines = ["| network | norms put in behind | left alone |", "|---|---|---|"]
    for row in TABLE:
        try:
            report = insert_batchnorm(built(row), row.example())[1]
        except TaskError as error:
            lines.append(f"| {row.name} | refused | {str(error).rstrip('.')} |")
            continue
        left: dict[str, list[str]] = {}
        for change in report.changes:
            if not change.done:
                left.setdefault(change.why, []).append(change.layer)
        why = "; ".join(f"{', '.join(layers)}: {reason}" for reason, layers in left.items())
        why = why or report.notes[0].removeprefix("left alone: ")
        lines.append(f"| {row.name} | {', '.join(c.layer for c in report.done) or 'none'} | {why} |")
    return "\n".join(lines) + "\n"


def test_the_manual_has_the_table():
    text = PAGE.read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0] == table(), "python tests/test_batchnorm_networks.py writes it"


if __name__ == "__main__":
    first, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{first}{BEGIN}{table()}{END}{rest.partition(END)[2]}", encoding="utf-8")
