"""What a choice does to the volume that works: statistics, curves of stacks, arms, the table and the picture."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.stats import binomtest
from torch import nn

from zeroin.cli import cli
from zeroin.cli.options import writing
from zeroin.errors import StudyError, TaskError
from zeroin.nn import Task, audit, effect, loop, mlp
from zeroin.nn.effects.arms import design
from zeroin.nn.effects.curves import curves
from zeroin.nn.effects.volume import Draw, Goal, Paired, Share, compared
from zeroin.nn.loop import fresh
from zeroin.nn.recipe import recipe
from zeroin.nn.stacking.grouping import signature
from zeroin.space import Choice, Float, Int, Space

torch.set_num_threads(1)
GOAL = Goal(target=0.9, constant=0.1, epochs=2, up=True)


def data(n, seed):
    x = np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0.5)


def task(build=lambda c: mlp(6, 3, c), **more):
    return Task(build=build, train=data(200, 0), valid=data(80, 1), **more)


# --- statistics


def test_intervals_are_wilsons():
    for count, of in ((0, 20), (10, 40), (128, 256), (256, 256)):
        known = binomtest(count, of).proportion_ci(method="wilson")
        assert Share(count, of).interval == pytest.approx((known.low, known.high), abs=1e-6)


def test_pairs_are_tested_exactly():
    assert Paired(9, 1).p == pytest.approx(binomtest(1, 10).pvalue)
    assert Paired(0, 0).p == 1.0


def test_what_counts_as_working_and_as_failing():
    curves = {"a": [(0.5, 0.95), (0.95, 0.5), (0.1,), (0.11, 0.15)], "b": [(0.9, 0.9)] * 4}
    arms = {arm: [Draw({"lr": 0.1 * i, "momentum": 0.5}, c) for i, c in enumerate(cs, 1)] for arm, cs in curves.items()}
    one = compared({}, arms, GOAL)
    a, b = one.volumes
    assert (a.works.count, a.fails.count, a.epochs) == (1, 2, 2)  # working at the end counts; diverged, learnt nothing
    assert (b.works.count, b.fails.count, b.epochs) == (4, 0, 1)
    assert (one.tests[0].gained, one.tests[0].lost) == (3, 0)
    assert a.steps is None
    assert 0.2 < b.steps[0] < b.steps[1] < 0.8


# --- curves


def test_curves_of_stacks_are_those_of_networks_trained_alone():
    problem = task().problem
    members = [({"lr": 0.05 * i, "optimizer": "momentum", "batchnorm": i % 2 == 0, "units": 8}, i) for i in range(1, 6)]
    seen = list(curves(problem, members, 3))
    assert [sorted(s) for s in seen] == [[0, 1, 2, 3, 4]] * 3
    for place in (0, 3):
        config, seed = members[place]
        model = fresh(problem, config, seed)
        now = loop.Training.of(problem, model, recipe(config))
        for epoch in range(3):
            loop.train_epoch(now, seed, 3)
            assert seen[epoch][place] == pytest.approx(loop.evaluate(problem, model, problem.valid)[0], abs=1e-9)


def test_what_diverges_leaves_and_the_others_do_not_feel_it():
    problem = task().problem
    calm = [({"lr": 0.01 * i, "optimizer": "sgd"}, i) for i in range(1, 4)]
    wild = [({"lr": 1e30, "optimizer": "sgd"}, 9)]
    together = list(curves(problem, [*calm[:1], *wild, *calm[1:]], 2))
    alone = list(curves(problem, calm, 2))
    assert all(1 not in seen for seen in together)
    assert [[s[0], s[2], s[3]] for s in together] == [[s[0], s[1], s[2]] for s in alone]


def test_what_cannot_be_stacked_is_trained_one_by_one():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = nn.Linear(6, 3)

        def forward(self, x):
            return self.line(x) * (2.0 if x.sum().item() > 0 else 1.0)

    seen = list(curves(task(lambda c: Odd()).problem, [({"lr": 0.1}, 0), ({"lr": 0.2}, 1)], 1))
    assert sorted(seen[0]) == [0, 1]


# --- effect


@pytest.mark.slow
def test_both_arms_have_the_same_draws_and_the_result_is_reproducible(tmp_path):
    told = []
    first, again = (
        effect(task(), "batchnorm", at={"layers": (1, 3)}, held={"units": 8}, draws=draws, epochs=2, listen=told.append)
        for draws in (8, np.int64(8))
    )
    assert [c.setting for c in first.comparisons] == [{"layers": 1}, {"layers": 3}]
    for one, other in zip(first.comparisons, again.comparisons, strict=True):
        none, batch = one.volumes
        assert [(d.config["lr"], d.config["momentum"]) for d in none.draws] == [
            (d.config["lr"], d.config["momentum"]) for d in batch.draws
        ]
        assert len({d.config["lr"] for d in none.draws}) == 8
        assert [d.curve for v in one.volumes for d in v.draws] == [d.curve for v in other.volumes for d in v.draws]
        assert [d.curve for d in none.draws] != [d.curve for d in batch.draws]
    assert (told[0].share, told[0].trainings) == (0.0, 32)
    assert told[0].seconds > 0
    assert told[-1].share == pytest.approx(1.0)
    assert "init=default" in str(first)
    plain = json.loads(json.dumps(first.to_json()))
    assert plain["settings"][1]["arms"][1]["works"]["of"] == 8
    root = ET.parse(first.picture(tmp_path / "e.svg")).getroot()
    assert sum(e.get("d", "").count("h0") for e in root.iter()) == 32  # a dot for each training


def test_a_choice_of_the_space_is_compared_with_shapes_held():
    space = Space(
        lr=Float(1e-3, 1.0, scale="log"), units=Int(4, 16), optimizer=Choice("sgd", "momentum", "adamw"),
        momentum=Float(0.5, 0.99, scale="one_minus_log", when={"optimizer": "momentum"}), dropout=Float(0.0, 0.5),
    )  # fmt: skip
    found = effect(task(space=space), "optimizer", draws=6, epochs=1)
    (one,) = found.comparisons
    assert [v.arm for v in one.volumes] == ["sgd", "momentum", "adamw"]
    assert len(one.tests) == 2
    assert set(found.drawn) == {"lr", "momentum", "dropout"}
    assert found.held["units"] == 10
    sgd, momentum, _ = (v.draws for v in one.volumes)
    assert "momentum" not in sgd[0].config
    assert len({d.config["momentum"] for d in momentum}) == 6
    assert [d.config["lr"] for d in sgd] == [d.config["lr"] for d in momentum]


def test_true_and_1_are_arms_of_their_own():
    own = task(lambda c: nn.Linear(6, 3, bias=bool(c["k"])), space=Space(k=Choice(True, 1, 2, default=1)))
    arms = design(own, "k", {}, {}).arms
    assert [arm.name for arm in arms] == ["1", "True", "2"]


def test_networks_keep_their_own_width_and_one_that_cannot_be_made_or_trained_is_told():
    wide = {"small": 4, "large": 8}
    space = Space(lr=Float(1e-3, 1.0, scale="log"), units=Choice("small", "large"))
    own = task(
        lambda c: nn.Sequential(nn.Linear(6, wide[c["units"]]), nn.ReLU(), nn.Linear(wide[c["units"]], 3)), space=space
    )
    assert design(own, "batchnorm", {}, {}).held["units"] == "small"
    with pytest.raises(TaskError, match=r"'units': 64.* raised KeyError: 64"):
        effect(own, "batchnorm", held={"units": 64})
    with pytest.raises(TaskError, match=r"'units': 64.* raised KeyError: 64"):
        audit(own, config={"units": 64})
    with pytest.raises(TaskError, match="two examples in each mini-batch"):
        effect(own, "batchnorm", held={"batch_size": 1})


def test_a_network_that_does_not_ask_for_a_norm_gets_it_put_in():
    own = task(lambda c: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)))
    for choice in ("batchnorm", "groupnorm"):
        none, normed = effect(own, choice, draws=4, epochs=1).comparisons[0].volumes
        assert [d.curve for d in none.draws] != [d.curve for d in normed.draws]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (
            lambda c: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)),
            "it has BatchNorm1d of its own",
        ),
        (lambda c: nn.Linear(6, 3), "is the whole network"),
        (lambda c: nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 3)), "no activation follows"),
    ],
)
def test_arms_are_not_the_same_network(build, words):
    for choice in ("batchnorm", "layernorm"):
        with pytest.raises(TaskError, match=words):
            effect(task(build), choice, draws=4, epochs=1)


def test_a_norm_that_only_deeper_networks_ask_for_is_not_put_in():
    def build(config):
        norm = [nn.BatchNorm1d(8)] if config["batchnorm"] else []
        hidden = [m for _ in range(config["layers"]) for m in (nn.Linear(8, 8), *norm, nn.ReLU())]
        return nn.Sequential(nn.Linear(6, 8), *hidden, nn.Linear(8, 3))

    plan = design(task(build), "batchnorm", {"layers": (0, 1)}, {})
    assert [arm.norm for arm in plan.arms] == ["", ""]


@pytest.mark.parametrize(
    ("choice", "more", "words"),
    [
        ("batch", {}, "got 'batch'"),
        ("batchnorm", {"at": {"layers": (2, 8)}}, "neither asks for layers: check the spelling"),
        ("batchnorm", {"held": {"batch_sise": 16}}, "neither asks for batch_sise"),
        ("batchnorm", {"at": {"norm": ("layer", "group")}}, "norm differs between none and batch"),
        ("batchnorm", {"epochs": 0}, "epochs are counted from 1; epochs=0"),
        ("batchnorm", {"target": 90}, "accuracy is at most 1; target=90"),
        ("batchnorm", {"draws": 0}, "draws are counted from 1; draws=0"),
    ],
)
def test_what_cannot_be_compared_is_refused(choice, more, words):
    own = task(lambda c: nn.Linear(6, 3))
    with pytest.raises(TaskError, match=words):
        effect(own, choice, **{"draws": 4, **more})


def test_a_choice_that_nobody_asks_for_is_refused():
    own = task(lambda c: nn.Linear(6, 3), space=Space(activation=Choice("relu", "tanh")))
    with pytest.raises(TaskError, match="a choice changes the network or its training; neither asks for activation"):
        effect(own, "activation", draws=4, epochs=1)


def test_other_metrics_need_a_target():
    with pytest.raises(TaskError, match="judged by loss"):
        effect(task(metric="loss"), "batchnorm")


def test_idle_dropout_changes_nothing():
    problem = task().problem
    config = {"lr": 0.1, "optimizer": "sgd"}
    runs = [list(curves(problem, [(config | more, i) for i in range(3)], 2)) for more in ({}, {"dropout": 0.0})]
    assert runs[0] == runs[1]
    assert signature(fresh(problem, config, 0), recipe(config), config)


def test_the_verb_prints_the_table_and_draws_the_picture(zeroin):
    words = ["effect", "batchnorm", "digits", "--depths", "1", "--init", "kaiming", "--draws", "4", "--epochs", "1"]
    code, out, err = zeroin(*words, "--workers", "1", "--picture", "e.svg")
    assert code == 0, err
    assert "8 trainings, at most about" in err
    assert "kaiming" in out
    assert "lr 1e-4..10 (log scale)" in out
    assert (zeroin.folder / "e.svg").read_text().startswith("<svg")


@pytest.mark.slow
def test_processes_find_the_same():
    one, two = (effect(task(_build), "batchnorm", draws=6, epochs=1, workers=w).comparisons for w in (1, 2))
    assert [d.curve for v in one[0].volumes for d in v.draws] == [d.curve for v in two[0].volumes for d in v.draws]


def _build(config):
    return mlp(6, 3, config)


def test_a_picture_that_cannot_be_written_is_one_sentence(tmp_path):
    file = tmp_path / "nowhere" / "effect.svg"
    told = r"^a picture goes to a file that can be written; .*: choose another\.$"
    with pytest.raises(StudyError, match=told), writing(file, "a picture goes to"):
        file.write_text("<svg/>")
    words = ["effect", "batchnorm", "digits", "--draws", "1000", "--epochs", "1000", "--picture", str(file)]
    assert isinstance(CliRunner().invoke(cli, words).exception, StudyError)  # told before the trainings
    words[-1] = str(tmp_path / "effect.svg")
    assert isinstance(CliRunner().invoke(cli, [*words, "--set", "units"]).exception, StudyError)
    assert list(tmp_path.iterdir()) == []  # a mistake leaves no empty picture
