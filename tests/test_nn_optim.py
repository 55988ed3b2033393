"""Optimizers against PyTorch's own, schedules against numbers worked out by hand."""

import copy
import subprocess
import sys
from dataclasses import asdict
from itertools import pairwise

import pytest
import torch
from torch import nn

from zeroin.catalogue import defaults
from zeroin.errors import TaskError
from zeroin.nn.optimizer import Optimizer
from zeroin.nn.recipe import OPTIMIZERS, SCHEDULES, clip, decayed, recipe

CONFIG = {"lr": 0.05, "momentum": 0.7, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.1}
REFERENCE = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.7),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.7),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.7, nesterov=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.05, alpha=0.95, eps=1e-3, momentum=0.7),
    "adam": lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3),
    "nadam": lambda p: torch.optim.NAdam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3),
}


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Conv1d(5, 5, 1), nn.LayerNorm(5), nn.Embedding(3, 2))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_ten_steps_equal_pytorch(name):
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 1))
    theirs = copy.deepcopy(ours)
    shrunk = [theirs[0].weight, theirs[3].weight]
    rest = [theirs[0].bias, theirs[1].weight, theirs[1].bias, theirs[3].bias]
    a = Optimizer(ours, recipe({**CONFIG, "optimizer": name}))
    b = REFERENCE[name]([{"params": shrunk, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}])
    x, y = torch.randn(32, 4), torch.randn(32, 1)
    for step in range(10):
        for group in b.param_groups:
            group["lr"] = 0.05 / (step + 1)
        for model in (ours, theirs):
            model.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
        a.step(0.05 / (step + 1))
        b.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=2e-5, rtol=1e-4)
    kept, wanted = a.state_dict()["state"], b.state_dict()["state"]
    assert all(torch.allclose(kept[i][k], t, atol=1e-5) for i in wanted for k, t in wanted[i].items() if t is not None)


@pytest.mark.slow
def test_training_does_not_import_pytorchs_compiler():
    code = (
        "import sys, torch; from torch import nn; from zeroin.nn.optimizer import Optimizer; "
        "from zeroin.nn.recipe import recipe; net = nn.Linear(2, 1); opt = Optimizer(net, recipe({})); "
        "net(torch.ones(1, 2)).sum().backward(); opt.step(0.1); assert 'torch._dynamo' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_state_goes_on_counting_steps_exactly_whatever_the_parameters_type():
    model = nn.Linear(1, 1).bfloat16()
    model.bias = nn.Parameter(torch.zeros((), dtype=torch.bfloat16))
    opt, again = (Optimizer(model, recipe({})) for _ in range(2))
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    opt.step(0.1)
    again.load_state_dict(opt.state_dict())
    assert {held["step"].dtype for held in again.state.values()} == {torch.float32}


def test_only_matrices_and_kernels_decay():
    assert decayed(net()) == {"0.weight", "2.weight", "4.weight"}
    assert decayed(nn.LayerNorm([3, 4])) == set()


def test_what_a_config_does_not_say_is_as_in_the_catalogue():
    assert [recipe({"optimizer": o}).momentum for o in ("sgd", "momentum", "nesterov", "rmsprop")] == [0, 0.9, 0.9, 0]
    for optimizer in OPTIMIZERS:  # NAdam's lr is twice Adam's
        usual = {n: v for n, v in defaults(optimizer).items() if n in ("lr", "momentum", "beta1", "beta2", "eps")}
        assert usual.items() <= asdict(recipe({"optimizer": optimizer})).items()


def of_schedule(schedule, **more):
    return recipe({"lr": 1.0, "schedule": schedule, **more})


def test_schedules_by_hand():
    hows = {s: of_schedule(s, lr_decay=0.04) for s in SCHEDULES}
    shares = {s: [round(how.lr_at(i, 10), 4) for i in (0, 4, 5, 8, 9)] for s, how in hows.items()}
    assert shares == {
        "constant": [1, 1, 1, 1, 1],
        "cosine": [1.0, 0.6683, 0.52, 0.1317, 0.0635],
        "linear": [1.0, 0.616, 0.52, 0.232, 0.136],
        "step": [1.0, 1.0, 0.2, 0.04, 0.04],
        "wsd": [1.0, 1.0, 1.0, 1.0, 0.52],
    }


def test_warmup_rises_from_above_zero_and_then_the_schedule_begins():
    rise = [of_schedule("linear", warmup=0.2).lr_at(s, 20) for s in range(6)]
    assert rise == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 15 / 16])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_never_rises_after_warmup_and_stays_in_its_bounds(schedule):
    shares = [of_schedule(schedule, warmup=0.1, lr_decay=0.01).lr_at(s, 100) for s in range(100)]
    assert all(a >= b for a, b in pairwise(shares[10:]))
    assert 0.01 <= min(shares[10:]) <= max(shares) <= 1
    assert 0 < shares[0] < shares[9] < 1


def test_clipping_shortens_long_gradients_only():
    p = torch.nn.Parameter(torch.zeros(2))
    for largest, expected in ((0.0, 5.0), (1.0, 1.0), (10.0, 5.0)):
        p.grad = torch.tensor([3.0, 4.0])
        clip([p], largest)
        assert p.grad.norm().item() == pytest.approx(expected)


def test_words_and_numbers_are_checked():
    with pytest.raises(TaskError, match=r"optimizer is one of .*'lion'.*use 'adamw'"):
        recipe({"optimizer": "lion"})
    with pytest.raises(TaskError, match="schedule is one of"):
        recipe({"schedule": "cos"})
    with pytest.raises(TaskError, match="lr is a number"):
        recipe({"lr": "fast"})
