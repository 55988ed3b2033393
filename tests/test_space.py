"""The space: configs to the unit cube and back, conditions, files, changes by hand, mistakes in one sentence."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zeroin as zi
from zeroin.errors import SpaceError
from zeroin.space import Choice, Float, Int, Space

SCALED = st.sampled_from(
    [("linear", -5.0, 5.0), ("log", 1e-6, 10.0), ("log2", 0.5, 32.0), ("one_minus_log", 0.1, 0.9999),
     ("logit", 0.01, 0.995)]
)  # fmt: skip


@st.composite
def floats(draw):
    scale, low, high = draw(SCALED)
    zero = scale in ("log", "log2") and draw(st.booleans())
    limits = None
    if draw(st.booleans()):
        wide = {"linear": (-50.0, 9.0), "log": (1e-8, 10.0), "log2": (0.5, 64.0), "one_minus_log": (0.0, 0.99999)}
        limits = wide.get(scale, (0.001, 0.999))
    default = draw(st.sampled_from([None, low, high, *([0.0] if zero or scale == "linear" else [])]))
    fixed = draw(st.sampled_from([None, None, None, high, *([0.0] if zero else [])]))
    return {"low": low, "high": high, "scale": scale, "zero": zero, "limits": limits, "default": default,
            "fixed": fixed}  # fmt: skip


@st.composite
def ints(draw):
    scale = draw(st.sampled_from(["linear", "log", "log2"]))
    low = 4 if scale == "log2" else draw(st.integers(1 if scale == "log" else -3, 5))
    high = 64 if scale == "log2" else low + draw(st.integers(1, 200))
    limits = draw(st.sampled_from([None, (2, 128) if scale == "log2" else (low, high + 9)]))
    return {"low": low, "high": high, "scale": scale, "limits": limits, "default": draw(st.sampled_from([None, low])),
            "fixed": draw(st.sampled_from([None, None, high]))}  # fmt: skip


OPTIONS = st.sampled_from([("a", "b"), (True, False), (1, 2, 4), (0.0, 0.5, "x"), ("a", None, 3), (1, True, "1")])


@st.composite
def spaces(draw):
    params = {}
    for i in range(draw(st.integers(1, 6))):
        when, parents = None, [n for n, p in params.items() if not isinstance(p, Float)]
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            values = params[parent].options if isinstance(params[parent], Choice) else params[parent].range
            picked = draw(st.lists(st.sampled_from(values), min_size=1, max_size=2))
            when = {parent: picked[0] if len(picked) == 1 else tuple(picked)}
        kind = draw(st.sampled_from(["float", "int", "choice"]))
        if kind == "choice":
            options = draw(OPTIONS)
            default = draw(st.sampled_from([None, *options]))
            fixed = draw(st.sampled_from([..., ..., ..., *options]))
            params[f"p{i}"] = Choice(*options, ordered=draw(st.booleans()), default=default, fixed=fixed, when=when)
        elif kind == "int":
            params[f"p{i}"] = Int(**draw(ints()), when=when)
        else:
            params[f"p{i}"] = Float(**draw(floats()), when=when)
    return Space(**params)


def same(a, b):
    """Whether two configs have the same names and values, floats to nine digits."""
    assert list(a) == list(b)
    for name in a:
        assert type(a[name]) is type(b[name]) or isinstance(a[name], float), (name, a, b)
        if isinstance(a[name], float) and not isinstance(b[name], str):
            assert b[name] == pytest.approx(a[name], rel=1e-9, abs=1e-12)
        else:
            assert a[name] == b[name]
    return True


@settings(max_examples=80, deadline=None)
@given(spaces(), st.integers(0, 2**31))
def test_a_config_and_its_point_in_the_cube_are_one(space, seed):
    points = np.random.default_rng(seed).random((6, len(space)))
    snapped = space.snap(points)
    for point, place in zip(points, snapped, strict=True):
        config = space.config(point)
        assert same(config, space.config(space.units(config)))
        assert np.allclose(space.units(config), place, atol=1e-6)
        assert same(config, space.config(place))
        assert space.check(config) == config
    assert np.allclose(space.snap(snapped), snapped, atol=1e-9)


@settings(max_examples=80, deadline=None)
@given(spaces())
def test_a_space_is_the_same_after_it_was_in_a_file(space):
    read = Space.from_json(json.loads(json.dumps(space.to_json(), allow_nan=False)))
    assert read == space
    assert read.to_json() == space.to_json()
    assert read.default == space.default
    assert list(read) == list(space)
    point = np.random.default_rng(1).random(len(space))
    assert read.config(point) == space.config(point)
    assert space.check(space.default) == space.default


@settings(max_examples=60, deadline=None)
@given(spaces(), st.integers(0, 2**31))
def test_a_config_has_a_hyperparameter_exactly_where_its_condition_holds(space, seed):
    for point in np.random.default_rng(seed).random((5, len(space))):
        config = space.config(point)
        for name, param in space.params.items():
            holds = all(
                parent in config
                and any(
                    config[parent] == v and (type(config[parent]) is type(v) or not isinstance(space[parent], Choice))
                    for v in (allowed if isinstance(allowed, tuple) else (allowed,))
                )
                for parent, allowed in (param.when or {}).items()
            )
            assert (name in config) == holds


def test_conditions_nest_and_an_inactive_parent_silences_its_children():
    space = Space(
        momentum=Float(0.5, 0.99, when={"optimizer": "sgd", "tuned": True}),
        optimizer=Choice("sgd", "adamw"),
        tuned=Choice(True, False, when={"optimizer": ["sgd"]}),  # a list will do
    )
    config = {"optimizer": "sgd", "tuned": True, "momentum": 0.7}
    assert space.check(config) == config
    assert set(space.check({"optimizer": "sgd", "tuned": False, "momentum": 0.7})) == {"optimizer", "tuned"}
    assert space.check({"optimizer": "adamw", "tuned": True, "momentum": 0.7}) == {"optimizer": "adamw"}
    seen = {tuple(sorted(space.config(u))) for u in np.random.default_rng(0).random((200, 3))}
    assert seen == {("optimizer",), ("optimizer", "tuned"), ("momentum", "optimizer", "tuned")}
    held = space.fix("optimizer", "adamw")  # so that no config has a momentum
    assert list(held.configs(held.ranges)) == [{"optimizer": "adamw"}]


def test_a_condition_on_one_of_many_whole_numbers_holds_for_no_other():
    space = Space(steps=Int(0, 10**6), rate=Float(0, 1, when={"steps": 500_000}))
    for steps, rate in ((500_000, 0.9), (500_003, 0.5)):  # 0.5 is the default
        assert np.isclose(space.snap(np.array([[space["steps"].unit(steps), 0.9]]))[0, 1], rate)


def test_numpy_numbers_and_lists_are_stored_and_compared_like_any_other():
    given = Space(
        a=Float(np.float32(0.5), np.float64(1.0), limits=[0.25, 2]),
        n=Int(np.int64(1), np.int32(8), default=np.int64(3)),
        c=Choice(*np.array([16, 32])),
    )
    plain = Space(a=Float(0.5, 1.0, limits=(0.25, 2)), n=Int(1, 8, default=3), c=Choice(16, 32))
    assert given == plain
    assert Space.from_json(json.loads(json.dumps(given.to_json()))) == plain


def test_numpy_numbers_stand_in_configs_and_changes_like_any_other():
    space = Space(a=Float(0.5, 1.0), n=Int(1, 8), c=Choice(16, 32))
    config = space.check({"n": np.int64(3), "c": np.int64(32), "a": np.float32(0.75)})
    assert json.loads(json.dumps(config)) == config == {"a": 0.75, "n": 3, "c": 32}
    assert type(space.check({"n": 3.0})["n"]) is int
    assert space.set("n", np.int64(2), np.int32(4)).fix("c", np.int64(16)) == space.set("n", 2, 4).fix("c", 16)


def test_an_option_that_is_no_longer_offered_lies_before_the_first():
    many = Choice(*range(12))
    assert many.value(many.unit("gone")) == 0


@pytest.mark.parametrize("default", [0.0, False, None, "x", 3])
def test_a_default_of_any_kind_outlives_a_file(default):
    options = ("first", 0.0, False, "x", 3)
    choice = Choice(*options, None) if default is None else Choice(*options, default=default)
    space = Space(a=choice, b=Float(1e-3, 1.0, scale="log", zero=True, default=0.0), c=Int(0, 3, default=0))
    read = Space.from_json(json.loads(json.dumps(space.to_json())))
    assert read == space
    assert read.default == {"a": "first" if default is None else default, "b": 0.0, "c": 0}


@pytest.mark.parametrize("param", [Float(0, 1, when={}), Int(1, 3, when={}), Choice(1, 2, when={})])
def test_a_condition_that_asks_for_nothing_is_none(param):
    assert param.when is None
    assert Space.from_json(Space(p=param).to_json())["p"] == param


def test_an_option_none_is_held_as_any_other():
    space = Space(x=Float(0, 1), norm=Choice("batch", None), eps=Float(0, 1, when={"norm": "batch"}))
    for held in (space.fix("norm", None), space.set("norm", None), Space.from_json(space.fix("norm", None).to_json())):
        assert held.default == {"x": 0.5, "norm": None}
        assert held["norm"].held
        assert held.config(np.full(3, 0.9))["norm"] is None
        assert held.set("norm", "batch", None) == space
    assert repr(held["norm"]) == "Choice('batch', None, fixed=None)"
    assert not Choice("a", "b", fixed=None).held  # where None is no option, it is held at none


def test_what_an_observation_means_does_not_change_with_the_range():
    """A config keeps its values whatever is set; only where the search looks changes."""
    space = Space(lr=Float(1e-4, 1e-1, scale="log", limits=(1e-6, 1.0)), n=Int(1, 8), o=Choice("a", "b", "c"))
    config = {"lr": 0.05, "n": 7, "o": "b"}
    for other in (space.set("lr", 1e-6, 1e-2), space.set("n", 1, 4).set("o", "a", "c"), space.fix("lr", 0.01)):
        assert np.isfinite(other.units(config)).all()
    other = Space(lr=Choice("a", "b"), n=Float(0.1, 1.0), o=Int(1, 3))  # even of another kind
    assert np.isfinite(other.units(config)).all()
    assert not ((other.units(config) >= 0) & (other.units(config) <= 1)).any()


def test_set_and_fix():
    space = Space(
        lr=Float(1e-4, 1e-1, scale="log", default=1e-2, limits=(1e-6, 1.0)),
        decay=Float(1e-5, 1e-1, scale="log", zero=True, default=0.0),
        n=Int(1, 8, default=2),
        o=Choice("a", "b", "c", default="b"),
    )
    assert space.set("lr", 1e-3, 10.0)["lr"].legal == (1e-3, 10.0)  # the search stays within what was asked for
    assert space.set("lr", 1e-3, 10.0)["lr"].default == 1e-2
    assert space.set("lr", 0.05, 0.1).default["lr"] == pytest.approx(math.sqrt(0.005))  # the old default lies outside
    assert space.set("decay", 1e-4, 1e-2).default["decay"] == 0.0
    assert space.set("decay", 0, 1e-2) == space.set("decay", 1e-5, 1e-2)  # the exact zero stays beside the range
    assert space.set("n", 3.0, 5.0)["n"].range == (3, 5)
    assert space.set("o", "a", "b")["o"].range == ("a", "b")
    assert space.set("o", "c").default["o"] == "c"
    assert space.set("n", 4, 4)["n"].range == (4, 4)
    held = space.fix("lr", 0.05).fix("o", "c").fix("decay", 0.0)
    points = np.random.default_rng(0).random((20, 4))
    assert all(c["lr"] == 0.05 and c["o"] == "c" and c["decay"] == 0 for c in map(held.config, points))
    assert held.set("lr", 1e-3, 1e-1)["lr"].fixed is None
    assert space["lr"].fixed is None  # the space itself never changes


def test_what_depends_on_values_that_are_no_longer_there_goes_with_them():
    space = Space(
        optimizer=Choice("sgd", "momentum", "adamw"),
        beta=Float(0, 1, when={"optimizer": "adamw"}),
        decay=Float(0, 1, when={"optimizer": ("momentum", "adamw")}),
        odd=Choice(1, 2, when={"beta": 0.5}),
        layers=Int(1, 4),
        units_3=Int(1, 9, when={"layers": (3, 4)}),
    )
    fewer = space.set("optimizer", "sgd", "momentum").set("layers", 1, 2)
    assert list(fewer) == ["optimizer", "decay", "layers"]
    assert fewer["decay"].when == {"optimizer": ("momentum",)}
    assert space.set("layers", 1, 4) == space.set("optimizer", *space["optimizer"].options) == space


def test_a_condition_may_be_a_range():
    units = [Int(1, 9, when={"layers": several}) for several in (range(2, 4), (2, 3), [2, 3])]
    spaces = [Space(layers=Int(1, 3), units=each) for each in units]
    assert spaces[0] == spaces[1] == spaces[2] == Space.from_json(spaces[0].to_json())
    assert units[0].when == {"layers": (2, 3)}
    with pytest.raises(SpaceError, match="`when` asks for a value or several"):
        Int(1, 9, when={"layers": range(0)})


def test_a_space_is_printed_as_it_would_be_written():
    text = repr(Space(lr=Float(1e-4, 1.0, scale="log"), o=Choice("a", "b")))
    assert "lr=" in text
    assert "0.0001" in text
    assert "'a', 'b'" in text


@pytest.mark.parametrize("name", ["lr", "a b", "class", "x=1", "größe", "new\nline"])
def test_a_space_is_printed_as_python_whatever_its_names_and_values_are(name):
    space = Space(
        **{name: Float(0, 1)},
        held=Choice(True, False, fixed=False),
        first=Choice(True, False, default=False),
        zero=Float(0.1, 1.0, scale="log", zero=True, default=0.0),
        size=Choice("s", "m", ordered=True, when={"held": False}),
    )
    assert eval(repr(space)) == space


MISTAKES = [
    (lambda: Float(1.0, 0.1), "low is below high", "Float(1.0, 0.1)", "use Float(0.1, 1.0)"),
    (lambda: Int(5, 1), "low is below high", "Int(5, 1)", "use Int(1, 5)"),
    (lambda: Float(1.0, 1.0), "low is below high", "Float(1.0, 1.0)", "fixed=1.0"),
    (lambda: Float(0, 1, scale="log"), "needs low > 0", "0..1", "Float(1e-05, 1, scale='log', zero=True)"),
    (lambda: Float(-1, 1, scale="log2"), "needs low > 0", "-1..1", "zero=True"),
    (lambda: Int(0, 8, scale="log"), "needs low > 0", "0..8", "Int(1, 8, scale='log')"),
    (lambda: Float(0.9, 1.0, scale="one_minus_log"), "needs high < 1", "0.9..1.0", "Float(0.9, 0.999"),
    (lambda: Float(0.0, 1.0, scale="logit"), "0 < low and high < 1", "0.0..1.0", "Float(0.01, 0.99"),
    (lambda: Float(0, 1, scale="logarithmic"), "a scale is one of", "'logarithmic'", "use scale='log'"),
    (lambda: Float(float("nan"), 1), "finite number", "nan", "Float(1, 10)"),
    (lambda: Float(0, float("inf")), "finite number", "inf", "Float(1, 10)"),
    (lambda: Float("0", 1), "finite number", "'0'", "Float(1, 10)"),
    (lambda: Float(0, 1, zero=True), "zero=True adds an exact zero to a log scale", "Float(0, 1)", "scale='log'"),
    (lambda: Float(0, 1, default=2), "a default lies in its range", "default=2", "use 1"),
    (lambda: Float(0, 1, default="auto"), "a default lies in its range", "default='auto'", "use 0"),
    (lambda: Float(1e-3, 1, scale="log", default=0), "a default lies in its range", "default=0", "use 0.001"),
    (lambda: Int(1, 5, default=9), "a default lies in its range", "default=9", "use 5"),
    (lambda: Int(16, 64, scale="log2", default=24), "in its range and is a power of two", "default=24", "use 32"),
    (lambda: Int(1, 8, scale="log2", fixed=3), "in its range and is a power of two", "fixed=3", "use 4"),
    (lambda: Float(0, 1, default=float("nan")), "a default lies in its range", "default=nan", "use 0"),
    (lambda: Int(1, 10**400), "high is a finite number", "Int(1, 1000", "Int(1, 10)"),
    (lambda: Int(2**60, 2**60 + 8), "low is below high in twelve digits", "Int(1152921504606846976, ", "added to"),
    (lambda: Float(-1e308, 1e308), "a range is at most 1.8e+308 wide", "Float(-1e+308, 1e+308)", "a narrower one"),
    (lambda: Float(1e15, 1e15 + 10), "low is below high in twelve digits", "Float(1000000000000000.0, ", "added to"),
    (lambda: Float(0, 1, when={"o": ()}), "`when` asks for a value or several", "when={'o': ()}", "leave it out"),
    (lambda: Int(1.5, 3), "whole numbers", "low=1.5", "use Float"),
    (lambda: Int(1, 3, limits=(0.5, 3)), "whole numbers", "limits=0.5", "use Float"),
    (lambda: Int(True, 3), "whole numbers", "low=True", "use Float"),
    (lambda: Int(10, 512, scale="log2"), "powers of two", "10", "use 8"),
    (lambda: Int(1, 5, scale="logit"), "linear, log or log2", "logit", "use Float"),
    (lambda: Float(1, 2, limits=(1.5, 3)), "limits enclose the range", "(1.5, 3)", "limits=(1, 3)"),
    (lambda: Float(1, 2, limits=3), "limits are two numbers", "limits=3", "limits=(1, 2)"),
    (lambda: Float(0, 1, when="optimizer"), "`when` is", "'optimizer'", "when={"),
    (lambda: Choice("a"), "two or more options", "Choice('a')", "your own code"),
    (lambda: Choice("a", "b", "a"), "differ", "Choice('a', 'b', 'a')", "leave"),
    (lambda: Choice("a", len), "bool, int, float, str or None", "len", "name"),
    (lambda: Choice(["a", "b"]), "options are written one by one", "(['a', 'b'])", "use Choice('a', 'b')"),
    (lambda: Choice(["a"], ["b"]), "bool, int, float, str or None", "['a']", "name"),
    (lambda: Choice(float("nan"), 1.0), "an option equals itself", "nan", "'none'"),
    (lambda: Choice("a", "b", default="c"), "one of the options", "default='c'", "use 'a'"),
    (lambda: Choice("a", "b", default=["a"]), "one of the options", "default=['a']", "use 'a'"),
    (lambda: Space(), "at least one hyperparameter", "none", "Space(lr=Float("),
    (lambda: Space(lr=0.1), "Float, Int or Choice", "lr=0.1", "Float(low, high)"),
    (lambda: Space(b=Float(0, 1, when={"opt": "a"}), o=Choice("a", "b")), "`when` names another hyperparameter",
     "'opt'", "use one of o"),
    (lambda: Space(b=Float(0, 1, when={"o": "c"}), o=Choice("a", "b")), "a value that o can have",
     "'c'", "Choice('a', 'b')"),
    (lambda: Space(b=Float(0, 1, when={"o": {"a"}}), o=Choice("a", "b")), "a value that o can have",
     "{'a'}", "Choice('a', 'b')"),
    (lambda: Space(b=Float(0, 1, when={"o": 1}), o=Choice(True, False)), "a value that o can have", "1", "True"),
    (
        lambda: Space(a=Choice(1, 2, when={"b": 1}), b=Choice(1, 2, when={"a": 1})),
        "`when` is not circular", "a, b depend on each other", "leave out",
    ),
    (lambda: Space(a=Choice(1, 2, when={"a": 1})), "`when`", "a", "leave out"),
    (lambda: Space(x=Float(0, 1)).check({"y": 1}), "a config names hyperparameters of the space",
     "'y'", "leave it out"),
    (lambda: Space(x=Float(0, 1)).check([0.5]), "a dict of values by name", "[0.5]", "use {'x': ...}"),
    (lambda: Space(x=Float(0, 1)).check({"x": 2}), "within the legal limits", "x=2", "use x=0.5"),
    (lambda: Space(x=Float(0, 1)).check({"x": "a"}), "within the legal limits", "x='a'", "use x=0.5"),
    (lambda: Space(x=Float(0, 1)).check({"x": float("nan")}), "within the legal limits", "nan", "use x=0.5"),
    (lambda: Space(x=Choice("a", "b")).check({"x": ["a"]}), "within the legal limits", "x=['a']", "use x='a'"),
    (lambda: Space(x=Float(0, 1), y=Int(1, 2)).renamed({"x": "y"}), "a name of its own", "'y'", "use another"),
    (lambda: Space(x=Float(0, 1)).set("y", 0, 1), "the space has x", "'y'", "check the spelling"),
    (lambda: Space(x=Float(0, 1)).set("x", 3), "a range is low..high", "(3,)", "x=0..1, or fix it"),
    (lambda: Space(x=Float(0, 1)).set("x", "a", "b"), "a range is low..high", "'a'", "x=0..1"),
    (lambda: Space(x=Float(0, 1)).fix("x", 5), "a fixed value is a legal Float, 0..1", "x=5", "use x=0.5"),
    (lambda: Space(x=Choice("a", "b")).fix("x", "c"), "one of ('a', 'b')", "'c'", "use 'a'"),
    (lambda: Space(x=Choice("a", "b")).fix("x", ["a"]), "one of ('a', 'b')", "['a']", "use 'a'"),
    (lambda: Space(x=Choice("a", "b")).fix("x", None), "one of ('a', 'b')", "None", "use 'a'"),
    (lambda: Int(1, 4, limits=(1, 10**400)), "limits are two numbers", "limits=(1, 10000", "use limits=(1, 4)"),
    (lambda: Space(x=Int(1, 4)).set("x", 1, 10**400), "a range is low..high", "x=(1, 10000", "use x=1..4"),
    (lambda: Space(x=Int(1, 4)).check({"x": 10**400}), "within the legal limits", "x=1000", "use x=2"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "rule", "value", "remedy"), MISTAKES)
def test_a_mistake_is_told_in_one_sentence_rule_value_remedy(make, rule, value, remedy):
    with pytest.raises(SpaceError) as told:
        make()
    sentence = str(told.value)
    assert rule in sentence
    assert value in sentence
    assert remedy in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert isinstance(told.value, zi.ZeroinError)


@pytest.mark.parametrize("make", [m for m, *_ in MISTAKES[:9]])
def test_the_remedy_of_a_range_can_be_pasted(make):
    with pytest.raises(SpaceError) as told:
        make()
    for call in re.findall(r"use ((?:Float|Int)\([^)]*\))", str(told.value)):
        eval(call, {"Float": Float, "Int": Int})


def test_a_hyperparameter_may_have_any_name_and_a_whole_number_any_size():
    space = Space(**{"self": Int(1, 10**30, scale="log"), "学習率": Int(1, 2**70, scale="log2"), "a b": Int(0, 2**63)})
    for share in (0.0, 0.3, 1.0):
        config = space.config(np.full(3, share))
        assert space.check(config) == config
        assert all(isinstance(value, int) for value in config.values())
