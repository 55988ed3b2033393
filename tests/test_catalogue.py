"""The catalogue: every entry sound, every form of asking for one, the rule by budget, and its page in docs/.

`python tests/test_catalogue.py` writes docs/catalogue.md anew.
"""

import doctest
import inspect
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from zeroin import catalogue
from zeroin.catalogue import CATALOGUE, COLUMNS, OPTIMIZERS, called, common, defaults, describe, rows, space
from zeroin.errors import SpaceError
from zeroin.space import Choice, Float, Int, Space

PAGE = Path(__file__).parent.parent / "docs" / "catalogue.md"
INTRO = """\
# Catalogue of hyperparameters

What `zeroin catalogue` prints and `zi.catalogue.space(...)` builds from. A range is where good values were published,
drawn wide; limits are how far the search may move it when the best lies on its edge; `..` includes both ends.
The range of layers and units does not grow beyond the upper end that you ask for, nor that of the batch size below its
lower end, as both make an epoch dearer; a Float or Int of your own has `limits=` for that.

With a budget of fewer than 10 full trainings only lr is tuned for Adam's family; from 10 beta1 too, from 25 eps,
from 100 beta2 (Deep Learning Tuning Playbook, "How should Adam's hyperparameters be tuned?"). What you name yourself
goes before this rule:

```python
import zeroin as zi

zi.catalogue.space("adamw", trainings=30)                              # lr, beta1, eps
zi.catalogue.space("adamw", trainings=30, eps=False, dropout=True)     # lr, beta1, dropout
zi.catalogue.space("nesterov", lr=(1e-3, 3.0), batch_size=64)          # lr in its own range, the batch size held
zi.catalogue.space(("sgd", "adamw"), layers=(1, 4), units="per_layer")  # the optimizer is searched too
```

A default is where a person would start it once it is searched. What is not in a space is off (dropout, warmup, ...) or
as the optimizer has it (eps, beta2, ...). Ready-made tasks and data of your own begin at a learning rate of
0.005 and a dropout of 0.2 instead ([why](time-experiments.md#where-a-search-begins)).

By what else a hyperparameter is called, whatever its case and underscores, it is recognised in a space of your own by
[the playbook](playbook.md#how-it-is-used) and by what is known of [how losses fall](search.md#2-zoom). A
`zeroin.nn.Task` is trained by the names of the catalogue alone.
"""


def page() -> str:
    table = [COLUMNS, ("---",) * len(COLUMNS), *rows()]
    lines = [f"| {' | '.join(row)} |" for row in table]
    entries = (f"## {describe(name)}".replace("\n", "\n\n", 1) for name in CATALOGUE)
    return "\n".join([INTRO, *lines, "", "\n\n".join(entries), ""])


def params():
    return [
        pytest.param(name, p, id=f"{name}-{o}")
        for name, e in CATALOGUE.items()
        for o, p in ({"all": e.param} | dict(e.by_optimizer)).items()
    ]


# --- the entries ---


def test_names_and_optimizers_are_those_that_the_training_loop_knows():
    names = (
        "optimizer lr momentum beta1 beta2 eps weight_decay batch_size layers units dropout activation batchnorm "
        "norm norm_position bn_momentum bn_eps schedule lr_decay warmup label_smoothing grad_clip init"
    )
    assert " ".join(CATALOGUE) == names
    assert OPTIMIZERS == ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "nadam")


def test_a_hyperparameter_is_known_by_what_people_call_it():
    said = [name for entry in CATALOGUE.values() for name in (entry.name, *entry.others)]
    assert len({name.replace("_", "") for name in said}) == len(said)
    assert all(common(name) == entry.name for entry in CATALOGUE.values() for name in (entry.name, *entry.others))
    assert (common("Learning Rate"), common("numLayers"), common("alpha"), common("lr1")) == (
        "lr",
        "layers",
        "alpha",
        "lr1",
    )
    assert called(["lr", "base_lr", "wd", "hidden", "width", "x"]) == {"lr": "lr", "weight_decay": "wd"}


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)
def test_every_entry_says_what_it_is_what_moves_it_and_who_says_so(entry):
    assert CATALOGUE[entry.name] is entry
    for words in (entry.symbol, entry.meaning, entry.depends, entry.source):
        assert words.strip() == words != ""
        assert "\n" not in words
    assert set(entry.by_optimizer) | set(entry.unasked) <= set(OPTIMIZERS)


@pytest.mark.parametrize(("name", "param"), params())
def test_default_lies_in_the_range_and_the_range_in_the_limits(name, param):
    assert param.allows(param.start)
    if isinstance(param, Choice):
        return
    (low, high), (lowest, highest) = param.legal, CATALOGUE[name].possible
    assert param.limits is not None
    assert lowest <= low <= param.low < param.high <= high <= highest
    assert param.default is not None
    assert param.low <= param.default <= param.high or (param.zero and param.default == 0)


@pytest.mark.parametrize(("name", "param"), params())
def test_the_unit_interval_of_the_range_draws_from_the_range_only(name, param):
    low, high = param.span(param.range)
    drawn = [param.value(u) for u in np.linspace(low + 1e-9, high - 1e-9, 1001)]
    if isinstance(param, Choice):
        assert set(drawn) == set(param.options)
        return
    zeros = drawn.count(0.0) if getattr(param, "zero", False) else 0
    tolerance = 1e-9 * param.high
    assert all(param.low - tolerance <= v <= param.high + tolerance for v in drawn[zeros:])
    middle = drawn[zeros:][len(drawn[zeros:]) // 2]
    want = {
        "linear": (param.low + param.high) / 2,
        "log": math.sqrt(param.low * param.high),
        "log2": math.sqrt(param.low * param.high),
        "one_minus_log": 1 - math.sqrt(abs((1 - param.low) * (1 - param.high))),
    }[param.scale]
    assert middle == pytest.approx(want, rel=0.5 if isinstance(param, Int) else 0.01)  # an Int's cells are coarse


@pytest.mark.parametrize(("optimizer", "name"), [("momentum", "momentum"), ("adam", "beta1"), ("adamw", "beta2")])
def test_half_of_momentum_between_0_9_and_0_999_lies_above_0_99(optimizer, name):
    param = space(optimizer, **{name: (0.9, 0.999)})[name]
    low, high = param.span(param.range)
    units = low + (np.arange(10_000) + 0.5) / 10_000 * (high - low)  # exact quantiles
    share = np.mean([param.value(u) >= 0.99 for u in units])
    assert 0.49 <= share <= 0.51


def test_defaults_are_those_of_pytorch():
    torch = pytest.importorskip("torch")

    def default(cls, name):
        return inspect.signature(cls).parameters[name].default

    classes = {"sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW", "nadam": "NAdam"}
    for optimizer, cls in ((o, getattr(torch.optim, c)) for o, c in classes.items()):
        ours = defaults(optimizer)
        assert ours["weight_decay"] == default(cls, "weight_decay")
        if optimizer != "sgd":  # PyTorch's 0.001 is replaced by Bengio's 0.01, as its entry says
            assert ours["lr"] == default(cls, "lr")
            assert ours["eps"] == default(cls, "eps")
        if optimizer in ("adam", "adamw", "nadam"):
            assert (ours["beta1"], ours["beta2"]) == default(cls, "betas")
    assert defaults("rmsprop")["momentum"] == default(torch.optim.RMSprop, "momentum")
    assert defaults("rmsprop")["beta2"] == default(torch.optim.RMSprop, "alpha")
    assert defaults()["bn_momentum"] == default(torch.nn.BatchNorm1d, "momentum")
    assert defaults()["bn_eps"] == default(torch.nn.BatchNorm1d, "eps")
    assert defaults()["dropout"] == default(torch.nn.Dropout, "p")
    assert defaults()["label_smoothing"] == default(torch.nn.CrossEntropyLoss, "label_smoothing")


def test_defaults_hold_what_the_optimizer_has_and_nothing_else():
    assert "momentum" not in defaults("adamw")
    assert "beta1" not in defaults("nesterov")
    assert defaults("nesterov")["momentum"] == 0.9
    assert defaults("sgd")["lr"] == 0.01
    assert list(defaults("adamw")) == [n for n in CATALOGUE if n != "momentum"]


# --- which to tune ---


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "nadam"])
@pytest.mark.parametrize(
    ("trainings", "names"),
    [
        (0.1, "lr"),
        (5, "lr"),
        (9.9, "lr"),
        (10, "lr beta1"),
        (15, "lr beta1"),
        (25, "lr beta1 eps"),
        (30, "lr beta1 eps"),
        (200, "lr beta1 beta2 eps"),
        (None, "lr beta1 beta2 eps"),
    ],
)
def test_the_budget_chooses_among_adams_hyperparameters(optimizer, trainings, names):
    assert list(space(optimizer, trainings)) == ["optimizer", *names.split()]


@pytest.mark.parametrize(
    ("optimizer", "few", "many"),
    [
        ("sgd", "lr", "lr"),
        ("momentum", "lr momentum", "lr momentum"),
        ("nesterov", "lr momentum", "lr momentum"),
        ("rmsprop", "lr", "lr beta2 eps"),
    ],
)
def test_the_other_optimizers(optimizer, few, many):
    assert list(space(optimizer, trainings=5)) == ["optimizer", *few.split()]
    assert list(space(optimizer)) == ["optimizer", *many.split()]


def test_what_is_named_goes_before_the_rule():
    assert list(space("adam", trainings=5, beta2=True)) == ["optimizer", "lr", "beta2"]
    assert list(space("adam", trainings=200, eps=False, lr=False)) == ["optimizer", "beta1", "beta2"]
    assert "momentum" in space("rmsprop", momentum=True)


# --- the ways to name one ---


def test_one_optimizer_is_in_every_config_but_not_searched():
    made = space("nesterov")
    assert made["optimizer"].fixed == "nesterov"
    assert {made.config(u)["optimizer"] for u in np.random.default_rng(0).random((20, len(made)))} == {"nesterov"}
    assert made.default == {"optimizer": "nesterov", "lr": 0.01, "momentum": 0.9}


def test_true_adds_the_entry_and_false_or_none_leaves_it_out():
    assert space("adamw", dropout=True)["dropout"] == CATALOGUE["dropout"].param
    assert "dropout" not in space("adamw", dropout=False)
    assert "grad_clip" not in space("adamw", grad_clip=None)


def test_a_pair_is_a_range_on_the_same_scale_within_limits_that_widen():
    lr = space("adamw", lr=(1e-9, 1e-2))["lr"]
    assert (lr.low, lr.high, lr.scale, lr.limits, lr.default) == (1e-9, 1e-2, "log", (1e-9, 1.0), 1e-3)
    units = space("adamw", units=(200, 400))["units"]
    assert (units.low, units.high, units.limits, units.default) == (200, 400, (1, 400), None)  # 128 lies outside
    decay = space("sgd", weight_decay=(1e-4, 1e-2))["weight_decay"]
    assert (decay.zero, decay.default) == (True, 0.0)
    low, high = decay.span(decay.range)
    assert {v == 0 or 1e-4 <= v <= 1e-2 for v in map(decay.value, np.linspace(low, high, 500))} == {True}
    assert isinstance(space("sgd", dropout=(0, 0.5))["dropout"].low, float)


def test_a_tuple_names_the_options_of_a_choice():
    assert space("sgd", activation=("relu", "gelu"))["activation"] == Choice("relu", "gelu")


@pytest.mark.parametrize(
    ("name", "value"),
    [("lr", 0.3), ("lr", 1), ("lr", 50.0), ("batch_size", 64), ("batch_size", 100), ("batch_size", 1), ("layers", 3),
     ("weight_decay", 0), ("grad_clip", 0.0), ("dropout", 0), ("momentum", 0.0), ("schedule", "cosine"),
     ("init", "xavier")],
)  # fmt: skip
def test_a_value_is_held_and_seen_but_not_searched(name, value):
    made = space("momentum", **{name: value})
    assert made.default[name] == value
    assert {made.config(u)[name] for u in np.random.default_rng(0).random((20, len(made)))} == {value}


def test_a_hyperparameter_takes_the_place_of_the_entry():
    own = Float(0.1, 0.2)
    assert space("sgd", lr=own)["lr"] == own
    assert space("sgd", batchnorm=Choice(True, False, fixed=False))["batchnorm"].fixed is False
    made = space(("sgd", "adam"), beta1=Float(0.8, 0.95), dropout=Float(0, 0.5, when={"optimizer": "sgd"}))
    assert made["beta1"].when == {"optimizer": ("adam",)}
    assert made["dropout"].when == {"optimizer": "sgd"}


def test_several_optimizers_share_lr_and_keep_their_own():
    made = space(("adamw", "momentum", "sgd"), weight_decay=True, label_smoothing=True)
    assert made["optimizer"] == Choice("adamw", "momentum", "sgd", default="adamw")
    assert (made["lr"].low, made["lr"].high, made["lr"].limits, made["lr"].default) == (1e-5, 1.0, (1e-7, 10.0), 1e-3)
    assert made["lr"].when is None
    assert made["weight_decay"].default == 0.01
    assert made["momentum"].when == {"optimizer": ("momentum",)}
    assert made["beta1"].when == {"optimizer": ("adamw",)}
    assert "beta1" not in made.check({"optimizer": "sgd"})
    assert list(space(("momentum", "nesterov"))) == ["optimizer", "lr", "momentum"]
    assert space(["adam", "adam"])["optimizer"].fixed == "adam"
    assert space(("momentum", "rmsprop"))["momentum"].when == {"optimizer": ("momentum",)}  # unasked for rmsprop
    asked = space(("momentum", "rmsprop"), momentum=True)["momentum"]
    assert (asked.low, asked.high, asked.when) == (0.0, 0.999, None)


def test_units_per_layer_are_active_where_there_are_that_many_layers():
    made = space("sgd", layers=(2, 4), units="per_layer")
    assert list(made) == ["optimizer", "lr", "layers", "units_1", "units_2", "units_3", "units_4"]
    assert made["layers"].legal == (2, 4)  # the search cannot make a layer that has no width
    for layers in (2, 3, 4):
        config = made.check({"layers": layers})
        assert sum(name.startswith("units") for name in config) == layers
    assert list(space("sgd", layers=3, units="per_layer"))[-1] == "units_3"
    assert len(space("sgd", layers=True, units="per_layer")) == 3 + CATALOGUE["layers"].param.high


def test_what_depends_on_another_is_active_only_with_it_where_both_are_searched():
    made = space("sgd", batchnorm=True, bn_momentum=True, schedule=True, lr_decay=True)
    assert "bn_momentum" not in made.check({"batchnorm": False})
    assert "lr_decay" not in made.check({"schedule": "constant"})
    assert "lr_decay" in made.check({"schedule": "step"})
    assert space("sgd", bn_momentum=True)["bn_momentum"].when is None
    made = space("sgd", norm=True, norm_position=True, bn_momentum=True, bn_eps=True)
    active = {kind: set(made.check({"norm": kind})) - {"optimizer", "lr", "norm"} for kind in made["norm"].options}
    assert active == {
        "none": set(),
        "batch": {"norm_position", "bn_momentum", "bn_eps"},
        "group": {"norm_position", "bn_eps"},
        "layer": {"norm_position", "bn_eps"},
    }
    own = space("sgd", schedule=Choice("constant", "cosine"), lr_decay=True)
    assert own["lr_decay"].when == {"schedule": ("cosine",)}


def test_every_entry_of_every_pair_of_optimizers_makes_a_space_that_a_file_keeps():
    for pair in itertools.combinations(OPTIMIZERS, 2):
        names = [n for n in CATALOGUE if any(CATALOGUE[n].param_for(o) for o in pair) and n != "optimizer"]
        made = space(pair, **dict.fromkeys(names, True))
        assert list(made) == ["optimizer", *names]
        assert list(Space.from_json(json.loads(json.dumps(made.to_json())))) == list(made)
        for units in np.random.default_rng(0).random((5, len(made))):
            made.check(made.config(units))


# --- mistakes ---


@pytest.mark.parametrize(
    ("args", "include", "rule", "value", "remedy"),
    [
        (("adma",), {}, "an optimizer is one of", "'adma'", "use 'adam'"),
        ((("sgd", "lion"),), {}, "an optimizer is one of", "'lion'", "use '"),
        (((),), {}, "an optimizer is one of", "''", "use 'adamw'"),
        ((7,), {}, "an optimizer is one of", "7", "use 'adamw'"),
        (("adam", 0), {}, "trainings counts full trainings", "trainings=0", "use trainings=30"),
        (("adam", "many"), {}, "trainings counts full trainings", "'many'", "use trainings=30"),
        (("adam",), {"weight_decy": True}, "one of the catalogue's", "'weight_decy'", "use weight_decay"),
        (("adam",), {"learning_rate": True}, "one of the catalogue's", "'learning_rate'", "use lr"),
        (("adam",), {"hidden_size": True}, "one of the catalogue's", "'hidden_size'", "use units,"),
        (("adam",), {"kernel": Int(3, 7)}, "one of the catalogue's", "'kernel'", "Space(**catalogue.space().params"),
        (("adam",), {"momentum": True}, "momentum belongs to momentum, nesterov", "'adam'", "optimizer='momentum'"),
        (("sgd",), {"beta1": 0.9}, "beta1 belongs to adam, adamw, nadam", "'sgd'", "optimizer='adam'"),
        (("sgd",), {"lr": (1, 2, 3)}, "a number or (low, high)", "(1, 2, 3)", "use lr=(0.001, 1.0)"),
        (("sgd",), {"lr": "small"}, "a number or (low, high)", "'small'", "use lr=(0.001, 1.0)"),
        (("sgd",), {"dropout": 1.5}, "in 0..1", "dropout=1.5", "use dropout=(0.0, 0.7)"),
        (("sgd",), {"dropout": (0.1, True)}, "in 0..1", "(0.1, True)", "use dropout=(0.0, 0.7)"),
        (("sgd",), {"lr": (1.0, 0.1)}, "low is below high", "1.0, 0.1", "use Float(0.1, 1.0, scale='log')"),
        (("sgd",), {"lr": (0, 0.1)}, "low > 0", "0.0..0.1", "zero=True"),
        (("adam",), {"beta1": (0.9, 1)}, "high < 1", "0.9..1.0", "use Float(0.9, 0.999"),
        (("sgd",), {"batch_size": (100, 512)}, "powers of two", "100", "use 128"),
        (("sgd",), {"batch_size": 6.5}, "whole numbers", "6.5", "int(6.5)"),
        (("sgd",), {"activation": "rlu"}, "activation is one of", "'rlu'", "use relu"),
        (("sgd",), {"activation": ("relu",)}, "two or more options", "'relu'", "your own code"),
        (("sgd",), {"units": "per_layer"}, "needs layers", "layers=None", "add layers=(1, 4)"),
        (("sgd",), {"units": "each"}, "a number or (low, high)", "'each'", "use units=(16, 1024)"),
    ],
)
def test_a_mistake_is_told_in_one_sentence_rule_value_remedy(args, include, rule, value, remedy):
    with pytest.raises(SpaceError) as error:
        space(*args, **include)
    message = str(error.value)
    assert rule in message
    assert value in message
    assert remedy in message
    assert message.endswith(".")
    assert "\n" not in message


def test_unknown_names_are_told_everywhere():
    for ask in (describe, rows):
        with pytest.raises(SpaceError, match="use dropout"):
            ask("drop_out")
    with pytest.raises(SpaceError, match="use one of optimizer, lr"):
        describe("qqq")
    with pytest.raises(SpaceError, match="use 'adam'"):
        defaults("Adam")


# --- the printed catalogue ---


def test_rows_are_words_one_for_each_range():
    assert {len(row) for row in rows()} == {len(COLUMNS)}
    assert {row[0] for row in rows()} == set(CATALOGUE)
    assert rows("beta1") == [
        ("beta1", "adam, adamw, nadam", "β₁", "0.9", "0.5..0.999", "one_minus_log", "0..0.9999",
         "decay of the running mean of gradients"),
    ]  # fmt: skip
    owners = [o for row in rows("lr") for o in row[1].split(", ")]
    assert sorted(owners) == sorted(OPTIMIZERS)


@pytest.mark.parametrize("name", CATALOGUE)
def test_description_has_it_all(name):
    words, entry = describe(name), CATALOGUE[name]
    for part in (name, entry.symbol, entry.meaning, entry.depends, entry.source, "tuned: ", "default "):
        assert part in words


def test_page_is_not_stale():
    assert PAGE.read_text(encoding="utf-8") == page(), "stale: run python tests/test_catalogue.py"
    for name in CATALOGUE:
        assert f"\n## {name} (" in page()


def test_examples_in_the_docstrings_and_on_the_page_run():
    assert doctest.testmod(catalogue).failed == 0
    assert list(space("adamw", trainings=30)) == ["optimizer", "lr", "beta1", "eps"]
    assert list(space("adamw", trainings=30, eps=False, dropout=True)) == ["optimizer", "lr", "beta1", "dropout"]
    assert space("nesterov", lr=(1e-3, 3.0), batch_size=64).default["batch_size"] == 64
    assert "units_4" in space(("sgd", "adamw"), layers=(1, 4), units="per_layer")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")


def test_the_search_cannot_make_an_epoch_dearer_than_was_asked_for():
    made = space("adamw", batch_size=(32, 256), units=(16, 128), layers=(1, 4))
    assert made["batch_size"].legal == (32, 65536)
    assert made["units"].legal == (1, 128)
    assert made["layers"].legal == (1, 4)
    assert space("adamw", batch_size=1)["batch_size"].start == 1
