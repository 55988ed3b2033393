"""Counted dropout: the masks of a step are a function of (seed, step, layer), and as random as they should be."""

import pytest
import torch
from torch import nn

from zeroin.nn import dropout
from zeroin.nn.dropout import CountedDropout, begin_step, counted, dropouts, keys, mix

WORDS = [1, 5, -1, 2**62 + 12345, -(2**63)]


def by_hand(word):
    z, m = word % 2**64, 2**64 - 1
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & m
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & m
    z ^= z >> 31
    return z - 2**64 if z >> 63 else z


def layer(p, seed=0, step=0, axes=0):
    one = CountedDropout(p, axes)
    begin_step([one], keys([(seed, step)], 1, 1)[0, 0])
    return one


def test_the_mixer_is_splitmix():
    assert mix(torch.tensor(WORDS)).tolist() == [by_hand(w) for w in WORDS]


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.9])
def test_the_share_that_is_dropped_and_its_independence(p):
    x = torch.ones(1000, 1000)
    gone = (layer(p)(x) == 0).double() - p
    error = (p * (1 - p) / 1e6) ** 0.5
    assert abs(gone.mean()) < 4 * error  # 4 standard errors: wrong once in 16,000
    for shifted in (gone.roll(1, 0), gone.roll(1, 1), gone.roll(4, 1), (layer(p, step=1)(x) == 0).double() - p,
                    (layer(p, seed=1)(x) == 0).double() - p):  # fmt: skip
        assert abs((gone * shifted).mean()) < 4 * p * (1 - p) / 1e3
    assert layer(p)(x).mean() == pytest.approx(1, abs=5 * error / (1 - p))


def test_older_pytorch_drops_the_same(monkeypatch):
    layer = counted(nn.Sequential(nn.Dropout(0.3)))
    x = torch.ones(7, 9)  # 63 numbers, of 16 words
    begin_step(dropouts(layer), torch.tensor([-5]))
    viewed = layer(x)
    monkeypatch.setattr(dropout, "VIEWED", False)
    begin_step(dropouts(layer), torch.tensor([-5]))
    assert torch.equal(layer(x), viewed)
    assert 0 < (viewed == 0).sum() < 63


def test_all_none_and_evaluation():
    x = torch.randn(7, 5)
    assert torch.equal(layer(0.0)(x), x)
    assert torch.equal(layer(1.0)(x), torch.zeros(7, 5))
    assert torch.equal(layer(0.5).eval()(x), x)


@pytest.mark.parametrize("inplace", [False, True])
def test_the_input_is_changed_where_the_layer_it_stands_for_changes_it(inplace):
    one, x = counted(nn.Sequential(nn.Dropout(0.5, inplace=inplace))), torch.ones(9, 9)
    y = one(x)
    assert 0 < (y == 0).sum() < 81
    assert (y is x) == bool((x == 0).any()) == inplace


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_numbers_keep_their_type(dtype):
    y = layer(0.5)(torch.ones(20, 20, dtype=dtype))
    assert y.dtype is dtype
    assert set(y.unique().tolist()) == {0.0, 2.0}


def test_a_counted_layer_is_read_set_and_hooked_as_the_one_it_stands_for():
    one = nn.Dropout(0.5)
    one.register_forward_hook(lambda _module, _inputs, out: out * 3)
    (one,) = dropouts(counted(nn.Sequential(one, nn.Sequential(one))))
    assert one.p == 0.5
    assert set(one(torch.ones(20, 20)).unique().tolist()) == {0.0, 6.0}
    one.p = 0.75
    assert set(one(torch.ones(20, 20)).unique().tolist()) == {0.0, 12.0}
    one.p = 0.0
    assert set(one(torch.ones(20, 20)).unique().tolist()) == {3.0}


def test_channels_are_dropped_whole():
    y = layer(0.5, axes=2)(torch.ones(50, 8, 6, 6))
    assert set(y.amax((2, 3)).unique().tolist()) == {0.0, 2.0}
    assert torch.equal(y.amax((2, 3)), y.amin((2, 3)))


def test_a_layer_used_twice_draws_twice_and_the_same_again_in_the_same_step():
    one, x, key = CountedDropout(0.5), torch.ones(20, 20), keys([(3, 9)], 1, 1)[0, 0]
    begin_step([one], key)
    first, second = one(x), one(x)
    begin_step([one], key)
    assert torch.equal(one(x), first)
    assert not torch.equal(first, second)


def test_a_counted_network_keeps_its_state_dict():
    def net():
        return nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.3), nn.Sequential(nn.Conv2d(1, 1, 1), nn.Dropout2d(0.2)))

    model = counted(net())
    assert [d.axes for d in dropouts(model)] == [0, 2]
    net().load_state_dict(model.state_dict(), strict=True)
    assert len({tuple(k) for k in keys([(0, 0)], 50, 2)[:, 0].tolist()}) == 50
