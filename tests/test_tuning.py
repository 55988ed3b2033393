"""`tune`: the budget is kept, what goes on equals what was never broken, mistakes come before anything is stored."""

import asyncio
import json
import linecache
import math
import os
import subprocess
import sys
import time
import warnings
from collections import deque
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import zeroin as zi
from zeroin.budget import Budget
from zeroin.errors import StudyError, TaskError
from zeroin.executors.code import measure_with_file
from zeroin.executors.perform import perform
from zeroin.executors.simulated import Simulated
from zeroin.plan import Plan
from zeroin.running import run
from zeroin.search import QuasiRandom, Settings, Zoom
from zeroin.types import Asked, Ended, Job, Kind, Observation, Status

SPACE = zi.Space(
    lr=zi.Float(1e-4, 1.0, scale="log", default=1e-3),
    momentum=zi.Float(0.5, 0.999, scale="one_minus_log", default=0.9),
)


def plain(config):
    """A bowl, best at lr = 0.03 with momentum 0.95."""
    return 0.1 + math.log10(config["lr"] / 0.03) ** 2 + math.log10((1 - config["momentum"]) / 0.05) ** 2


def trained(config, run):
    """The same, coming down with the epochs; keeps its state, and repeats exactly from it."""
    file = run.checkpoint / "state"
    state = float(file.read_text()) if run.start else 3.0 + (run.seed % 7) / 100
    for _ in run.epochs():
        state = 0.6 * state + 0.4 * plain(config)
        run.report(state, accuracy=1 - state)
        file.write_text(repr(state))


def seen(study):
    return [(t.number, t.config, t.seed, t.kind, t.losses, t.metrics, t.status, t.why, t.paused) for t in study.trials]


class Slots:
    """An executor with several slots that ends its jobs in random order, all epochs of a job at once."""

    def __init__(self, objective, folder, slots, max_epochs, seed=0):
        self.objective, self.folder, self.slots, self.max_epochs = objective, folder, slots, max_epochs
        self.rng, self.waiting, self.most = np.random.default_rng(seed), deque(), 0

    def start(self, job, known):
        self.waiting.append((job, known))
        self.most = max(self.most, len(self.waiting))

    def wait(self, report):
        self.waiting.rotate(int(self.rng.integers(len(self.waiting))))
        job, known = self.waiting.popleft()
        return [perform(self.objective, job, self.folder, known, self.max_epochs, lambda s: report(job, s))]

    def close(self):
        self.waiting.clear()


def test_it_finds_the_bottom_of_a_bowl():
    study = zi.tune(plain, SPACE, trials=40, store=None)
    assert len(study.trials) == 40
    assert study.best.loss < 0.2 < plain(SPACE.default)
    assert study.best.loss == min(t.loss for t in study.trials)


def test_maximize_and_minimize_find_the_same():
    low = zi.tune(plain, SPACE, trials=20, store=None)
    high = zi.tune(lambda c: -plain(c), SPACE, trials=20, store=None, goal="maximize")
    assert [t.config for t in low.trials] == [t.config for t in high.trials]
    assert high.best.loss == -low.best.loss


@pytest.mark.parametrize("epochs", [1, 7, 24, 61, 120])
@pytest.mark.parametrize("confirm", [0, 3])
def test_the_budget_of_epochs_is_never_exceeded(epochs, confirm):
    study = zi.tune(trained, SPACE, max_epochs=8, epochs=epochs, store=None, confirm=confirm)
    total = sum(t.epoch for t in study.trials)
    assert total <= epochs
    assert study.history.spent == sum(t.epoch for t in study.trials if t.kind.is_search)
    after = [t for t in study.trials if not t.kind.is_search]
    assert sum(t.epoch for t in after) <= epochs / 3
    if confirm == 0 or epochs < 48:
        assert total == epochs  # all of it is used
        assert not after
    else:
        assert {t.kind for t in after} == {Kind.CONFIRM, Kind.DEFAULT}


@pytest.mark.parametrize("trials", [1, 5, 25])
def test_the_budget_of_trials_is_that_of_the_search(trials):
    study = zi.tune(plain, SPACE, trials=trials, store=None, confirm=2)
    assert sum(t.kind.is_search for t in study.trials) == trials
    assert sum(not t.kind.is_search for t in study.trials) <= trials / 3


def test_numbers_of_any_kind_are_a_budget_and_are_kept(tmp_path):
    budget = {"trials": np.int16(20), "minutes": np.float32(1), "trial_minutes": Fraction(1, 2), "confirm": np.int64(2)}
    zi.tune(trained, SPACE, max_epochs=8, **budget, store=tmp_path / "z.db", name="kinds", playbook=False)
    plan = zi.load("kinds", tmp_path / "z.db").header.plan
    assert (plan.budget.minutes, plan.budget.trial_minutes, plan.asked) == (1.0, 0.5, 2)


def test_a_larger_budget_goes_on_after_the_confirmation(tmp_path):
    store = tmp_path / "z.db"
    first = zi.tune(plain, SPACE, trials=12, store=store, confirm=2)
    assert any(not t.kind.is_search for t in first.trials)
    second = zi.tune(plain, SPACE, trials=20, store=store, confirm=2)
    assert sum(t.kind.is_search for t in second.trials) == 20
    third = zi.tune(plain, SPACE, trials=20, store=store, confirm=2)
    assert sum(t.kind.is_search for t in third.trials) == 20


def test_minutes_end_it_within_an_epoch():
    calls = []

    def slow(config, run):
        for _ in run.epochs():
            calls.append(1)
            run.report(1.0)

    study = zi.tune(slow, SPACE, max_epochs=10, minutes=1e-9, store=None)
    assert len(calls) <= 1
    assert len(study.trials) <= 1


def test_a_trial_that_takes_too_long_has_failed_and_keeps_what_it_showed(tmp_path):
    def heavy(config, run):
        for _ in run.epochs():
            time.sleep(0.4 if config["lr"] > 0.01 else 0)
            run.report(0.5 if config["lr"] > 0.01 else 1.0)

    slow = {"lr": 0.1, "momentum": 0.9}
    given = {"max_epochs": 8, "store": tmp_path / "z.db", "name": "s", "searcher": QuasiRandom()}
    study = zi.tune(heavy, SPACE.set("lr", 1e-4, 1e-2), **given, trials=2, trial_minutes=0.6 / 60)
    study = zi.tune(heavy, SPACE, **given, trials=3, trial_minutes=0.6 / 60, start=[slow])
    late = study.trials[-1]
    assert (late.config, late.status, late.losses, late.loss) == (slow, Status.TIMED_OUT, (0.5, 0.5), None)
    assert late.note.endswith(" s to epoch 2 of 8; a trial takes at most 0.01 minutes")
    assert study.history.seconds_of(late.number) > 0.8
    assert zi.load("s", tmp_path / "z.db").history.seconds_of(late.number) > 0.8
    assert study.best.loss == 1.0
    assert [t.status for t in study.trials[:-1]] == [Status.DONE] * 2


def test_minutes_of_a_trial_are_those_of_all_its_jobs():
    study = zi.Study(SPACE, max_epochs=4, store=None)
    (job,) = study.ask()
    study.observe(job, Observation(1, 0.5))
    study.record(Ended(job.number, Status.DONE, "", 50.0))
    carried = Job(1, 0, job.config, job.seed, 1, 4, Kind.ZOOM, "")
    study.record(Asked((carried,)))

    class Told:
        slots = 1

        def start(self, job, known):
            self.job = job

        def wait(self, report):
            assert report(self.job, Observation(2, 0.4, seconds=5.0))
            assert not report(self.job, Observation(3, 0.4, seconds=10.0))
            return [Ended(self.job.number, Status.DONE, "", 10.0)]

    run(study, Told(), study.searcher, Budget(trials=1, trial_minutes=57 / 60))
    assert study.trials[0].status is Status.TIMED_OUT
    assert study.trials[0].note.startswith("1 min")


@pytest.mark.parametrize(
    ("objective", "given"),
    [
        pytest.param(plain, {"trials": 30}, id="plain"),
        pytest.param(trained, {"max_epochs": 8, "epochs": 96, "confirm": 2}, id="epochs", marks=pytest.mark.slow),
    ],
)
def test_cut_anywhere_and_gone_on_it_equals_the_unbroken_run(tmp_path, objective, given):
    whole = zi.tune(objective, SPACE, **given, store=tmp_path / "whole.db", name="s", seed=3)

    class Cut(BaseException):
        """As a kill: no part of it is an outcome of a trial."""

    for cut in (1, 9, 30, 55):
        left = [cut]

        def listen(study, event, left=left):
            left[0] -= 1
            if left[0] == 0:
                raise Cut

        store = tmp_path / f"{cut}.db"
        with pytest.raises(Cut):
            zi.tune(objective, SPACE, **given, store=store, name="s", seed=3, listen=listen)
        again = zi.tune(objective, SPACE, **given, store=store, name="s", seed=3)
        assert seen(again) == seen(whole)
        assert again.regions == whole.regions
        assert again.best == whole.best


def test_a_finished_study_given_the_same_command_does_nothing_and_tells_the_same(tmp_path):
    given = {"max_epochs": 8, "epochs": 120, "confirm": 2, "store": tmp_path / "z.db"}
    first = zi.tune(trained, SPACE, **given)
    again = zi.tune(lambda c, run: 1 / 0, SPACE, **given, name="trained")
    assert seen(first) == seen(again)


@pytest.mark.parametrize("max_epochs", [None, pytest.param(8, marks=pytest.mark.slow)])
def test_eight_slots_are_kept_full_and_results_may_come_in_any_order(tmp_path, max_epochs):
    objective = trained if max_epochs else lambda config, _run: plain(config)
    executor = Slots(objective, tmp_path, 8, max_epochs or 1)
    study = zi.tune(objective, SPACE, max_epochs=max_epochs, epochs=20 * (max_epochs or 1), store=None, confirm=0,
                    executor=executor)  # fmt: skip
    assert executor.most == 8
    assert sum(t.epoch for t in study.trials) == 20 * (max_epochs or 1)
    assert len({tuple(t.config.items()) for t in study.trials}) == len(study.trials)
    assert study.best.loss < plain(SPACE.default)


def test_start_configs_and_fixed_hyperparameters():
    space = SPACE.fix("momentum", 0.95)
    study = zi.tune(plain, space, trials=10, store=None, start=[{"lr": 0.03}])
    assert study.trials[0].kind == "start"
    assert study.trials[0].config == {"lr": 0.03, "momentum": 0.95}
    assert all(t.config["momentum"] == 0.95 for t in study.trials)
    assert study.best.number == 0


def test_an_objective_may_change_its_config():
    def greedy(config):
        loss = plain(config)
        config.clear()
        return loss

    assert [t.config for t in zi.tune(greedy, SPACE, trials=12, store=None).trials] == [
        t.config for t in zi.tune(plain, SPACE, trials=12, store=None).trials
    ]


def test_trials_that_fail_are_data():
    def touchy(config):
        if config["lr"] > 0.3:
            return math.inf
        if config["lr"] < 1e-3:
            raise ValueError("too small")
        if config["momentum"] > 0.99:
            raise MemoryError
        return plain(config)

    study = zi.tune(touchy, SPACE, trials=40, store=None)
    assert {"done", "diverged", "failed"} <= {t.status for t in study.trials}
    assert study.best.loss < 0.5
    failed = next(t for t in study.trials if t.status == "failed")
    assert "ValueError: too small" in failed.note
    assert failed.loss is None


def test_numbers_of_any_kind_are_losses():
    kinds = (np.float32, np.float64, lambda v: np.array(v), lambda v: np.array([v]).mean(), int, lambda v: f"{v}")
    for kind in kinds:
        assert len(zi.tune(lambda c, kind=kind: kind(plain(c)), SPACE, trials=2, store=None).trials) == 2


# ------------------------------------------------------------------------------------------------------- mistakes


def none_needed():
    return 1.0


def three(config, run, more):
    return 1.0


def by_name(config, *, run):
    return 1.0


def yields(config):
    yield 1.0


async def waits(config):
    return 1.0


class Waits:
    async def __call__(self, config):
        return 1.0


@pytest.mark.parametrize(
    ("objective", "given", "rule", "value", "remedy"),
    [
        (plain, {"epochs": 0}, "a budget is positive", "epochs=0", "use epochs=100"),
        (plain, {"epochs": -5}, "a budget is positive", "epochs=-5", "use epochs=100"),
        (plain, {"trials": -1}, "a budget is positive", "trials=-1", "use trials=100"),
        (plain, {"minutes": -0.5}, "a budget is positive", "minutes=-0.5", "leave it out"),
        (plain, {"minutes": math.nan}, "a budget is positive", "minutes=nan", "leave it out"),
        (plain, {"epochs": math.inf}, "a budget is positive", "epochs=inf", "leave it out"),
        (plain, {"confirm": 1.5}, "counted from 0", "confirm=1.5", "confirm=0"),
        (plain, {"trials": "9"}, "a budget is positive", "trials='9'", "use trials=100"),
        (trained, {"trial_minutes": 0, "max_epochs": 2}, "a budget is positive", "trial_minutes=0", "trial_minutes=10"),
        (plain, {"trial_minutes": 3}, "looked at after each epoch", "trial_minutes=3", "give max_epochs"),
        (plain, {"trials": 2.5}, "whole numbers", "trials=2.5", "use trials=2"),
        (plain, {"confirm": -1}, "fresh seeds are counted from 0", "confirm=-1", "confirm=0 for none"),
        (plain, {"workers": 0}, "workers are counted from 1", "workers=0", "use workers="),
        (plain, {"workers": 10**6}, "at most 64 a core", "workers=1000000", "use workers="),
        (lambda c: 0.0, {"workers": 2}, "import the objective from its file", "lambda", "use workers=1"),
        (plain, {"max_epochs": 5}, "max_epochs is for an objective f(config, run)", "plain takes config", "add run"),
        (trained, {"max_epochs": 0}, "max_epochs is a whole number from 1", "max_epochs=0", "leave it out"),
        (trained, {"max_epochs": -1}, "max_epochs is a whole number from 1", "max_epochs=-1", "leave it out"),
        (plain, {"goal": "max"}, "a goal is 'minimize' or 'maximize'", "'max'", "goal='maximize'"),
        (none_needed, {}, "an objective is f(config) or f(config, run)", "none_needed needs 0", "lambda config"),
        (three, {}, "an objective is f(config) or f(config, run)", "three needs 3", "lambda config"),
        (by_name, {}, "an objective is f(config) or f(config, run)", "by_name needs run by name", "lambda config"),
        (yields, {}, "returns its loss when it is called", "yields is a generator", "use return"),
        (waits, {}, "returns its loss when it is called", "waits is a coroutine", "asyncio.run"),
        (Waits(), {}, "returns its loss when it is called", "is a coroutine", "asyncio.run"),
        (3, {}, "a function f(config) or a Task", "3", "tune(objective, space)"),
        (3, {"space": None}, "a function f(config) or a Task", "3", "tune(objective, space)"),
        (plain, {"space": None}, "tuned over a space", "none", "zi.Space(lr="),
        (plain, {"start": [{"width": 3}]}, "a config names hyperparameters", "'width'", "leave it out"),
        (plain, {"executor": "ray"}, "an executor has a method start", "'ray'", "leave it out"),
        (plain, {"searcher": "tpe"}, "a searcher has a method decide", "'tpe'", "leave it out"),
        (plain, {"listen": True}, "a listener is a function of (study, event)", "listen=True", "listen=display"),
        (plain, {"name": "a/b"}, "a study's name has", "'a/b'", "'a-b'"),
    ],
)
def test_a_mistake_is_told_before_anything_is_stored(tmp_path, objective, given, rule, value, remedy):
    given = {"space": SPACE, "store": tmp_path / "z.db"} | given
    with pytest.raises(zi.ZeroinError) as told:
        zi.tune(objective, **given)
    assert rule in str(told.value)
    assert value in str(told.value)
    assert remedy in str(told.value)
    assert "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_a_tasks_goal_is_its_metrics(tmp_path):
    class Judged:
        goal, max_epochs, name = "maximize", 2, "judged"

        def space_for(self, trainings):
            return SPACE

        def check(self, space):
            pass

        def executor(self, folder, **kwargs):
            raise AssertionError("it is refused before")

    with pytest.raises(StudyError, match=r"that of its metric; it is 'maximize', not 'minimize': leave goal= out"):
        zi.tune(Judged(), goal="minimize", store=tmp_path / "z.db")
    assert list(tmp_path.iterdir()) == []


def test_another_function_of_the_same_name_does_not_get_the_first_ones_results(tmp_path):
    def two(config):
        return 2.0

    store = tmp_path / "z.db"
    assert zi.tune(lambda c: 1.0, SPACE, trials=2, store=store).best.loss == 1.0
    with pytest.raises(
        StudyError, match=r"'study' in .* is of .*<lambda> in test_tuning \w+, not of .* name='study' to go"
    ):
        zi.tune(lambda c: 2.0, SPACE, trials=2, store=store)
    assert zi.tune(lambda c: 1.0, SPACE, trials=3, store=store).best.loss == 1.0
    assert len(zi.tune(lambda c: 2.0, SPACE, trials=4, store=store, name="study").trials) == 4
    zi.tune(two, SPACE, trials=2, store=store)
    two.__qualname__ = "elsewhere.two"
    with pytest.raises(
        StudyError, match=r"'two' in .* is of .*two in test_tuning, not of elsewhere.two in test_tuning: use an"
    ):
        zi.tune(two, SPACE, trials=2, store=store)


class Own:
    def __call__(self, config):
        return config["lr"]

    def name(self):
        raise AssertionError("it is the user's own")

    measure = scenario = name


def test_an_objective_may_have_methods_that_are_called_as_what_a_task_has(tmp_path):
    study = zi.tune(Own(), SPACE, trials=2, store=tmp_path / "z.db")
    assert study.name == "study"
    assert study.header.measure["objective"] == "Own"


def test_a_partial_is_known_by_the_file_of_its_function():
    assert measure_with_file(partial(plain))["function"] == "plain in test_tuning"
    of = measure_with_file(partial(partial(plain, data="cifar"), Path("a"), object(), folds=3))
    assert of["function"] == "plain('a', data='cifar', folds=3) in test_tuning"
    assert of["code"] != measure_with_file(partial(plain))["code"]
    files = (measure_with_file(partial(plain, data=data, folds=1)) for data in (["a"], ["b"]))
    assert next(files) != next(files)
    assert measure_with_file(partial(plain, data="a", folds=1)) == measure_with_file(partial(plain, folds=1, data="a"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("sizes", [(1e300, -1e300, 0.0, 1e-300), (1e308, 1.7e308), (-1e200, 1e200, 5e-324)])
def test_losses_as_large_as_numbers_can_be_warn_of_nothing(sizes):
    space = zi.Space(n=zi.Int(0, 8), x=zi.Float(0, 1))
    study = zi.tune(lambda config: sizes[config["n"] % len(sizes)], space, trials=30, store=None)
    assert study.best.loss == min(sizes)


def test_a_score_of_zero_is_shown_without_a_sign():
    study = zi.tune(lambda config: 0.0, SPACE, trials=3, store=None, goal="maximize")
    assert str(study.best.loss) == "0.0"
    assert {str(loss) for trial in study.trials for loss in trial.losses} == {"0.0"}


def test_whole_numbers_written_as_floats_will_do():
    study = zi.tune(trained, SPACE, max_epochs=4, epochs=2e1, store=None)
    assert sum(t.epoch for t in study.trials) == 20
    assert all(isinstance(job.stop, int) for job in study.history.jobs)


def test_an_objective_that_never_works_stops_the_study(tmp_path):
    calls = []

    def broken(config):
        calls.append(config)
        raise RuntimeError("no data at /nowhere")

    with pytest.raises(
        StudyError, match=r"all of the first 5 trials raised RuntimeError: no data at /nowhere .*: fix it"
    ):
        zi.tune(broken, SPACE, trials=50, store=tmp_path / "z.db")
    assert len(calls) == 5


def test_it_stops_a_study_of_many_workers_as_soon():
    table = Simulated(lambda config: [math.nan], slots=16)

    class Raising:
        slots, start, close = 16, table.start, table.close

        def wait(self, report):
            return [replace(ended, status=Status.FAILED, note="no data") for ended in table.wait(report)]

    with pytest.raises(StudyError, match="all of the first 5 trials failed, the last as no data: fix it"):
        zi.tune(lambda config: 0.0, zi.Space(x=zi.Float(0, 1)), trials=50, store=None, executor=Raising())


def test_failures_without_a_note_stop_the_study_in_a_sentence_too():
    class Silent(Simulated):
        def wait(self, report):
            return [replace(ended, status=Status.FAILED, note="") for ended in super().wait(report)]

    with pytest.raises(StudyError, match="all of the first 5 trials failed: fix it"):
        zi.tune(lambda config: math.nan, SPACE, trials=50, store=None, executor=Silent(lambda config: [1.0]))


@pytest.mark.slow
def test_a_study_goes_on_where_half_of_the_space_raises():
    """The first three may lie in that half by chance; a mistake of the user fails any number of times."""

    def objective(config):
        if config["x"] + 0.2 * config["y"] > 0.55:
            raise ValueError("shapes differ")
        return config["x"]

    space = zi.Space(x=zi.Float(0, 1), y=zi.Float(0, 1))
    ended = [zi.tune(objective, space, trials=12, store=None, seed=seed).trials for seed in range(20)]
    assert any(all(t.status is Status.FAILED for t in trials[:3]) for trials in ended)
    assert all(any(t.loss is not None for t in trials) for trials in ended)


def test_where_it_was_raised_is_told_also_without_a_store(tmp_path):
    def broken(config):
        return json.loads(config.keys())  # in a file of Python's own

    line = broken.__code__.co_firstlineno + 1
    with pytest.raises(
        StudyError, match=rf"raised TypeError: .* \(test_tuning.py, line {line}\): fix it, then use another name\.$"
    ):
        zi.tune(broken, SPACE, trials=50, store=None)
    with pytest.raises(
        StudyError, match=r"line \d+\): .* \(`zeroin export broken --json - --store .*z\.db` has the tr"
    ):
        zi.tune(broken, SPACE, trials=50, store=tmp_path / "z.db")


def test_sys_exit_in_an_objective_fails_its_trial_and_what_cancels_goes_through():
    def leaves(config):
        return sys.exit("no licence") if config["lr"] > 0.01 else 1.0

    study = zi.tune(leaves, SPACE, trials=12, store=None)
    assert {str(t.status) for t in study.trials} == {"done", "failed"}
    assert all("SystemExit: no licence" in t.note for t in study.trials if t.status == "failed")

    def cancelled(config):
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        zi.tune(cancelled, SPACE, trials=12, store=None)


def test_an_objective_may_go_to_another_folder(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)

    def wanders(config, run):
        os.chdir(tmp_path / "elsewhere")
        trained(config, run)

    given = {"max_epochs": 4, "epochs": 40, "playbook": False}
    study = zi.tune(wanders, SPACE, store="z.db", name="s", **given)
    assert Path.cwd() == tmp_path
    assert study.report() == Path("z.files/s/report.html")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert seen(study) == seen(zi.tune(trained, SPACE, store=None, **given))


def test_failures_are_told_at_the_end_where_nobody_listens(caplog):
    def flawed(config):
        if config["x"] > 0.5:
            raise KeyError("units")
        return config["x"]

    space = zi.Space(x=zi.Float(0, 1))
    study = zi.tune(flawed, space, trials=8, store=None)
    failed = sum(t.status is Status.FAILED for t in study.trials)
    assert f"'flawed': {failed} of 8 trials failed, the last with KeyError: 'units' (test_tuning.py, " in caplog.text
    caplog.clear()
    zi.tune(flawed, space, trials=8, store=None, listen=lambda study, event: None)
    assert not caplog.text


@pytest.mark.filterwarnings("ignore:a trial that is paused")
@pytest.mark.parametrize("raised", [KeyError("enough"), StudyError("enough")])
def test_what_a_listener_raises_ends_the_study_and_is_no_failure_of_its_trial(tmp_path, raised):
    def careful(config, run):
        for _ in run.epochs():
            try:
                run.report(plain(config))
            except Exception:
                run.report(9.0)

    def listen(study, event):
        if len(study.trials) == 3 and study.trials[2].losses:
            raise raised

    given = {"max_epochs": 4, "epochs": 20, "store": tmp_path / "z.db", "name": "s", "playbook": False}
    with pytest.raises(type(raised)) as caught:
        zi.tune(careful, SPACE, **given, listen=listen)
    assert caught.value is raised
    assert [t.status for t in zi.load("s", tmp_path / "z.db").trials] == [Status.DONE, Status.DONE, Status.RUNNING]
    assert seen(zi.tune(careful, SPACE, **given)) == seen(zi.tune(careful, SPACE, **given | {"store": None}))


def test_run_may_have_a_default_so_that_an_objective_can_be_called_alone():
    def objective(config, run=None):
        return [run.report(config["lr"]) for _ in run.epochs()] and None

    assert {t.epoch for t in zi.tune(objective, SPACE, max_epochs=4, epochs=20, store=None).trials} >= {1, 4}


def test_one_that_fails_after_it_worked_does_not():
    calls = []

    def later(config):
        calls.append(config)
        if len(calls) > 1:
            raise RuntimeError
        return 1.0

    assert len(zi.tune(later, SPACE, trials=12, store=None).trials) == 12


@pytest.mark.parametrize(
    ("objective", "sentence"),
    [
        (lambda config, run: [None for _ in run.epochs()], "each epoch reports its loss once"),
        (lambda config, run: [run.report("x") for _ in run.epochs()], "a reported loss is a number; got 'x'"),
        (
            lambda config, run: run.report({"loss": 1.0}),
            r"got \{'loss': 1.0\} of type dict: report float\(loss\['loss'\]\)",
        ),
        (lambda config, run: run.report((1.0, 2.0)), r"of type tuple: report float\(loss\[0\]\)"),
        (lambda config, run: run.report(np.zeros((90, 2))), r"^[^\n]* of type ndarray: report float\(loss.mean\(\)\)"),
        (lambda config, run: [run.report(1.0) for _ in range(9)], r"a job ends at run\.stop"),
    ],
)
def test_a_misused_run_stops_the_study_and_it_goes_on_when_mended(tmp_path, objective, sentence):
    given = {"space": SPACE, "max_epochs": 4, "epochs": 40, "store": tmp_path / "z.db", "name": "s"}
    with pytest.raises(TaskError, match=sentence):
        zi.tune(objective, **given)
    mended = zi.tune(trained, **given)
    assert mended.history.spent == 40
    assert not any(t.status.is_failure for t in mended.trials)


@pytest.mark.parametrize("works_until", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_a_search_where_nothing_works_any_more_ends_though_it_spends_no_epochs(tmp_path, works_until):
    def objective(config, run):
        for _epoch in run.epochs():
            run.report(1.0 if run.trial < works_until else math.nan)

    space = zi.Space(x=zi.Float(0, 1))
    given = {"max_epochs": 2, "epochs": 20, "store": tmp_path / "z.db", "playbook": False}
    with pytest.warns(UserWarning, match=r"the last 60 trials failed in their first epoch.*; the loss was not finite"):
        study = zi.tune(objective, space, **given)
    assert len(study.trials) == 60 + works_until
    with pytest.warns(UserWarning, match="the last 60 trials"):
        assert len(zi.tune(objective, space, **given).trials) == 120 + works_until  # it tries again


def test_it_ends_too_where_others_are_under_way_at_any_time():
    table = Simulated(lambda config: [math.nan], slots=5)
    with pytest.warns(UserWarning, match="the last 60 trials failed in their first epoch"):
        study = zi.tune(print, zi.Space(x=zi.Float(0, 1)), epochs=20, executor=table, store=None)
    assert 60 <= len(study.trials) <= 70


def test_the_plan_has_the_rungs_that_are_searched():
    plans = []
    for settings in (Settings(), Settings(rungs=1, eta=4)):
        zi.tune(
            trained, SPACE, max_epochs=16, epochs=32, store=None, searcher=Zoom(settings),
            listen=lambda _, told: plans.append(told) if isinstance(told, Plan) else None,
        )  # fmt: skip
    assert [plan.ladder for plan in plans] == [(2, 4, 8, 16), (4, 16)]


def test_the_plan_of_one_trial_counts_one():
    plans = []
    given = {"store": None, "minutes": 1, "listen": lambda _, told: plans.append(told) if isinstance(told, Plan) else 0}
    zi.tune(plain, zi.Space(lr=zi.Float(1e-4, 1.0, scale="log")), trials=1, **given)
    words = replace(plans[0], advised=3).words()
    assert ": 1 config. Begins with 1 config of the playbook, which did well in past studies. About 1 trial;" in words
    assert "At most 1 minute in all." in words
    carried_on = replace(plans[0], ladder=(1, 6), confirm=1)
    assert "About 6 epochs" in carried_on.words()


def test_the_plan_counts_what_follows_a_search_of_so_many_trials():
    plans = []
    given = {"store": None, "listen": lambda _, told: plans.append(told) if isinstance(told, Plan) else 0}
    study = zi.tune(plain, SPACE, trials=20, confirm=3, **given)
    assert "20 in all. Then up to 6 trainings: the best and the default with 3 fresh seeds." in plans[0].words()
    assert "About 26 trials;" in plans[0].words()
    assert len(study.trials) == 26
    assert "Goes on: 20 trials known. The search" in replace(plans[0], known=20, spent=20).words()


def test_the_plan_counts_what_can_differ_between_configs():
    plans = []
    own = {"optimizer": zi.Choice("sgd", "adamw", fixed="sgd"), "layers": zi.Int(1, 3, fixed=2), "lr": zi.Float(0, 1)}
    never = {"beta2": zi.Float(0, 1, when={"optimizer": "adamw"}), "eps": zi.Float(0, 1, when={"beta2": 0.5})}
    asked = zi.Space(**own, **never, units=zi.Int(1, 9, when={"layers": (2, 3)}))
    given = {"store": None, "listen": lambda _, told: plans.append(told) if isinstance(told, Plan) else 0}
    zi.tune(plain, asked, trials=1, **given)
    assert plans[0].hyperparameters == ("lr", "units")


def made(tmp_path, text):
    """A function `objective` of a file of this text."""
    (tmp_path / "own.py").write_text(text)
    linecache.checkcache()
    space = {}
    exec(compile(text, str(tmp_path / "own.py"), "exec"), space)
    return space["objective"]


BOWL = "def objective(config):\n    return config['lr'] ** 2\n"


READS = "def objective(config):\n    return config['lr'] ** 2 if data else 0.0\n"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (BOWL, BOWL, ""),
        (BOWL, BOWL.replace("    return", "    # the same\n\n    return"), ""),
        (BOWL, BOWL.replace("** 2", "** 4"), "has another code since its 3 trials"),
        (BOWL, BOWL.replace("objective", "other") + "objective = other\n", "has another name (other, not objective)"),
        ("data = 'a'\n" + READS, "data = 'b'\n" + READS, "an objective that has other data since its 3 trials"),
        ("data = [1]\n" + READS, "data = [1, 2]\n" + READS, ""),  # it may be what a run has counted
        (BOWL, "from functools import partial\n" + BOWL + "objective = partial(objective)", ""),
    ],
)
def test_an_objective_that_was_changed_is_told(before, after, words, tmp_path, caplog):
    given = {"store": tmp_path / "z.db", "name": "s", "space": SPACE}
    zi.tune(made(tmp_path, before), **given, trials=3)
    for trials in (4, 5):
        caplog.clear()
        study = zi.tune(made(tmp_path, after), **given, trials=trials)
        assert len(study.trials) == trials
        assert ("cannot be compared" in caplog.text) == bool(words and trials == 4)  # told once
        assert words in caplog.text or trials == 5


@pytest.mark.slow
def test_code_that_was_typed_in_is_known_and_is_the_same_in_every_process(tmp_path, caplog):
    def typed(text):
        space = {"__name__": "__main__"}
        exec(text, space)
        return space["objective"]

    given = {"store": tmp_path / "z.db", "name": "s", "space": SPACE}
    zi.tune(typed(BOWL), **given, trials=3)
    zi.tune(typed(BOWL), **given, trials=4)
    assert "another code" not in caplog.text
    zi.tune(typed(BOWL.replace("** 2", "** 4")), **given, trials=5)
    assert "another code since its 4 trials" in caplog.text

    code = (
        "from zeroin.executors.code import measure_of\n"
        "print(measure_of(lambda c: [n for n in c if n in {'a', 'b', 'c', 'd'}])['code'])"
    )
    seen = {
        subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, stdout=-1).stdout
        for seed in "123"
    }
    assert len(seen) == 1


def test_a_study_of_a_function_does_not_go_on_with_a_task(tmp_path):
    class Instead:
        def __init__(self):
            self.measure = {"metric": "r2"}

        def __call__(self, config):
            return 1.0

    zi.tune(plain, SPACE, store=tmp_path / "z.db", name="s", trials=2)
    with pytest.raises(StudyError, match=r"a study keeps its objective; .* has 'function', not 'Task'"):
        zi.tune(Instead(), SPACE, store=tmp_path / "z.db", name="s", trials=2)


def test_a_loss_with_a_gradient_is_a_number_and_warns_of_nothing():
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = zi.tune(
            lambda config: torch.tensor(config["x"], requires_grad=True),
            zi.Space(x=zi.Float(0, 1)),
            trials=2,
            store=None,
            playbook=False,
        )
    assert study.best.loss == pytest.approx(study.best.config["x"])


def test_what_began_a_study_is_kept(tmp_path, monkeypatch):
    def began(*words):
        monkeypatch.setattr("sys.argv", list(words))
        name = f"s{len(list(tmp_path.iterdir()))}-{len(words)}"
        zi.tune(lambda c: c["x"], zi.Space(x=zi.Float(0, 1)), trials=2, store=tmp_path / "z.db", name=name)
        return zi.load(name, tmp_path / "z.db").header.plan

    plan = began("/somewhere/bin/zeroin", "tune", "my task.py", "--epochs", "40")
    assert plan.command == "zeroin tune 'my task.py' --epochs 40"
    assert plan.versions.startswith("zeroin 0.")
    assert "numpy" in plan.versions
    assert began("own.py", "5").command == "python own.py 5"
    assert began("/x/site-packages/ipykernel_launcher.py", "-f", "k.json").command == ""
    assert began("").command == ""
