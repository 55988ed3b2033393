"""Scales: the law of each hyperparameter's draws, and how evenly the coarse round covers the cube."""

import math

import numpy as np
import pytest
from scipy import stats

from zeroin.search import coarse
from zeroin.space import Choice, Float, Int, Space

LEVEL = 0.001  # of each test of a law; draws are at a fixed seed, so a law that holds stays green


def uniform(n, seed=0):
    return np.random.default_rng(seed).random(n)


def logit(x):
    return math.log(x / (1 - x))


LAWS = {  # the distribution function of x in (a, b), written down from the definition of the scale
    "linear": lambda x, a, b: (x - a) / (b - a),
    "log": lambda x, a, b: math.log(x / a) / math.log(b / a),
    "log2": lambda x, a, b: math.log(x / a) / math.log(b / a),
    "one_minus_log": lambda x, a, b: math.log((1 - a) / (1 - x)) / math.log((1 - a) / (1 - b)),
    "logit": lambda x, a, b: (logit(x) - logit(a)) / (logit(b) - logit(a)),
}
RANGES = [
    ("linear", -3.0, 7.0),
    ("log", 1e-5, 1.0),
    ("log2", 0.25, 64.0),
    ("one_minus_log", 0.9, 0.9999),
    ("one_minus_log", 0.0, 0.999),
    ("logit", 0.001, 0.99),
]


@pytest.mark.parametrize(("scale", "low", "high"), RANGES)
def test_a_float_is_uniform_on_its_scale(scale, low, high):
    param = Float(low, high, scale=scale)
    drawn = np.array([param.value(u) for u in uniform(5000)])
    assert low <= drawn.min()
    assert drawn.max() <= high
    law = np.vectorize(lambda x: LAWS[scale](x, low, high))
    assert stats.kstest(drawn, law).pvalue > LEVEL / len(RANGES)
    assert (param.value(0.0), param.value(1.0)) == (low, high)
    assert param.value(0.25) == pytest.approx(float(np.quantile(drawn, 0.25)), rel=0.2)


@pytest.mark.parametrize(("scale", "low", "high"), RANGES)
def test_the_law_on_a_range_is_the_same_within_wider_limits(scale, low, high):
    wider = {"linear": (-30.0, 70.0), "log": (1e-9, 10.0), "log2": (0.125, 128.0), "logit": (1e-6, 0.999)}
    limits = wider.get(scale, (min(low, 0.5) - 0.5, 0.99999))
    param = Float(low, high, scale=scale, limits=limits)
    a, b = param.span(param.range)
    drawn = np.array([param.value(a + u * (b - a)) for u in uniform(2000, seed=1)])
    assert drawn.min() >= low * (1 - 1e-9) - 1e-12
    assert drawn.max() <= high * (1 + 1e-9)
    law = np.vectorize(lambda x: min(1.0, max(0.0, LAWS[scale](x, low, high))))
    assert stats.kstest(drawn, law).pvalue > LEVEL / len(RANGES)


def test_half_of_the_betas_lie_in_the_last_hundredth_under_one_minus_log():
    units = uniform(30_000)
    right, linear = Float(0.9, 0.999, scale="one_minus_log"), Float(0.9, 0.999)
    assert 0.49 <= np.mean([right.value(u) >= 0.99 for u in units]) <= 0.51
    assert np.mean([linear.value(u) >= 0.99 for u in units]) == pytest.approx(0.09, abs=0.005)


@pytest.mark.parametrize(
    ("param", "law"),
    [
        (Int(1, 6), dict.fromkeys(range(1, 7), 1 / 6)),
        (Int(-2, 2), dict.fromkeys(range(-2, 3), 1 / 5)),
        (Int(1, 9, scale="log"), {k: math.log((k + 0.5) / (k - 0.5)) / math.log(9.5 / 0.5) for k in range(1, 10)}),
        (Int(16, 512, scale="log2"), {2**k: 1 / 6 for k in range(4, 10)}),
        (Choice("a", "b", "c", None), dict.fromkeys(("a", "b", "c", None), 1 / 4)),
        (Choice(1, 2, 4, ordered=True), dict.fromkeys((1, 2, 4), 1 / 3)),
        (Choice(True, False), {True: 1 / 2, False: 1 / 2}),
    ],
)
def test_every_whole_number_and_option_is_as_likely_as_the_law_says_both_ends_too(param, law):
    n = 6_000
    drawn = [param.value((i + 0.5) / n) for i in range(n)]  # exact quantiles instead of chance
    assert set(drawn) == set(law)
    for value, share in law.items():
        assert drawn.count(value) / n == pytest.approx(share, abs=2 / n)


def test_an_exact_zero_has_a_tenth_of_the_draws_and_leaves_the_law_of_the_rest():
    param = Float(1e-6, 1e-1, scale="log", zero=True)
    drawn = np.array([param.value(u) for u in uniform(20_000)])
    assert np.mean(drawn == 0.0) == pytest.approx(0.1, abs=0.01)
    rest = drawn[drawn > 0]
    assert rest.min() >= 1e-6
    assert stats.kstest(rest, np.vectorize(lambda x: LAWS["log"](x, 1e-6, 1e-1))).pvalue > LEVEL


def test_the_middle_of_a_scale_is_where_a_person_would_put_it():
    assert Float(1e-4, 1.0, scale="log").start == pytest.approx(1e-2)
    assert Float(0.9, 0.999, scale="one_minus_log").start == pytest.approx(0.99)
    assert Float(0.01, 0.99, scale="logit").start == pytest.approx(0.5)
    assert Int(16, 1024, scale="log2").start == 128


# --------------------------------------------------------------------------------------------------- coarse round


def test_each_coordinate_of_the_coarse_round_is_uniform():
    points = coarse.points(0, 512, 8, seed=3)
    assert points.shape == (512, 8)
    assert points.min() > 0.0
    assert points.max() < 1.0
    for column in points.T:
        assert stats.kstest(column, "uniform").pvalue > LEVEL / 8
        assert np.abs(np.sort(column) - (np.arange(512) + 0.5) / 512).max() < 0.04  # far more even than chance


def test_the_coarse_round_is_uniform_over_seeds_at_any_index():
    for index in (0, 1, 7, 100):
        drawn = np.array([coarse.points(index, 1, 3, seed=s)[0] for s in range(120)])
        assert all(stats.kstest(column, "uniform").pvalue > LEVEL / 12 for column in drawn.T)


def discrepancy(points):
    """The star discrepancy of points [n, 2], exact: corners at all combinations of their coordinates."""
    xs, ys = (np.append(points[:, j], 1.0)[:, None, None] for j in (0, 1))
    xs, ys = xs.reshape(-1, 1), ys.reshape(1, -1)
    inside_x, inside_y = points[:, 0][:, None] <= xs.T, points[:, 1][:, None] <= ys
    closed = inside_x.T.astype(float) @ inside_y / len(points)
    opened = (points[:, 0][:, None] < xs.T).T.astype(float) @ (points[:, 1][:, None] < ys) / len(points)
    return float(max((closed - xs * ys).max(), (xs * ys - opened).max()))


@pytest.mark.parametrize("n", [12, 64])
def test_the_coarse_round_fills_the_square_more_evenly_than_chance(n):
    ours = [discrepancy(coarse.points(0, n, 2, seed=s)) for s in range(40)]
    chance = [discrepancy(np.random.default_rng(s).random((n, 2))) for s in range(40)]
    assert np.mean(ours) < (0.8 if n == 12 else 0.6) * np.mean(chance)


def test_more_points_extend_those_before():
    whole = coarse.points(0, 40, 5, seed=1)
    assert np.array_equal(np.vstack([coarse.points(0, 13, 5, seed=1), coarse.points(13, 27, 5, seed=1)]), whole)
    assert not np.array_equal(coarse.points(0, 40, 5, seed=2), whole)
    assert len(np.unique(whole, axis=0)) == 40
    wide = coarse.points(3, 4, 70, seed=0)  # beyond the primes
    assert wide.shape == (4, 70)
    assert np.array_equal(wide[1:2], coarse.points(4, 1, 70, seed=0))


def test_the_coarse_rounds_configs_follow_the_scale():
    space = Space(beta=Float(0.9, 0.999, scale="one_minus_log"))
    values = [space.config(u)["beta"] for u in coarse.points(0, 100, 1, seed=0)]
    assert 47 <= sum(v >= 0.99 for v in values) <= 53
