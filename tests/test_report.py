"""The report: its numbers exactly, its page in a real Chromium."""

import itertools
import math
import os
import random
import re
import shlex
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import zeroin as zi
from zeroin.budget import Budget
from zeroin.cli.options import changed_space
from zeroin.goal import BOUNDS, turned
from zeroin.header import Header
from zeroin.history import History, incumbent
from zeroin.nn.metrics import METRICS
from zeroin.plan import Plan
from zeroin.report.charts import axis_figure, curves_figure, progress_figure
from zeroin.report.compare import Stat
from zeroin.report.curves import search_epochs
from zeroin.report.nextranges import paste, wider
from zeroin.report.page import render
from zeroin.report.scores import score_axis
from zeroin.report.summary import summarise
from zeroin.report.thin import evenly
from zeroin.report.ticks import across, upwards
from zeroin.reporting import write_report
from zeroin.search.importance import importances
from zeroin.space import SCALES, Choice, Float, Int, Space
from zeroin.targets import Target
from zeroin.types import Advised, Asked, Ended, Importance, Job, Kind, Observation, Observed, Region, Status, Trial
from zeroin.winner import winner
from zeroin.wording import measured, value_words

CHROMIUM = shutil.which("chromium")
SPACE = Space(
    lr=Float(1e-4, 1.0, scale="log", limits=(1e-6, 10.0)),
    momentum=Float(0.5, 0.999, scale="one_minus_log", when={"optimizer": "sgd"}),
    decay=Float(1e-6, 0.1, scale="log", zero=True),
    layers=Int(1, 6),
    optimizer=Choice("sgd", "adamw"),
)
SGD = {"lr": 0.1, "momentum": 0.9, "decay": 0.0, "layers": 2, "optimizer": "sgd"}
ADAMW = {"lr": 0.01, "decay": 1e-3, "layers": 3, "optimizer": "adamw"}


def summarised(name, space, history, goal="minimize", trained="", importance=(), command="", **facts):
    """The summary of a study that a command began, or none."""
    plan = Plan(name, (), (1,), 1, Budget(), None, 0, 0, 0, None, 0, command=command, versions="zeroin 0.1.0")
    header = Header(name, goal, history.max_epochs, 7, space, **{"plan": plan} | facts)
    return summarise(header, history, trained, importance)


class Teller:
    """Tells a history by events, job by job."""

    def __init__(self, max_epochs=1):
        self.history, self.jobs = History(max_epochs), 0

    def job(self, trial, config, losses, *, start=0, kind=Kind.SCREEN, status=Status.DONE, note="", tests=(), why="w"):
        job = Job(self.jobs, trial, config, 0, start, start + max(len(losses), 1), kind, why)
        self.history.apply(Asked((job,)))
        for i, loss in enumerate(losses):
            metrics = {"test": tests[i]} if tests else {}
            self.history.apply(Observed(job.number, Observation(start + i + 1, loss, metrics)))
        self.history.apply(Ended(job.number, status, note, 2.0))
        self.jobs += 1

    def region(self, round, likely, why="it narrows", **ranges):
        self.history.apply(Asked((), Region(round, self.jobs, {**SPACE.ranges, **ranges}, likely, 0.1, why)))

    def pause(self, trial, why):
        self.history.apply(Asked((), None, {trial: why}))


@pytest.fixture
def told():
    """Trial 0 to the end, 1 paused, 2 diverged, 3 the best after carrying on; then the comparison."""
    t = Teller(4)
    t.job(0, SGD, [1.0, 0.8, 0.7, 0.75])
    t.job(1, ADAMW, [0.9, 0.85])
    t.pause(1, "chance to beat the best: 4 %")
    t.job(2, SGD | {"lr": 1.0}, [], status=Status.DIVERGED, note="loss is not finite")
    likely = {"lr": (1e-3, 0.1), "decay": (0.0, 1e-3), "layers": (2, 3), "optimizer": ("adamw",)}
    t.region(0, likely, "a tenth is likely", lr=(1e-5, 1.0))
    best = ADAMW | {"lr": 0.02, "layers": 4}
    t.job(3, best, [0.8, 0.6], kind=Kind.ZOOM, why="beats the best with 40 %")
    t.job(3, best, [0.4, 0.5], start=2, kind=Kind.ZOOM)
    for i, loss in enumerate((0.40, 0.44)):
        t.job(4 + i, best, [0.9, loss], kind=Kind.CONFIRM, tests=(0.0, loss + 0.1))
    for i, loss in enumerate((0.70, 0.80)):
        t.job(6 + i, SPACE.default, [loss, 0.9], kind=Kind.DEFAULT, tests=(loss + 0.2, 0.0))
    return t.history


def test_nothing_is_shaded_where_the_best_is_likely_without_a_hyperparameter():
    t = Teller(4)
    t.job(0, SGD, [1.0, 0.8])
    t.region(0, {"lr": (1e-3, 0.1), "momentum": (0.8, 0.9)})
    t.region(1, {"lr": (1e-3, 0.1)})
    summary = summarised("s", SPACE, t.history)
    plots = {plot.name: plot for plot in summary.axes}
    heights = {n: [s.y1 for s in axis_figure(plots[n], summary).layout.shapes] for n in ("lr", "momentum")}
    assert (1 in heights["lr"], 1 in heights["momentum"]) == (True, False)
    assert plots["momentum"].found == "best likely without it"


def test_why_the_luckiest_trial_is_not_the_best_is_told(told):
    assert summarised("s", SPACE, told).passed_over == ""
    t = Teller(4)
    t.job(0, SGD, [0.3])
    t.job(1, ADAMW, [0.4])
    assert summarised("s", SPACE, t.history).passed_over == ""  # nothing was trained afresh
    for number, (config, loss) in enumerate([(ADAMW, 0.4), (ADAMW, 0.42), (SGD, 0.6), (SGD, 0.7)]):
        t.job(2 + number, config, [loss], kind=Kind.CONFIRM)
    s = summarised("s", SPACE, t.history)
    assert s.best.trial == 1
    assert s.passed_over == (
        "In the search trial 0 had a better loss, 0.3; trained afresh, its config has 0.650 ± 0.071. "
        "In bold: the best config."
    )
    assert '<tr class="best"><th scope="row" class="number" data-name="trial">1</th>' in render(s)
    t.job(1, ADAMW, [0.3], start=1)
    assert summarised("s", SPACE, t.history).passed_over == ""  # as good as any


def test_the_best_of_fresh_seeds_is_in_the_table_however_it_ranks_there():
    t = Teller(1)
    for number in range(12):
        t.job(number, {**SGD, "lr": 0.1 + number}, [0.1 + number])
    for number, loss in enumerate((9.0, 9.0, 8.0, 8.0)):
        t.job(12 + number, {**SGD, "lr": 0.1 + 11 * (number // 2)}, [loss], kind=Kind.CONFIRM)
    s = summarised("s", SPACE, t.history)
    page = render(s)
    assert [row.trial for row in s.table] == [*range(10), 11]
    assert "The best 10 of the search" in page
    assert '<tr class="best"><th scope="row" class="number" data-name="trial">11</th>' in page


def test_best_table_and_cost_are_the_historys(told):
    s = summarised("s", SPACE, told, trained="one by one")
    assert (s.best.trial, s.best.score, s.best.best_epoch, s.best.epoch) == (3, 0.4, 3, 4)
    assert [(r.trial, r.score, r.epoch, r.ending) for r in s.table] == [
        (3, 0.4, 4, "to the end"),
        (0, 0.7, 4, "to the end"),
        (1, 0.85, 2, "paused"),
    ]
    assert s.table[0].why == "beats the best with 40 %"
    assert s.table[2].note == "chance to beat the best: 4 %"
    assert (s.cost.epochs, s.cost.trainings, s.cost.trials, s.cost.paused) == (10, 2.5, 4, 1)
    assert s.cost.epochs == told.spent
    assert s.cost.failures == {Status.DIVERGED: 1}
    assert (s.cost.seconds, s.cost.after_trials, s.cost.after_epochs, s.cost.running) == (18.0, 4, 8, 0)
    assert s.trained == "one by one"
    assert s.thinned == ()
    assert "5 hyperparameters" in s.plan
    assert "at most 4 epochs" in s.plan


def test_axis_positions_are_on_the_scale(told):
    lr, momentum, decay, layers, optimizer = summarised("s", SPACE, told).axes
    assert [p.trial for p in lr.points] == [0, 1, 2, 3]
    assert [p.position for p in lr.points] == pytest.approx([math.log(v) for v in (0.1, 0.01, 1.0, 0.02)])
    assert [p.score for p in lr.points] == [0.7, 0.85, None, 0.4]
    assert [p.epoch for p in lr.points] == [4, 2, 0, 4]
    assert [p.kind for p in lr.points] == [Kind.SCREEN] * 3 + [Kind.ZOOM]
    assert [t.label for t in lr.ticks] == ["1e-5", "1e-4", "0.001", "0.01", "0.1", "1"]
    assert [p.trial for p in momentum.points] == [0, 2]  # inactive elsewhere
    assert momentum.when == "only where optimizer=sgd"
    assert [p.position for p in momentum.points] == pytest.approx([-math.log(0.1)] * 2)
    assert [t.label for t in momentum.ticks] == ["0.9", "0.99", "0.999"]
    assert [p.position for p in layers.points] == [2, 3, 2, 4]
    assert [t.label for t in optimizer.ticks] == ["sgd", "adamw"]
    assert [round(p.position) for p in optimizer.points] == [0, 1, 0, 1]
    assert len({p.position for p in optimizer.points}) == 4  # jitter keeps them apart
    zero = decay.ticks[0]
    assert zero.label == "0"
    assert decay.points[0].position == zero.position < math.log(1e-6)


def test_regions_are_intervals_by_round(told):
    lr, momentum, decay, layers, optimizer = summarised("s", SPACE, told).axes
    places = [(i.round, *(round(math.exp(v), 9) for v in (i.low, i.high))) for i in lr.searched]
    assert places == [(-1, 1e-4, 1.0), (0, 1e-5, 1.0)]
    assert [(i.round, round(math.exp(i.low), 9), round(math.exp(i.high), 9)) for i in lr.likely] == [(0, 1e-3, 0.1)]
    assert lr.found == "best likely in 0.001..0.1"
    assert momentum.likely == ()
    assert decay.likely[0].low == decay.searched[0].low == decay.ticks[0].position  # the exact zero is in
    assert (layers.likely[0].low, layers.likely[0].high) == pytest.approx((1.7, 3.3))
    assert (optimizer.likely[0].low, optimizer.likely[0].high) == pytest.approx((0.6, 1.4))
    assert optimizer.found == "best likely adamw"


def test_the_coarse_round_does_not_say_where_the_best_lies():
    history = History(4)
    history.apply(Asked((), Region(0, 0, SPACE.ranges, SPACE.ranges, 1.0, "coarse round")))
    lr, *_, optimizer = summarised("s", SPACE, history).axes
    assert (lr.found, optimizer.found) == ("", "best likely any of them")


@pytest.mark.parametrize(
    ("options", "searched", "ticks", "angle"),
    [
        (("sgd", "adamw"), "sgd/adamw", 2, 0),
        (
            ("constant", "cosine", "one_cycle", "exponential", "step"),
            "constant/cosine/one_cycle/exponential/step",
            5,
            None,
        ),
        (tuple(f"o{i}" for i in range(200)), "o0/o1/…/o199 (200 options)", 24, None),
        (tuple(0.1234 + i * 1e-7 for i in range(14)), "0.1234", 14, None),
    ],
)
def test_options_have_room_below_their_picture(options, searched, ticks, angle):
    t = Teller()
    t.job(0, {"o": options[0]}, [1.0])
    s = summarised("s", Space(o=Choice(*options)), t.history)
    assert s.axes[0].words == f"searched {searched}"
    axis = axis_figure(s.axes[0], s).layout.xaxis
    assert (len(axis.ticktext), axis.tickangle) == (ticks, angle)


def test_an_exact_zero_is_among_what_was_searched(told):
    assert {a.name: a for a in summarised("s", SPACE, told).axes}[
        "decay"
    ].words == "log scale · searched 1e-6..0.1 or 0"


def test_curves_and_progress(told):
    s = summarised("s", SPACE, told)
    assert [(c.trial, c.epochs, c.scores, c.ending, c.best) for c in s.curves.curves] == [
        (0, (1, 2, 3, 4), (1.0, 0.8, 0.7, 0.75), "to the end", False),
        (1, (1, 2), (0.9, 0.85), "paused", False),
        (3, (1, 2, 3, 4), (0.8, 0.6, 0.4, 0.5), "to the end", True),
    ]
    steps = [(p.spent, p.score, p.trial) for p in s.progress.steps]
    assert steps == [(1, 1.0, 0), (2, 0.8, 0), (3, 0.7, 0), (8, 0.6, 3), (9, 0.4, 3)]
    assert s.progress.spent == told.spent


def test_an_epoch_counts_once_where_a_job_ended_before_its_stop():
    history = History(4)
    for number, start, losses in ((0, 0, (0.9, 0.8)), (1, 2, (0.7,))):  # both were asked for up to epoch 4
        history.apply(Asked((Job(number, 0, {"lr": 0.1}, 0, start, 4, Kind.SCREEN, ""),)))
        for epoch, loss in enumerate(losses, start + 1):
            history.apply(Observed(number, Observation(epoch, loss)))
        history.apply(Ended(number, Status.DONE))
    assert [loss for _, loss in search_epochs(history)] == [0.9, 0.8, 0.7]


def test_comparison_and_verdict(told):
    s = summarised("s", SPACE, told)
    ours, default = s.comparison
    assert (ours.label, ours.trained, ours.score.n) == ("config of trial 3", 2, 2)
    assert ours.score.mean == pytest.approx(0.42)
    assert ours.score.sd == pytest.approx(math.sqrt(0.0008))
    assert ours.test.mean == pytest.approx(0.52)  # at the epoch of the lowest loss
    assert (default.label, default.score.mean) == ("default config", pytest.approx(0.75))
    assert default.test.mean == pytest.approx(0.95)
    assert s.verdict == (
        "Trained afresh twice, the config of trial 3 has a mean loss of 0.420 ± 0.028 (95 % sure: 0.166 to 0.674); "
        "the default config, twice, 0.750 ± 0.071: no clear difference (-0.330 ± 0.054 standard error)."
    )


@pytest.mark.parametrize(
    ("metric", "goal", "scores", "within"),
    [
        ("accuracy", "maximize", (0.98, 1.0), "0.863 to 1.000"),
        ("r2", "maximize", (0.98, 1.0), "0.863 to 1.000"),
        ("rmse", "minimize", (0.0, 0.02), "0.000 to 0.137"),
        ("loss", "minimize", (0.0, 0.02), "0.000 to 0.137"),
        ("mine", "maximize", (0.98, 1.0), "0.863 to 1.117"),
        ("accuracy", "maximize", (98.0, 100.0), "86.3 to 111.7"),  # one of the user's own, in per cent
    ],
)
def test_an_interval_ends_where_scores_do(metric, goal, scores, within):
    t = Teller()
    for i, score in enumerate((*scores, *scores)):
        t.job(i, SGD if i < 2 else ADAMW, [turned(goal, score)], kind=Kind.CONFIRM if i < 2 else Kind.DEFAULT)
    told = summarised("s", SPACE, t.history, goal, measure={"metric": metric, "loss": "cross_entropy"})
    assert [group.score.within for group in told.comparison] == [within, within]
    assert f"(95 % sure: {within})" in told.verdict


def test_the_bounds_of_every_metric_are_known():
    assert {*METRICS, "cross_entropy"} == {*BOUNDS}


def test_what_mattered_is_told_with_how_sure_the_model_is(tmp_path):
    space = zi.Space(x=zi.Float(0, 1), y=zi.Float(0, 1))
    study = zi.tune(lambda config: (config["x"] - 0.4) ** 2, space, trials=12, store=None)
    text = study.report(tmp_path / "r.html").read_text("utf-8")
    table = text[text.index('<table id="importance">') :].split("</table>")[0]
    rows = re.findall(r"<th[^>]*>(\w)</th><td[^>]*>(\d+) %</td><td[^>]*>(\d+) % to (\d+) %</td>", table)
    assert [name for name, *_ in rows] == ["x", "y"]
    assert all(int(low) <= int(mean) <= int(high) for _, mean, low, high in rows)


def test_a_default_that_has_not_ended_yet_is_not_said_to_have_failed():
    t = Teller()
    t.job(0, SGD, [0.4], kind=Kind.CONFIRM)
    t.history.apply(Asked((Job(1, 1, ADAMW, 0, 0, 1, Kind.DEFAULT, "w"),)))
    assert summarised("s", SPACE, t.history).verdict == ""


def test_a_config_that_fails_with_another_seed_stands_behind_the_winner():
    t = Teller()
    t.job(0, SGD, [0.4], kind=Kind.CONFIRM)
    t.job(1, SGD, [], kind=Kind.CONFIRM, status=Status.DIVERGED)
    t.job(2, ADAMW, [0.6], kind=Kind.CONFIRM)
    t.job(3, ADAMW, [0.5], kind=Kind.CONFIRM)
    best, fragile = summarised("s", SPACE, t.history).comparison
    assert best.config == winner(t.history) == ADAMW
    assert (fragile.config, fragile.trained, fragile.failed) == (SGD, 2, 1)


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ((0.4, 0.6, 0.45, 0.58), "no clear difference"),
        ((0.40, 0.44, 0.50, 0.54), "no clear difference"),  # 3.5 standard errors: of two trainings each not enough
        ((0.40, 0.44, 0.70, 0.74), "lower"),
    ],
)
def test_a_difference_is_called_clear_where_so_few_trainings_can_tell_it(losses, said):
    t = Teller()
    for i, loss in enumerate(losses):
        t.job(i, SGD if i < 2 else ADAMW, [loss], kind=Kind.CONFIRM if i < 2 else Kind.DEFAULT)
    assert said in summarised("s", SPACE, t.history).verdict.split(";")[1]


def test_what_to_do_next_is_said_in_the_words_of_where_the_study_began(told):
    steps = summarised("s", SPACE, told).next.steps
    assert steps[0].startswith("The best is not clearly better than the default")
    assert "`confirm=10`" in steps[0]
    assert "1 of 4 trials failed: the crosses show where." in steps
    s = summarised("s", SPACE, told, task="task.py", command="zeroin tune task.py --epochs 40")
    assert "`--confirm 10`" in s.next.steps[0]
    assert s.next.steps[-1].endswith("`zeroin audit task.py` looks for what is wrong with the network.")
    assert s.next.paste.splitlines()[0] == "zeroin tune task.py --epochs 40 --name NEW \\"
    assert "    --set lr=0.001..0.1 \\" in s.next.paste
    assert "    --fix optimizer=adamw" in s.next.paste
    page = render(s)
    for said in ("<code>--confirm 10</code>", "zeroin tune task.py --epochs 40</pre>", "seed 7 · zeroin 0.1.0"):
        assert said in page


def test_what_has_no_network_or_takes_more_than_a_word_is_not_to_be_audited(told):
    plan = Plan("s", (), (1,), 1, Budget(), None, 0, 0, 0, None, 0, command="zeroin tune s.csv --target y")
    for facts in ({"task": "s.csv", "plan": plan}, {"task": "f.py", "measure": {"objective": "f"}}):
        header = Header("s", "minimize", 4, 7, SPACE, **facts)
        assert summarise(header, told).next.steps[-1] == "1 of 4 trials failed: the crosses show where."


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([1.0] * 9 + [0.5] * 30, "Nothing better came in the last 29 of 39 trials"),
        ([1.0] * 36 + [0.5] * 3, "The best came after 37 of 39 trials, near the end"),
    ],
)
def test_it_says_whether_a_larger_budget_promises_more(losses, said):
    t = Teller()
    for i, loss in enumerate(losses):
        t.job(i, SGD, [loss])
    assert [step for step in summarised("s", SPACE, t.history).next.steps if said in step]


@pytest.mark.parametrize(
    ("epochs", "budget", "larger", "again"),
    [
        (4, Budget(trials=20), "`--trials 78` goes on", "`--confirm 5`, with a larger budget, trains"),
        (4, Budget(trials=40), "`--trials 78` goes on", "`--confirm 5` trains"),
        (4, Budget(epochs=39), "`--epochs 78` goes on", "`--confirm 5` trains"),
        (4, Budget(epochs=39, minutes=1.5), "`--epochs 78` `--minutes 1.5` goes on", "`--confirm 5` trains"),
        (1, Budget(minutes=10.0), "`--minutes 10` goes on", "`--confirm 5` trains"),
        (1, Budget(epochs=5), "`--epochs 78` goes on", "`--confirm 5`, with a larger budget, trains"),
    ],
)
def test_what_is_to_be_typed_goes_on_whatever_the_budget_was(epochs, budget, larger, again):
    t = Teller(epochs)
    for i, loss in enumerate([1.0] * 36 + [0.5] * 3):
        t.job(i, SGD, [loss])
    plan = Plan("s", (), (1,), 1, budget, None, 0, 0, 0, None, 0, command="zeroin tune s.py")
    steps = summarise(Header("s", "minimize", epochs, 7, SPACE, plan=plan), t.history).next.steps
    assert again in steps[0]
    assert larger in steps[1]


def test_a_loop_of_the_users_own_is_given_no_options_that_it_does_not_have():
    study = zi.Study(Space(x=Float(0.0, 1.0)), store=None)
    for i in range(12):
        study.tell(study.ask()[0], 1.0 if i < 11 else 0.5)
    steps = summarise(study.header, study.history).next.steps
    assert steps[0].endswith("luck: train it and the default again with fresh seeds.")
    assert steps[1].endswith("a larger budget may find a better one.")


def test_the_page_says_how_to_begin_anew_where_the_study_was_begun(told):
    for command, words in (
        ("zeroin tune a.py", "--name</code> or <code>--store"),
        ("python a.py", "name=</code> or <code>store="),
    ):
        page = render(summarised("s", SPACE, told, command=command))
        assert f"another <code>{words}</code> begins anew." in page


@pytest.mark.parametrize(
    ("slope", "said"), [(-0.1, "still improved at epoch 4 of 4"), (0.1, "at their best by epoch 1 of 4")]
)
def test_it_says_whether_trainings_were_long_enough(slope, said):
    t = Teller(4)
    for i in range(4):
        t.job(i, SGD, [1.0 + slope * e for e in range(4)])
    assert [step for step in summarised("s", SPACE, t.history).next.steps if said in step]


@pytest.mark.parametrize(
    ("param", "best", "expected"),
    [
        (Float(-5.0, 5.0), -5.0, lambda low, high: low < -5.5 and high == 5.0),
        (Int(-8, 8), -8, lambda low, high: low < -8 and high == 8),
        (Float(2.0, 10.0), 2.0, lambda low, high: low == 1.0 and high == 10.0),
        (Int(2, 3, scale="log"), 2, lambda low, high: low == 1 and high == 3),
        (Float(20.0, 30.0), 20.0, lambda low, high: low == 15.0 and high == 30.0),
        (Float(1e-5, 1.0, scale="log"), 1e-5, lambda low, high: low == 3.1e-8 and high == 1.0),
        (Float(0.5, 0.999, scale="one_minus_log"), 0.999, lambda low, high: low == 0.5 and high == 0.999956),
        (Float(0.1, 0.99, scale="logit"), 0.99, lambda low, high: low == 0.1 and 0.999 < high < 1.0),
    ],
)
def test_a_range_goes_on_beyond_the_end_that_the_best_lies_on_below_zero_too(param, best, expected):
    space = Space(x=param)
    assert expected(*wider(space, "x", Trial(0, {"x": best}, 1, Kind.ZOOM, ""), ()))


def test_options_with_commas_are_not_pasted_where_commas_part_options():
    space = Space(c=Choice("a,b", "c", "d"), x=Float(0.1, 0.9))
    best = Trial(0, {"c": "c", "x": 0.5}, 1, Kind.ZOOM, "")
    history = History(1)
    likely = {"c": ("a,b", "c"), "x": (0.4, 0.6)}
    history.apply(Advised((), Region(0, 0, space.ranges, likely, 1.0, "")))
    said = paste(space, history, best, (), "zeroin tune x.py")
    assert "x=0.4..0.6" in said
    assert "c=" not in said


@pytest.mark.parametrize(
    ("option", "change"),
    [
        (0.0, "--set o=0.0,0.5"),  # not 0, which is no option
        (0.1234567890123456, "--set o=0.1234567890123456,0.5"),
        ("x y", "--set 'o=x y,0.5'"),
        ("", ""),  # what cannot be told from nothing, or from another option, is left out
        ("None", ""),
        (True, "--set o=True,0.5"),
    ],
)
def test_options_are_pasted_as_what_they_are(option, change):
    space = Space(o=Choice(1, option, 0.5, None, "b"), x=Float(0.1, 0.9), **{"a=b": Float(0.0, 1.0)})
    best = Trial(0, {"o": option, "x": 0.5, "a=b": 0.5}, 1, Kind.ZOOM, "")
    history = History(1)
    likely = {"o": (option, 0.5), "x": (0.4, 0.6), "a=b": (0.4, 0.6)}
    history.apply(Advised((), Region(0, 0, space.ranges, likely, 1.0, "")))
    said = paste(space, history, best, (), "zeroin tune x.py")
    assert said == " \\\n    ".join(["zeroin tune x.py --name NEW", *filter(None, [change]), "--set x=0.4..0.6"])
    if change:
        options = tuple(word for word in shlex.split(said.replace("\\\n", " ")) if "=" in word)
        assert changed_space(Target("x", None, space), options, (), {})["o"].options == (option, 0.5)


def test_nothing_is_pasted_of_what_the_best_config_does_not_have():
    space = Space(o=Choice("a", "b"), norm=Choice("x", None, "y", when={"o": "b"}), x=Float(0.0, 1.0))
    history = History(1)
    likely = {"o": ("a",), "norm": ("x",), "x": (0.4, 0.6)}
    history.apply(Advised((), Region(0, 0, space.ranges, likely, 1.0, "")))
    said = paste(space, history, Trial(0, {"o": "a", "x": 0.5}, 1, Kind.ZOOM, ""), (), "zeroin tune x.py")
    assert "norm" not in said


def test_an_end_to_paste_is_legal_to_the_last_digit():
    space = Space(x=Float(-3.7, -3.7 + 0.3), y=Float(0.0, 1.0))
    best = Trial(0, {"x": -3.7 + 0.3, "y": 0.5}, 1, Kind.ZOOM, "")
    said = paste(space, History(1), best, (Importance("x", 0.0, 0.0, 0.0),), "zeroin tune x.py")
    assert changed_space(Target("x", None, space), (), (shlex.split(said)[-1],), {})["x"].fixed == -3.7 + 0.3


def test_a_best_beyond_a_range_changed_by_hand_is_not_said_to_lie_at_its_end():
    assert wider(Space(x=Float(0.0, 1.0)), "x", Trial(0, {"x": 1.5}, 1, Kind.ZOOM, ""), ()) is None


def test_no_ranges_are_pasted_that_leave_nothing_to_tune():
    space = Space(n=Int(1, 9), c=Choice("a", "b"))
    history = History(1)
    history.apply(Advised((), Region(0, 0, space.ranges, {"n": (2, 2), "c": ("a",)}, 1.0, "")))
    for command in ("zeroin tune x.py", ""):
        assert paste(space, history, Trial(0, {"n": 2, "c": "a"}, 1, Kind.ZOOM, ""), (), command) == ""


def test_a_value_to_paste_is_legal_at_an_end_of_many_digits():
    space = Space(x=Float(-2.0, -2 / 3), y=Float(0.0, 1.0))
    best = Trial(0, {"x": -2 / 3, "y": 0.5}, 1, Kind.ZOOM, "")
    names = {"space": space}
    exec(paste(space, History(1), best, (Importance("x", 0.0, 0.0, 0.0),), ""), names)
    assert names["space"]["x"].fixed == -2 / 3


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 8))])
def test_the_ranges_to_paste_are_taken_and_hold_the_best(seed):
    rng = random.Random(seed)
    low = rng.uniform(0.001, 2.0)
    space = Space(
        a=Float(low, low + rng.uniform(0.1, 5.0)),
        b=Float(1e-4, 1.0, scale="log", zero=True),
        c=Float(0.5, 0.999, scale="one_minus_log", when={"f": "x"}),
        d=Int(2, 2 ** rng.randint(3, 9), scale="log2"),
        e=Int(3, 300, scale="log"),
        f=Choice("x", "y", True),
        g=Float(0.1, 0.9, scale="logit"),
    )
    ends = {name: rng.choice(param.range) for name, param in space.params.items()}  # the best lies at an end of each

    def objective(config):
        near = (abs(space[n].unit(v) - space[n].unit(ends[n])) for n, v in config.items() if n != "f")
        return sum(near) + (config["f"] != ends["f"])

    study = zi.tune(objective, space, trials=40, store=None, playbook=False, seed=seed)
    mattered = importances(space, study.history)
    for command in ("", "zeroin tune x"):
        words = summarised("s", space, study.history, importance=mattered, command=command).next.paste
        if command:
            options = shlex.split(words.replace("\\\n", " "))[5:]
            given = {o: tuple(v for u, v in itertools.pairwise(options) if u == o) for o in ("--set", "--fix")}
            found = changed_space(Target("x", objective, space), given["--set"], given["--fix"], {})
        else:
            names = {"space": space}
            exec(words, names)
            found = names["space"]
        assert found != space
        little = {i.name for i in mattered if i.high < 0.05}  # held, to two digits
        for name, value in study.best.config.items():
            held = found[name].held and name in little
            assert found[name].allows(value) or held or value == 0


def test_events_in_words_and_in_order(told):
    lines = summarised("s", SPACE, told).events
    assert [(line.after, line.kind) for line in lines] == [(3, "paused"), (3, "region"), (3, "range"), (5, "failed")]
    assert [line.text for line in lines] == [
        "1 trial paused; trial 1 at epoch 2: chance to beat the best: 4 %",
        "Round 0: a tenth is likely",
        "lr: range moved from 1e-4..1 to 1e-5..1.",
        "1 trial diverged; first trial 2 (lr=1 momentum=0.9 decay=0 layers=2 optimizer=sgd): loss is not finite",
    ]


def test_a_range_changed_by_hand_did_not_move_before(tmp_path):
    given = {"trials": 20, "store": tmp_path / "z.db", "name": "s", "playbook": False}
    space = Space(x=Float(0.0, 1.0), o=Choice("a", "b"))
    zi.tune(lambda config: config["x"], space, **given)
    study = zi.tune(lambda config: config["x"], space.set("x", 0.0, 0.5).fix("o", "a"), **given)
    s = summarise(study.header, study.history)
    last = study.regions[-1]
    assert [line.text for line in s.events if line.kind == "range"] == [
        "x: range moved from 0..1 to 0..0.5.",
        "o: range moved from a/b to a.",
    ]
    assert (last.why, last.after) == ("changed by hand: x 0..1 -> 0..0.5; o a/b -> a", 20)
    assert {a.name: a.found for a in s.axes}["o"] == ""  # it is held


def test_maximize_shows_the_users_own_numbers():
    t = Teller()
    for i, accuracy in enumerate((0.5, 0.9, 0.8)):
        t.job(i, SGD, [-accuracy])
    s = summarised("s", SPACE, t.history, goal="maximize")
    assert (s.header.score_name, s.best.score, [r.score for r in s.table]) == ("score", 0.9, [0.9, 0.8, 0.5])
    assert [p.score for p in s.axes[0].points] == [0.5, 0.9, 0.8]
    assert [p.score for p in s.progress.steps] == [0.5, 0.9]
    assert s.scores.scale == "linear"
    assert s.scores.gutter < s.scores.low  # failures stand on the bad side


def _everything(summary):
    """Draw all; a picture without a number fails here."""
    for plot in summary.axes:
        axis_figure(plot, summary)
    curves_figure(summary)
    progress_figure(summary)
    return render(summary)


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
@pytest.mark.parametrize(
    "losses",
    [
        [],
        [None],
        [None] * 5,
        [0.5],
        [0.0, 0.0, 0.0],
        [0.5] * 40,
        [0.1, 0.2, 0.3, 0.4, 1e18],
        [1e-300, 1.0, 1e300],
        [-1e308, 1e308],
        [0.1, math.inf],
        [0.1, math.nan, 0.3],
    ],
    ids=str,
)
def test_strange_histories_are_told_too(losses, goal):
    t = Teller(3)
    for i, loss in enumerate(losses):
        t.job(i, SGD, [] if loss is None else [loss], status=Status.FAILED if loss is None else Status.DONE)
    s = summarised("s", SPACE, t.history, goal=goal)
    page = _everything(s)
    assert ">What it cost</h2>" in page
    assert len(s.axes[0].points) == len(losses)
    heights = [p.height for a in s.axes for p in a.points]
    assert all(math.isfinite(h) for h in heights)


def test_a_running_study_is_told():
    t = Teller(4)
    t.job(0, SGD, [0.5, 0.4])
    t.history.apply(Asked((Job(1, 1, ADAMW, 0, 0, 4, Kind.SCREEN, "w"),)))
    s = summarised("s", SPACE, t.history)
    assert s.cost.running == 1
    assert [p.trial for p in s.axes[0].points] == [0]
    assert s.table[0].ending == "waiting"


def test_score_axis_clips_what_would_hide_the_rest():
    axis = score_axis([0.1, 0.12, 0.2, 0.25, 0.3, 0.3, 1e18], "minimize")
    assert axis.scale == "log"
    assert math.exp(axis.limit) < 100
    assert axis.beyond(1e18)
    assert not axis.beyond(0.3)
    assert axis.place(1e18) == axis.limit
    assert axis.note.startswith("1 of 7 trials lie above")
    assert "1e18" in axis.note
    reward = score_axis([200.0, 190.0, 180.0, -1e18], "maximize")
    assert reward.place(-1e18) == reward.limit > -1000
    assert "below" in reward.note


def test_score_axis_is_logarithmic_where_losses_spread():
    assert score_axis([0.01, 0.1, 1.0], "minimize").scale == "log"
    assert score_axis([0.1, 0.2, 1.0], "minimize").scale == "linear"
    assert score_axis([0.0, 0.1, 1.0], "minimize").scale == "linear"
    assert score_axis([0.01, 0.1, 1.0], "maximize").scale == "linear"


@pytest.mark.parametrize(
    ("scale", "low", "high", "whole", "labels"),
    [
        ("log", 1e-5, 1.0, False, "1e-5 1e-4 0.001 0.01 0.1 1"),
        ("log", 0.01, 0.2, False, "0.01 0.02 0.05 0.1 0.2"),
        ("log", 0.03, 0.04, False, "0.03 0.032 0.034 0.036 0.038 0.04"),
        ("log", 1e-30, 1e30, False, "1e-30 1e-20 1e-10 1 1e10 1e20 1e30"),
        ("log2", 16, 512, True, "16 32 64 128 256 512"),
        ("log2", 1, 2**20, True, "1 16 256 4096 65536 1048576"),
        ("one_minus_log", 0.5, 0.999, False, "0.9 0.99 0.999"),
        ("one_minus_log", 0.9, 0.99, False, "0.9 0.95 0.98 0.99"),
        ("logit", 0.001, 0.999, False, "0.001 0.01 0.1 0.5 0.9 0.99 0.999"),
        ("linear", 0, 1, False, "0 0.2 0.4 0.6 0.8 1"),
        ("linear", 1, 6, True, "1 2 3 4 5 6"),
        ("linear", -3, 1e6, False, None),
    ],
)
def test_ticks_are_round_and_have_room(scale, low, high, whole, labels):
    forward = SCALES[scale].forward
    ticks = across(SCALES[scale], float(forward(low)), float(forward(high)), whole=whole)
    if labels:
        assert " ".join(t.label for t in ticks) == labels
    assert 2 <= len(ticks) <= 7
    assert all(a.position < b.position for a, b in itertools.pairwise(ticks))
    assert len(upwards(SCALES["linear"], 0.0, 2.5)) >= 3


def test_numbers_as_text():
    assert [value_words(v) for v in (0.0, 1e-4, 0.001, 123.456, 99999.0, 1e5, 0.99995, -2e-9, None, "x")] == [
        *("0", "1e-4", "0.001", "123.5", "99999", "1e5", "0.99995", "-2e-9", "None", "x")
    ]
    assert measured(0.5, 0.0) == "0.5"
    assert measured(123456.0, 10.0) == "1.235e5 ± 10"
    assert Stat(0.42, 0.0283, 2).words == "0.420 ± 0.028"
    assert evenly(range(5), 0) == []


def many(n, epochs=2):
    t = Teller(epochs)
    for i in range(n):
        unit = (i * 0.6180339887) % 1.0
        config = SGD | {"lr": 10 ** (-4 * unit), "layers": 1 + i % 6}
        failed = i % 50 == 7
        losses = [] if failed else [abs(unit - 0.3) + 1 / e + 0.01 for e in range(1, epochs + 1)]
        t.job(i, config, losses, status=Status.DIVERGED if failed else Status.DONE)
        if i % 400 == 0:
            t.region(i // 400, {"lr": (1e-3, 0.1)})
    return t.history


def test_many_trials_are_thinned_and_it_says_so():
    history = many(3000)
    s = summarised("s", SPACE, history)
    drawn = {p.trial for p in s.axes[0].points}
    best = sorted((t for t in history.trials if t.loss is not None), key=lambda t: (t.loss, t.number))
    assert len(drawn) == 2000
    assert {t.number for t in best[:500]} <= drawn
    assert len(s.curves.curves) == 200
    assert s.thinned[:2] == (
        "The axis plots draw 2,000 of 3,000 trials: the best 500, and evenly the others.",
        "200 of 2,940 learning curves are drawn: the best 50, and evenly the others.",
    )
    assert s == summarised("s", SPACE, history)


def test_rare_events_are_not_thinned_away():
    t = Teller()
    for i in range(300):
        t.job(i, SGD, [1.0])
        t.region(i, {}, lr=(1e-5 if i >= 150 else 1e-4, 1.0))
    t.job(300, SGD, [], status=Status.OUT_OF_MEMORY)
    s = summarised("s", SPACE, t.history)
    assert len(s.events) == 60
    assert [line.kind for line in s.events if line.kind != "region"] == ["range", "failed"]
    assert s.events[-1].text.startswith("1 trial ran out of memory; first trial 300")
    assert "60 of 302 events are told" in s.thinned[-1]


def test_long_curves_keep_their_ends_and_their_best():
    t = Teller(2000)
    losses = [1.0 + abs(e - 777) for e in range(1, 2001)]
    t.job(0, SGD, losses)
    (curve,) = summarised("s", SPACE, t.history).curves.curves
    assert len(curve.epochs) <= 201
    assert curve.epochs[0] == 1
    assert curve.epochs[-1] == 2000
    assert min(curve.scores) == 1.0


@pytest.mark.slow
def test_a_hundred_thousand_trials_take_seconds():
    history = many(100_000, epochs=1)
    began = time.process_time()
    page = render(summarised("s", SPACE, history))
    assert time.process_time() - began < 15
    assert len(page) < 12e6


def test_writing_replaces_the_file_at_once(told, tmp_path, monkeypatch):
    page = render(summarised("s", SPACE, told))
    path = write_report(tmp_path / "deep" / "report.html", page)
    assert path.read_text("utf-8") == page
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    monkeypatch.setattr("zeroin.atomic.os.fsync", lambda file: os.open("/nowhere", os.O_RDONLY))
    with pytest.raises(zi.StudyError, match="a report goes to a file that can be written"):
        write_report(path, "new")
    assert path.read_text("utf-8") == page
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_figures_stand_alone(told):
    """In a notebook a figure has its texts; in the page they are shared."""
    s = summarised("s", SPACE, told)
    texts = [t for trace in axis_figure(s.axes[0], s).data for t in trace.text or ()]
    assert any("trial 3" in t and "beats the best with 40 %" in t and "lr = 0.02" in t for t in texts)
    assert render(s).count("beats the best with 40 %") == 3  # the table, its data, and one hover text for all pictures


def nasty(text="</script><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"):
    space = Space(**{text: Float(0.0, 1.0), "kind": Choice(text, "b", "{{ 7 * 7 }}")})
    t = Teller(4)
    t.job(0, {text: 0.5, "kind": text}, [0.5, 0.4], why=text)
    t.job(1, {text: 0.7, "kind": "{{ 7 * 7 }}"}, [], status=Status.FAILED, note=text, why="{% raw %} & <b>")
    t.pause(0, text)
    likely = {text: (0.1, 0.2), "kind": (text,)}
    t.history.apply(Asked((), Region(0, 2, space.ranges, likely, 0.1, text)))
    t.job(2, {text: 0.5, "kind": text}, [0.5], kind=Kind.CONFIRM)
    return summarised(text, space, t.history, trained=text)


def test_no_text_of_the_user_becomes_markup():
    page = render(nasty())
    assert "document.title='broken'</script>" not in page
    assert "<img src=x" not in page
    assert "49" not in re.findall(r"<h3>.*?</h3>|<dd>.*?</dd>", page)


PROBE = """<script>addEventListener("load", () => {
  document.documentElement.dataset.loaded = document.documentElement.dataset.drawn;
});
setTimeout(() => {
  for (const name of ["beforeprint", "afterprint"]) window.dispatchEvent(new Event(name));
  const cut = [...document.querySelectorAll(".scroll")].filter((e) => e.scrollWidth > e.clientWidth);
  document.documentElement.dataset.cut = cut.length;
  document.documentElement.dataset.beyond = document.documentElement.scrollWidth - window.innerWidth;
  const rows = [...document.querySelectorAll("#importance tr")].map((e) => e.getBoundingClientRect().height);
  document.documentElement.dataset.tallest = Math.max(0, ...rows);
  document.documentElement.dataset.requests = performance.getEntriesByType("resource").map((e) => e.name).join(" ");
}, 12000);</script></body>"""


def chromium(page, tmp_path, width=800):
    """The page's DOM when all is drawn, and what the console said."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    path = tmp_path / "page.html"
    path.write_text(page.replace("</body>", PROBE), "utf-8")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    flags += f"--window-size={width},600 --disable-component-update --disable-sync "
    flags += "--enable-logging=stderr --v=0 --virtual-time-budget=20000"
    command = [CHROMIUM, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def pictures(dom):
    """Marks and lines drawn, by the id of the picture."""
    parts = re.split(r'<div class="plot[^"]*" id="([\w-]+)"', dom)
    body = (text.split("</figure>")[0] for text in parts[2::2])
    drawn = r'<path class="(?:point|js-line)"[^>]* d="M[^"]+"'
    return {name: len(re.findall(drawn, text)) for name, text in zip(parts[1::2], body, strict=True)}


@pytest.mark.slow
def test_the_page_draws_in_a_narrow_window_of_a_real_browser_without_a_network(told, tmp_path):
    mattered = [Importance(name, 0.0, 0.5, 1.0) for name in SPACE]
    dom, console = chromium(render(summarised("mnist", SPACE, told, importance=mattered)), tmp_path, width=400)
    assert console == []
    assert 'data-requests=""' in dom
    assert 'data-drawn="7"' in dom
    assert 'data-loaded="7"' in dom  # what prints the page or takes a picture of it waits for no more than this
    counts = pictures(dom)
    assert set(counts) == {*(f"axis-{i}" for i in range(5)), "curves", "progress"}
    assert counts["axis-0"] == 5  # four trials, the star
    assert counts["axis-1"] == 2  # where momentum is active: one with a loss, one diverged
    assert min(counts.values()) > 0
    assert 'data-cut="0"' in dom
    assert int(re.search(r'data-beyond="(-?\d+)"', dom)[1]) <= 0
    assert float(re.search(r'data-tallest="([\d.]+)"', dom)[1]) < 45  # names are not broken letter by letter


CLICKS = """<script>addEventListener("load", () => {
  const firsts = () => [...document.querySelectorAll("#table tbody th")].map((e) => e.textContent).join(" ");
  const said = document.documentElement.dataset;
  const head = (name) => [...document.querySelectorAll("#table thead button")].find((e) => e.textContent === name);
  said.few = firsts();
  head("lr").click();
  said.up = firsts() + document.querySelector("[aria-sort]").textContent;
  head("lr").click();
  said.down = firsts();
  document.getElementById("more").click();
  said.all = firsts();
  head("momentum").click();
  said.unknown = firsts();
  said.best = document.querySelectorAll("#table .best").length;
});</script></body>"""


@pytest.mark.slow
def test_trials_are_sorted_by_a_heading_and_all_of_them_shown(tmp_path):
    t = Teller()
    for i in range(12):
        config = (SGD if i % 2 else ADAMW) | {"lr": 10.0 ** (-i % 5 - 6), "layers": 1 + i % 6}
        t.job(i, config, [] if i == 3 else [1.0 + i], status=Status.FAILED if i == 3 else Status.DONE, note="x\n")
    page = render(summarised("s", SPACE, t.history))
    assert ">all 12 trials</button>" in page
    dom, console = chromium(page.replace("</body>", CLICKS), tmp_path)
    assert console == []
    said = dict(re.findall(r'data-(few|up|down|all|unknown|best)="([^"]*)"', dom))
    lowest_first = sorted(range(12), key=lambda i: (-i % 5, i == 3, i))  # of the same lr the better first
    assert said["few"] == "0 1 2 4 5 6 7 8 9 10"
    assert said["up"] == " ".join(map(str, lowest_first[:10])) + "lr"
    highest_first = sorted(range(12), key=lambda i: (-(-i % 5), i == 3, i))
    assert said["down"] == " ".join(map(str, highest_first[:10]))
    assert said["all"] == " ".join(map(str, highest_first))
    assert said["unknown"].split()[:6] == ["1", "5", "7", "9", "11", "3"]  # then those without momentum
    assert said["best"] == "1"


def test_tables_say_what_their_rows_and_columns_are(told):
    mattered = [Importance("decay", 0.0, 0.5, 1.0)]
    page = render(summarised("s", SPACE, told, importance=mattered))
    tables = re.findall(r"<table.*?</table>", page, re.DOTALL)
    assert len(tables) == 3
    for table in tables:
        head, body = table.split("</thead>")
        assert "<th>" not in table
        assert head.count('scope="col"') >= 3
        assert body.count('<th scope="row"') == body.count("<tr")
    linked = re.findall(r'<li><a href="#(\w+)">', page)
    assert linked[0] == "best"
    assert all(f'id="{name}"' in page for name in linked)


def test_what_matters_most_comes_first(told):
    mattered = [Importance("decay", 0.0, 0.5, 1.0), Importance("layers", 0.0, 0.1, 1.0)]
    names = [plot.name for plot in summarised("s", SPACE, told, importance=mattered).axes]
    assert names == ["decay", "layers", "lr", "momentum", "optimizer"]


def test_the_score_on_top_is_the_one_to_trust(told):
    s = summarised("s", SPACE, told, measure={"metric": "accuracy"})
    assert s.afresh.label == "config of trial 3"
    page = render(s)
    assert '<div class="score">0.420 <span>± 0.028</span></div>' in page
    assert "validation accuracy of 2 fresh trainings" in page
    assert "in the search 0.4 (trial 3, epoch 3 of 4)" in page
    assert not re.search(r"\bscore is\b|highest score", page.split("<script")[0])


def test_the_legend_tells_of_what_is_drawn(told):
    legend = re.search(r'<ul class="legend">.*?</ul>', render(summarised("s", SPACE, told)), re.DOTALL)[0]
    assert [word in legend for word in ("screen", "zoom", "explore", "start", "playbook", "failed", "likely")] == [
        *(True, True, False, False, False, True, True)
    ]


@pytest.mark.slow
def test_a_hostile_page_stays_text_in_a_real_browser(tmp_path):
    long = "<b>" + 200 * "y"
    for page in (render(nasty()), render(nasty(long))):
        dom, console = chromium(page, tmp_path)
        assert console == []
        assert int(re.search(r'data-beyond="(-?\d+)"', dom)[1]) <= 0  # nothing is wider than the window
    assert 'data-requests=""' in dom
    assert "<title>broken" not in dom
    assert min(pictures(dom).values()) > 0


@pytest.mark.slow
@pytest.mark.parametrize("count", [4, 18])
def test_no_table_is_cut_on_paper(count, tmp_path):
    space = Space(**{f"weight_decay_{i}": Float(1e-5, 1.0, scale="log") for i in range(count)})
    t = Teller(4)
    t.job(0, space.default | {"weight_decay_0": 1.234e-5}, [0.5, 0.4], why=12 * "a reason in words ")
    page = render(summarised("wide", space, t.history))
    dom, _ = chromium(page.replace("@media print", "@media all"), tmp_path)  # in a window as wide as paper
    assert 'data-cut="0"' in dom
    assert int(re.search(r'data-beyond="(-?\d+)"', dom)[1]) <= 0


def test_an_empty_page_opens_in_a_real_browser(tmp_path):
    dom, console = chromium(render(summarised("empty", SPACE, History(4))), tmp_path)
    assert console == []
    assert "No trial yet." in dom


def test_nothing_outside_plotly_names_an_address(told):
    from plotly.offline import get_plotlyjs

    page = render(summarised("s", SPACE, told))
    plotly = get_plotlyjs()
    assert page.count(plotly) == 1
    assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+|@import|url\(", page.replace(plotly, "")) == []
    assert incumbent(told).number == 3


def test_whole_numbers_beyond_64_bits_have_their_picture(tmp_path):
    space = Space(steps=Int(1, 10**30, scale="log"), width=Int(1, 2**70, scale="log2"))
    study = zi.tune(lambda config: math.log(config["steps"]), space, trials=4, store=None, playbook=False)
    assert study.report(tmp_path / "page.html").stat().st_size > 10_000


def test_a_pipe_is_written_to_and_a_link_followed_rather_than_replaced(told, tmp_path):
    text = render(summarised("s", SPACE, told))
    pipe, link, page = tmp_path / "pipe", tmp_path / "link.html", tmp_path / "page.html"
    os.mkfifo(pipe)
    page.write_text("old")
    link.symlink_to(page)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_text, "utf-8")
        write_report(pipe, text)
        assert read.result(10) == text
    write_report(link, text)
    assert link.is_symlink()
    assert page.read_text("utf-8") == text
