"""The playbook: what a study teaches, what a later one begins with, and that a misleading memory is overcome."""

import json
import math
import os
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import resources
from xml.etree import ElementTree

import numpy as np
import pytest

import zeroin as zi
from zeroin.errors import PlaybookError
from zeroin.header import Header
from zeroin.playbook import Lesson, Playbook, as_data, as_lessons, lesson_of, scenario_of
from zeroin.playbook.compare import compare
from zeroin.playbook.learning import goods
from zeroin.playbook.lesson import from_json, scores, to_json
from zeroin.playbook.picture import svg
from zeroin.playbook.pool import pooled
from zeroin.playbook.portfolio import advised, apart, fitted, greedy
from zeroin.playbook.ranges import corrected
from zeroin.playbook.scenario import weights
from zeroin.playbook.sentences import sentences
from zeroin.report.advice import advice
from zeroin.search import coarse, zoom
from zeroin.search.box import Box
from zeroin.search.model import build
from zeroin.search.rows import Memory
from zeroin.store import read_study
from zeroin.types import Kind

SPACE = zi.Space(
    lr=zi.Float(1e-5, 1.0, scale="log"),
    layers=zi.Int(1, 6),
    optimizer=zi.Choice("sgd", "adamw"),
)


def valley(centre):
    """Losses lowest where log10 lr is `centre`, with two layers, under adamw."""

    def objective(config):
        off = abs(math.log10(config["lr"]) - centre) / 2 + abs(config["layers"] - 2) / 4
        return 0.1 + off + (config["optimizer"] == "sgd")

    return objective


def studied(centre, name, space=SPACE, trials=24, sign=1.0, **more):
    return zi.tune(lambda c: sign * valley(centre)(c), space, trials=trials, name=name, **({"store": None} | more))


def learned(name, space, history, scenario):
    return lesson_of(Header(name, "minimize", history.max_epochs, 0, space, scenario=scenario), history)


def taught(centre, name, sign=1.0, trials=18):
    study = studied(centre, name, playbook=False, sign=sign, trials=trials)
    return learned(name, SPACE, study.history, scenario=scenario_of(None, SPACE, 1) | {"task": name})


def suggested(space, scenario, lessons):
    return advised(space, scenario, lessons).bets


@pytest.fixture(scope="module")
def lessons():
    return [taught(centre, f"past{i}") for i, centre in enumerate((-2.0, -2.4, -1.7))]


@pytest.fixture
def book(lessons, tmp_path):
    made = Playbook(tmp_path / "playbook.db", shipped=False)
    made.learn(*lessons)
    return made


def test_a_lesson_tells_what_worked_and_what_mattered(lessons):
    lesson = lessons[0]
    assert lesson.scores[0] == min(lesson.scores) < 0.05
    low, high = lesson.good["lr"]
    assert 1e-3 < low < 1e-2 < high < 1e-1
    assert lesson.good["optimizer"] == ("adamw",)
    assert min(lesson.importance.values()) > 0.1
    good, bad = {"lr": 0.01, "layers": 2, "optimizer": "adamw"}, {"lr": 1e-5, "layers": 6, "optimizer": "sgd"}
    ((at_good, at_bad),), _ = scores([lesson], [good, bad])
    assert at_good + 0.5 < at_bad


def test_a_lesson_is_plain_data_and_small(lessons):
    text = json.dumps(to_json(lessons[0]))
    again = from_json(json.loads(text))
    assert to_json(again) == to_json(lessons[0])
    assert len(text) < 10_000


def test_any_number_of_studies_may_make_the_same_playbook_at_once(lessons, tmp_path):
    some = [replace(lessons[0], name=f"study{i}") for i in range(8)]
    for i in range(5):
        book = Playbook(tmp_path / f"{i}.db", shipped=False)
        with ThreadPoolExecutor(len(some)) as pool:
            list(pool.map(book.learn, some))
        assert len(book.lessons()) == len(some)


def test_a_new_study_begins_with_what_did_well_before(book):
    study = studied(-2.2, "new", playbook=book)
    first = study.history.trials[3 : 3 + len(study.history.advice)]  # after three fresh ones
    assert 1 <= len(first) <= 3
    assert {t.kind for t in first} == {Kind.PLAYBOOK}
    assert all("did well in past" in t.why for t in first)
    assert min(t.loss for t in first) < 0.3
    fresh = [t for t in study.history.trials if t.kind is Kind.SCREEN]
    assert len(fresh) >= 3
    assert min(t.loss for t in first) < min(t.loss for t in fresh)


def by_epochs(book, centre):
    def objective(config, run):
        for _ in run.epochs():
            run.report(valley(centre)(config))

    return zi.tune(objective, SPACE, max_epochs=16, epochs=60, store=None, name="new", playbook=book)


def test_the_best_bets_go_on_to_the_full_budget_before_anything_else(book):
    jobs = [job for job in by_epochs(book, -2.2).history.jobs if job.kind is Kind.PLAYBOOK]
    assert [job.stop for job in jobs] == [2, 4, 8, 16] * 3


def test_the_coarse_round_ends_with_the_advice_where_that_holds(book, tmp_path):
    fresh = [job for job in by_epochs(book, -2.2).history.jobs if job.kind is Kind.SCREEN]
    assert len(fresh) == 3
    wrong = Playbook(tmp_path / "wrong.db", shipped=False)
    wrong.learn(taught(-2.2, "w", sign=-1.0, trials=12))
    misled = by_epochs(wrong, -2.2)
    begun = [job for job in misled.history.jobs if job.kind is Kind.SCREEN and (job.start, job.stop) == (0, 2)]
    assert len(begun) == 12  # as many as without advice
    assert any(job.stop == 1 for job in misled.history.jobs)  # it takes first looks, as a study without advice does
    further = [job for job in misled.history.jobs if job.kind is Kind.SCREEN and job.start > 0]
    assert all(misled.history.trials[job.trial].kind is Kind.SCREEN for job in further)


def test_advice_of_which_one_config_is_ahead_does_not_hold(tmp_path):
    mixed = Playbook(tmp_path / "mixed.db", shipped=False)
    mixed.learn(*(taught(centre, f"past{i}") for i, centre in enumerate((-2.2, -4.8, -0.2))))
    study = by_epochs(mixed, -2.2)
    advised = sorted(t.loss for t in study.trials if t.kind is Kind.PLAYBOOK)
    fresh = [t.loss for t in study.trials if t.kind is Kind.SCREEN]
    assert len(advised) == 3
    assert advised[0] < min(fresh[:3]) < advised[1]
    assert len(fresh) >= 6


def test_further_good_configs_are_leads_that_the_model_weighs(book, lessons, tmp_path):
    given = advised(SPACE, scenario_of(None, SPACE, 1), lessons)
    tried = [s.config for s in given.bets]
    assert len(given.leads) > 8
    assert not any(lead in tried for lead in given.leads)
    studied(-2.2, "new", playbook=book, store=tmp_path / "z.db", trials=12)
    history = read_study(tmp_path / "z.db", "new")[1]
    assert list(history.leads) == list(given.leads)  # kept with the study
    memory = Memory(SPACE, history, (1,))
    model = build(memory.rows(), memory)
    leads = np.array([SPACE.units(lead) for lead in history.leads])
    rng = np.random.default_rng(0)
    points, _ = zoom.candidates(model, Box.of(SPACE, SPACE.ranges), leads, rng, 1)
    assert all(np.abs(points - lead).max(1).min() < 1e-6 for lead in leads)


def test_the_default_is_a_bet_where_it_is_as_good_as_those_of_the_playbook(book):
    """At the lowest rung, beside them; where they are better it is left at that, as without anybody's default."""

    def jobs(lr):
        rate, depth = zi.Float(1e-5, 1.0, scale="log", default=lr), zi.Int(1, 6, default=2)
        named = zi.Space(lr=rate, layers=depth, optimizer=SPACE["optimizer"]).fix("optimizer", "adamw")

        def objective(config, run):
            for _ in run.epochs():
                run.report(valley(-2.2)(config))

        study = zi.tune(objective, named, max_epochs=16, epochs=60, store=None, name="new", playbook=book)
        assert study.history.advice
        return [job for job in study.history.jobs if job.trial == 0 and job.kind is Kind.SCREEN], study.history

    good, history = jobs(10**-2.2)
    all_jobs = history.jobs
    assert [job.stop for job in good] == [2, 4, 8, 16]
    assert "not worse than half of the playbook's" in good[1].why
    assert [job.number for job in good][1] < min(j.number for j in all_jobs if j.kind is Kind.PLAYBOOK and j.start > 0)
    bad, history = jobs(1e-5)
    assert len(bad) == 1
    kinds = [job.kind for job in history.jobs if job.start == 0]
    assert kinds[:6] == [Kind.SCREEN, Kind.PLAYBOOK, Kind.SCREEN, Kind.SCREEN, Kind.PLAYBOOK, Kind.PLAYBOOK]
    on = [job for job in history.jobs if job.kind is Kind.PLAYBOOK and job.start > 0]
    assert [job.stop for job in on] == [4, 8, 16]  # beside somebody's default the best of three
    assert {job.trial for job in on} == {min((t.loss, t.number) for t in history.trials if t.kind is Kind.PLAYBOOK)[1]}


def test_a_bet_that_looks_bad_at_once_is_not_trained_in_full(tmp_path):
    wrong = Playbook(tmp_path / "wrong.db", shipped=False)
    wrong.learn(taught(-2.2, "w", sign=-1.0, trials=12))
    jobs = [job for job in by_epochs(wrong, -2.2).history.jobs if job.kind is Kind.PLAYBOOK]
    assert jobs
    assert {job.stop for job in jobs} == {2}


def test_studies_of_one_name_that_end_at_once_teach_each_their_own(tmp_path):
    book = Playbook(tmp_path / "playbook.db", shipped=False)
    for centre in (-1.0, -2.0, -3.0):
        studied(centre, "study", trials=8, playbook=book)
    assert [lesson.name for lesson in book.lessons()] == ["study"] * 3


def test_what_does_not_fit_is_not_asked(lessons):
    other = zi.Space(temperature=zi.Float(0.0, 1.0), lr=zi.Float(1e-5, 1.0, scale="log"), size=zi.Int(1, 9))
    assert suggested(other, {}, lessons) == ()  # it knows one hyperparameter of three
    assert suggested(SPACE, {"optimizer": "sgd"}, lessons)  # those searched both
    only_sgd = SPACE.fix("optimizer", "sgd")
    assert all(s.config["optimizer"] == "sgd" for s in suggested(only_sgd, scenario_of(None, only_sgd, 1), lessons))


def test_own_names_mean_the_same_within_one_task_only(lessons):
    space = zi.Space(a=zi.Float(0.0, 1.0), b=zi.Float(0.0, 1.0))
    past = zi.tune(lambda c: abs(c["a"] - 0.3) + c["b"], space, trials=12, store=None, playbook=False)
    lesson = learned("past", space, past.history, scenario={"task": "mine"})
    assert suggested(space, {"task": "mine"}, [lesson])
    assert suggested(space, {"task": "another"}, [lesson]) == ()


def test_the_usual_hyperparameters_are_known_whatever_they_are_called(lessons):
    theirs = SPACE.renamed({"lr": "learning_rate", "layers": "num_layers", "optimizer": "opt"})
    usual, other = (advised(space, {}, lessons, tuple(space)) for space in (SPACE, theirs))
    names = ("learning_rate", "num_layers", "opt")
    assert [dict(zip(names, bet.config.values(), strict=True)) for bet in usual.bets] == [b.config for b in other.bets]
    assert usual.region.ranges["lr"] == other.region.ranges["learning_rate"] != SPACE.ranges["lr"]
    assert scenario_of(None, theirs.fix("opt", "sgd"), 1)["optimizer"] == "sgd"


def test_a_lesson_under_other_names_says_the_same(lessons):
    space = zi.Space(**SPACE.params, momentum=zi.Float(0.5, 0.99, when={"optimizer": "sgd"}))
    past = zi.tune(valley(-2.0), space, trials=18, store=None, playbook=False)
    lesson = learned("past", space, past.history, scenario={})
    other = lesson.as_in(["learning_rate", "opt", "width", "hidden"])
    configs = [
        {"learning_rate": 10**x, "lr": 1.0, "opt": o, "optimizer": o, "layers": 2}
        for x in (-4, -2)
        for o in ("sgd", "adamw")
    ]
    plain = [{**c, "lr": c["learning_rate"]} for c in configs]
    assert np.array_equal(scores([lesson], plain), scores([other], configs))
    assert other.space["momentum"].when == {"opt": "sgd"}
    assert list(other.lengths) == ["learning_rate", "layers", "opt", "momentum"]
    assert lesson.as_in(["a", "lr"]) is lesson
    assert lesson.as_in(["lr", "learning_rate"]) is lesson  # its own name is there


def test_studies_with_other_names_are_compared_in_one_row(lessons):
    first, second, third = lessons
    found = compare([first, second.as_in(["learning_rate", "depth"]), third])
    assert [row.name for row in found.rows] == [row.name for row in compare(lessons).rows]
    assert all(all(row.cells) for row in found.rows)


def test_values_far_outside_the_legal_limits_are_left_out():
    narrow = zi.Space(lr=zi.Float(1e-4, 1e-3, scale="log"), layers=zi.Int(1, 6))
    assert fitted(narrow, {"lr": 1.1e-3, "layers": 2})["lr"] == pytest.approx(1e-3)
    assert fitted(narrow, {"lr": 0.1, "layers": 2}) is None
    assert fitted(narrow, {"lr": 5e-4})["layers"] == narrow.default["layers"]


def test_advised_batches_and_widths_stay_within_the_declared_range():
    """A search that counts epochs does not see what one takes."""
    space = zi.catalogue.space("adamw", trainings=5, batch_size=(64, 512), units=zi.Int(32, 64, limits=(8, 512)))
    given = fitted(space, {"lr": 0.5, "batch_size": 16, "units": 256})
    assert (given["batch_size"], given["units"]) == (64, 64)
    assert given["lr"] == pytest.approx(0.5)  # beyond the declared range, legal
    assert fitted(space, {"lr": 0.5, "batch_size": 512, "units": 32})["batch_size"] == 512


def test_the_portfolio_is_picked_for_being_good_together():
    scores = np.array([[0.0, 1.0, 1.0], [0.3, 0.3, 0.3], [0.9, 0.0, 0.9], [0.9, 0.9, 0.0]])
    assert greedy(scores, np.full(3, 1 / 3), 4) == [1, 0, 2, 3]
    assert greedy(scores, np.array([0.98, 0.01, 0.01]), 1) == [0]


def test_a_portfolio_ends_where_nothing_is_better_in_any_study():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        expected, weight = rng.random((20, 7)), rng.random(7)
        expected[7] = expected.min(axis=0)
        assert greedy(expected, weight, most=3) == [7]  # no rounding counts as a gain


def test_good_in_most_studies_is_worth_more_than_fair_in_all():
    scores = np.array([[0.02, 0.02, 1.0], [0.3, 0.3, 0.3]])
    assert greedy(scores, np.full(3, 1 / 3), 1) == [1]
    assert greedy(apart(scores), np.full(3, 1 / 3), 1) == [0]


def test_similarity_is_learned_from_where_good_configs_agree():
    rng = np.random.default_rng(0)
    rows, images = rng.random(64), rng.random(64)
    scores = np.array([base + 0.1 * rng.random(64) for base in (rows, rows, rows, images, images, images)])
    past = [{"inputs": kind, "loss": loss} for kind in ("row", "image") for loss in ("a", "b", "c")]
    found = weights({"inputs": "row", "loss": "a"}, past, scores, np.ones(6))
    assert found[:3].min() > 2 * found[3:].max()
    assert found.min() > 0  # what differs is asked less, not never


RATES = zi.Space(lr=zi.Float(1e-5, 1.0, scale="log"), layers=zi.Int(1, 6))
PLACES = [RATES.config(u) for u in coarse.points(0, 64, 2, 0)]


def pair(best_of, task, inputs, seed):
    """A lesson of a task of this name and these inputs, its best learning rate where `best_of` says."""
    centre = best_of(task, inputs)
    loss = lambda c: 0.1 + abs(math.log10(c["lr"]) - centre) / 2 + abs(c["layers"] - 2) / 8  # noqa: E731
    study = zi.tune(loss, RATES, trials=18, store=None, playbook=False, seed=seed)
    return learned(task, RATES, study.history, scenario={"task": task, "inputs": inputs})


@pytest.mark.parametrize(
    ("best_of", "alike"),
    [
        (lambda task, inputs: -1.0 if inputs == "row" else -4.0, ("b", "row")),  # another name, the same optimum
        (lambda task, inputs: -1.0 if task == "a" else -4.0, ("a", "image")),  # names tell, and are believed
    ],
    ids=["names mislead", "names tell"],
)
def test_a_study_of_the_same_name_and_another_optimum_counts_less_than_one_of_another_name_and_the_same(best_of, alike):
    past = [(task, inputs) for task in ("a", "b", "c") for inputs in ("row", "image")]
    known = [pair(best_of, *each, seed) for seed, each in enumerate(past)]
    mean, _ = scores(known, PLACES)
    trust = np.array([lesson.trust for lesson in known])
    found = weights({"task": "a", "inputs": "row"}, [lesson.scenario for lesson in known], mean, trust)
    counts = dict(zip(past, found, strict=True))
    other = ("a", "image") if alike == ("b", "row") else ("b", "row")
    assert counts[alike] > 3 * counts[other]
    assert max(counts, key=counts.get) == ("a", "row")
    first = advised(RATES, {"task": "a", "inputs": "row"}, known).bets[0].config
    assert abs(math.log10(first["lr"]) - best_of("a", "row")) < 0.7


def test_a_study_whose_scores_are_mostly_luck_counts_little(lessons):
    elsewhere = taught(-4.5, "elsewhere")
    lucky, sure = (replace(elsewhere, luck=luck) for luck in (0.9, 0.0))
    first = {x.luck: suggested(SPACE, {}, [x, lessons[0]])[0].why for x in (lucky, sure)}
    assert "did well in past0" in first[0.9]
    assert lucky.mattered("lr") < 0.1 < sure.mattered("lr")
    rows = {row.name: row for row in compare([lucky, *lessons]).rows}
    assert rows["lr"].matters == 3
    assert "mostly luck" in lucky.line()
    silent = [replace(lesson, luck=None) for lesson in (lessons[0], elsewhere)]
    assert suggested(SPACE, {}, [*silent, lucky]) == suggested(
        SPACE, {}, [*(replace(x, luck=0.9) for x in silent), lucky]
    )


def test_luck_is_what_the_configs_do_not_tell():
    """The same valley, with seeds that matter as much as the configs, and not at all."""

    def luck(spread):
        def objective(config, run):
            run.report(valley(-2.0)(config) + spread * np.random.default_rng(run.seed).normal())

        study = zi.tune(objective, SPACE, trials=40, store=None, playbook=False)
        return learned("s", SPACE, study.history, scenario={"task": "s"}).luck

    assert luck(0.0) < 0.15
    assert luck(1.0) > 0.5


def test_a_lesson_from_before_luck_was_told_is_read_and_believed(lessons):
    old = to_json(lessons[0])
    del old["luck"]
    assert from_json(old).trust == 1.0
    assert from_json(old | {"of_a_newer_zeroin": 1}).configs == lessons[0].configs


def test_a_misleading_memory_costs_little(tmp_path):
    """Six of the worst configs and inverted surfaces: half the coarse round is fresh, and the search finds its way."""
    wrong = Playbook(tmp_path / "wrong.db", shipped=False)
    wrong.learn(*(taught(centre, f"w{i}", sign=-1.0, trials=12) for i, centre in enumerate((-2.0, -2.4))))
    misled, none = (studied(-2.2, "new", playbook=p, trials=28) for p in (wrong, False))
    bad = [t for t in misled.trials if t.kind is Kind.PLAYBOOK]
    assert bad
    assert min(t.loss for t in bad) > 1.0
    assert misled.best.loss < none.best.loss + 0.1


CATALOGUED = zi.catalogue.space("adamw", trainings=5, dropout=True)


def deep(best_lr):
    """Losses of a network that learns best at a rate, and hardly at ten times as much; dropout matters less."""
    return lambda c: 0.1 + abs(math.log10(c["lr"] / best_lr)) + c["dropout"] / 4


def remembered(tmp_path, best_lr, sign=1.0):
    book = Playbook(tmp_path / f"{best_lr}{sign}.db", shipped=False)
    for i, shift in enumerate((0.8, 1.25)):
        past = deep(best_lr * shift)
        study = zi.tune(lambda c, f=past: sign * f(c), CATALOGUED, trials=18, store=None, playbook=False, seed=i)
        book.learn(learned(f"past{i}", CATALOGUED, study.history, scenario={"task": f"past{i}"}))
    return book


def test_ranges_of_the_catalogue_begin_where_past_studies_did_well(tmp_path):
    book = remembered(tmp_path, 0.03)
    kept = {"store": tmp_path / "z.db", "name": "new"}
    study = zi.tune(deep(0.05), CATALOGUED, trials=16, playbook=book, **kept)
    low, high = study.regions[0].ranges["lr"]
    declared = CATALOGUED["lr"].range
    assert declared[0] < low < 0.03 < high
    assert math.log10(high / low) < 0.7 * math.log10(declared[1] / declared[0])
    assert "good in past" in study.regions[0].why
    assert "lr: range moved from 1e-5..0.1 to" in study.report(tmp_path / "r.html").read_text("utf-8")
    again = zi.tune(deep(0.05), CATALOGUED, trials=20, playbook=False, **kept)  # what it began with is kept
    assert again.regions[0] == study.regions[0]
    asked = CATALOGUED.set("lr", 1e-6, 1.0)
    given = zi.tune(deep(0.05), asked, trials=1, store=None, playbook=book)
    assert given.regions[0].ranges["lr"] == (1e-6, 1.0)  # that was asked for


def test_a_corrected_range_says_that_the_exact_zero_and_all_above_it_stay(lessons):
    space = zi.Space(weight_decay=zi.Float(1e-6, 0.1, scale="log", zero=True))
    good, mattered = {"weight_decay": (1e-3, 2e-3)}, {"weight_decay": 1.0}
    past = replace(lessons[0], space=space, good=good, importance=mattered, luck=0.0)
    region = corrected(space, [(past, 1.0, {"weight_decay"})])
    low, high = region.ranges["weight_decay"]
    assert low == 1e-6
    assert 2e-3 < high < 0.1


def test_a_range_that_leaves_the_best_out_grows_until_it_holds_it(tmp_path):
    wrong = remembered(tmp_path, 3e-5)
    study = zi.tune(deep(0.05), CATALOGUED, trials=28, store=None, playbook=wrong, name="new")
    assert study.regions[0].ranges["lr"][1] < 0.02
    assert study.regions[-1].ranges["lr"][1] > 0.05
    none = zi.tune(deep(0.05), CATALOGUED, trials=28, store=None, playbook=False, name="new")
    assert study.best.loss < none.best.loss + 0.1


def test_a_study_in_a_store_goes_on_with_the_advice_it_began_with(book, tmp_path):
    kept = {"store": tmp_path / "z.db", "playbook": book, "name": "new", "space": SPACE}
    studied(-2.2, trials=5, **kept)
    book.forget()
    studied(-2.2, trials=10, **kept)
    header, history = read_study(tmp_path / "z.db", "new")
    begun = len(history.advice)
    assert begun >= 3
    kinds = [t.kind for t in history.trials[: begun + 3]]
    assert kinds == [Kind.SCREEN] * 3 + [Kind.PLAYBOOK] * begun
    assert header.scenario["optimizer"] == "any"


def test_what_it_brought_is_told(book):
    study = studied(-2.2, "new", playbook=book, trials=16)
    told = advice(study.history, "minimize")
    assert len(told.said) == len(study.history.advice)
    assert re.search(r"configs of the playbook\..*: the playbook's was better than (\d+) of \1\.$", told.words[0])
    assert "The playbook" in study.report(book.path.parent / "r.html").read_text("utf-8")
    assert advice(studied(-2.2, "none", playbook=False, trials=3).history, "minimize") is None


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The user's playbook, where the environment says."""
    monkeypatch.setenv("ZEROIN_PLAYBOOK", str(tmp_path / "mine.db"))
    monkeypatch.chdir(tmp_path)
    return Playbook(shipped=False)


def test_a_finished_study_teaches_the_users_playbook_unless_told_not_to(mine):
    studied(-2.0, "memory", trials=9)
    studied(-2.0, "without", playbook=False, store="z.db", trials=9)
    studied(-2.0, "short", trials=3, store="z.db")
    assert mine.lessons() == []
    studied(-2.0, "kept", trials=9, store="z.db")
    studied(-2.0, "kept", trials=10, store="z.db")  # gone on with: one lesson, the newer
    (lesson,) = mine.lessons()
    assert (lesson.name, lesson.trainings) == ("kept", 10.0)


def test_a_playbook_that_cannot_be_written_is_told_and_costs_nothing_else(mine, tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    study = studied(-2.0, "s", playbook=tmp_path / "file" / "team.db", trials=9)
    assert study.best.loss is not None
    assert "nothing was learned for the playbook" in caplog.text


@pytest.mark.skipif(not hasattr(os, "setresuid") or os.geteuid() != 0, reason="only root may become another user")
def test_a_study_begins_where_the_home_is_closed_to_it(tmp_path):
    (tmp_path / "home").mkdir(mode=0o700)
    os.setresuid(65534, 65534, 0)
    try:
        assert Playbook(tmp_path / "home" / "playbook.db").lessons() == []
    finally:
        os.setresuid(0, 0, 0)


def test_a_lesson_leaves_out_what_none_of_the_good_configs_has():
    space = zi.Space(**SPACE.params, momentum=zi.Float(0.5, 0.99, when={"optimizer": "sgd"}))
    study = studied(-2.0, "s", space=space, playbook=False)
    lesson = learned("s", space, study.history, scenario={"task": "t"})
    assert lesson.good["optimizer"] == ("adamw",)
    assert "momentum" not in lesson.good
    assert "momentum" not in lesson.words()
    assert "momentum" in lesson.shares(space, {"task": "t"})
    assert zi.tune(valley(-2.0), space, trials=9, store=None, playbook=False).best
    assert [row.name for row in compare([lesson, lesson]).rows] == list(lesson.ranked)


def test_a_study_whose_space_was_narrowed_teaches_the_configs_that_it_tried():
    space = zi.Space(x=zi.Float(0, 1), o=zi.Choice("a", "b", "c"))
    study = zi.tune(lambda c: 0.1 + (c["x"] - 0.9) ** 2 + (c["o"] != "a"), space, trials=20, store=None, playbook=False)
    for narrow in (space.set("x", 0, 0.3), space.fix("x", 0.2), space.set("o", "b", "c")):
        lesson = learned("narrowed", narrow, study.history, scenario={})
        assert lesson.configs[0]["x"] == pytest.approx(0.9, abs=0.05)  # no legal config, which would be a bad one
        assert lesson.configs[0]["o"] == "a"
        assert narrow["x"].held or 0.3 not in lesson.good.get("x", ())
        assert "o" not in lesson.good or "a" in narrow["o"].options
        assert as_lessons(as_data([lesson])) == [lesson]


def test_off_means_off(monkeypatch, tmp_path):
    monkeypatch.setenv("ZEROIN_PLAYBOOK", "off")
    monkeypatch.chdir(tmp_path)
    study = studied(-2.0, "s", store="z.db", trials=9)
    assert not study.history.advice
    assert not (tmp_path / "off").exists()


def test_a_file_that_is_no_playbook_is_told_before_training(tmp_path):
    wrong = tmp_path / "wrong.db"
    wrong.write_text("no database")
    with pytest.raises(PlaybookError, match="--no-playbook"):
        studied(-2.0, "s", playbook=wrong)
    db = sqlite3.connect(tmp_path / "other.db")
    db.execute("CREATE TABLE something (x)")
    db.commit()
    db.close()
    with pytest.raises(PlaybookError, match="something"):
        Playbook(tmp_path / "other.db").lessons()
    assert wrong.read_text() == "no database"


def test_a_lesson_that_somebody_has_changed_is_told(lessons, tmp_path):
    book = Playbook(tmp_path / "book.db", shipped=False)
    book.learn(*lessons)
    for spoiled in ("{", "{}", '{"good": 3}'):
        with sqlite3.connect(book.path) as db:
            db.execute("UPDATE lessons SET lesson = ?", (spoiled,))
        with pytest.raises(PlaybookError, match=r"a playbook is a SQLite file .*book.db: .*: choose another"):
            book.lessons()


def test_a_study_of_equals_teaches_nothing():
    study = zi.tune(lambda c: 1.0, SPACE, trials=12, store=None, playbook=False)
    with pytest.raises(PlaybookError, match="all of them did equally well"):
        learned("flat", SPACE, study.history, scenario={})


def test_an_export_is_checked_when_it_comes_back(lessons):
    data = json.loads(json.dumps(as_data(lessons)))
    assert [to_json(lesson) for lesson in as_lessons(data)] == [to_json(lesson) for lesson in lessons]
    one = data["lessons"][0]
    low = {"x": one["space"]["lr"] | {"low": "a"}}  # what a study could not begin with is found here
    changed = (
        {"scores": [0.1]},
        {"scores": [math.nan] * len(one["scores"])},
        {"name": 3},
        {"space": low},
        {"lengths": 0},
        {"good": one["good"] | {"lr": []}},
    )
    spoilt = [data | {"lessons": [one | each]} for each in (*changed, {"trainings": 10**400})]
    for spoiled in ({}, [], None, data | {"format": 99}, data | {"lessons": [{"name": "x"}]}, *spoilt):
        with pytest.raises(PlaybookError):
            as_lessons(spoiled)
    with pytest.raises(PlaybookError, match="in this one a part is of another kind: export it again"):
        as_lessons([])


@pytest.fixture
def zeroin(mine, zeroin, monkeypatch, tmp_path):
    """Call the command with a playbook of its own; gives (exit status, output, error output)."""
    monkeypatch.chdir(tmp_path)
    return zeroin


def test_the_command_shows_learns_exports_imports_and_forgets(zeroin, mine, tmp_path):
    studied(-2.0, "first", store="z.db", playbook=False, trials=12)
    assert zeroin("playbook")[1].startswith("0 lessons")
    code, out, _ = zeroin("playbook", "learn", "first", "--store", "z.db")
    assert (code, mine.lessons()[0].name) == (0, "first")
    assert out.startswith("learned: first (12 trainings")
    assert "1 lesson in" in zeroin("playbook", "show")[1]
    told = zeroin("playbook", "show", "first")[1]
    assert "lr: good" in told
    assert "best config" in told
    assert json.loads(zeroin("playbook", "show", "--json")[1])["lessons"][0]["name"] == "first"
    assert zeroin("playbook", "export", "book.json")[0] == 0
    assert zeroin("playbook", "forget", "first")[0] == 0
    assert mine.lessons() == []
    assert zeroin("playbook", "import", "book.json")[1] == "1 lesson learned, 1 of them new\n"
    assert zeroin("playbook", "import", "book.json")[1] == "1 lesson learned, 0 of them new\n"
    assert "best config" in zeroin("playbook", "show", "digits")[1]  # of those that come with zeroin
    assert isinstance(mine.lessons()[0], Lesson)
    assert zeroin("playbook", "forget", "--all")[0] == 0


def test_the_command_has_no_playbook_of_yours_where_it_is_turned_off(zeroin, monkeypatch, tmp_path):
    studied(-2.0, "first", store="z.db", playbook=False, trials=12)
    monkeypatch.setenv("ZEROIN_PLAYBOOK", "off")
    for words in ((), ("show", "digits"), ("learn", "first", "--store", "z.db"), ("forget", "--all")):
        code, out, error = zeroin("playbook", *words)
        assert (code, out) == (2, "")
        assert "your own playbook is there unless it is turned off; ZEROIN_PLAYBOOK=off: name another" in error
    assert not (tmp_path / "off").exists()
    assert zeroin("playbook", "learn", "first", "--store", "z.db", "--playbook", "team.db")[0] == 0
    assert "best config" in zeroin("playbook", "show", "digits", "--shipped")[1]
    assert zeroin("compare", "first", "digits", "--store", "z.db")[0] == 0


def test_studies_are_compared_side_by_side(zeroin, lessons, tmp_path):
    found = compare(lessons)
    rows = {row.name: row for row in found.rows}
    assert rows["optimizer"].words() == "adamw in 3 of 3"
    low, high = rows["lr"].common
    assert rows["lr"].agree >= 2
    assert low < 10**-1.7
    assert high > 10**-2.4
    assert all(cell.importance > 0 for cell in rows["lr"].cells)
    Playbook(shipped=False).learn(*lessons)
    studied(-2.0, "fourth", store="z.db", playbook=False, trials=12)
    code, out, error = zeroin("compare", "past0", "past1", "fourth", "--store", "z.db", "--svg", "c.svg")
    assert code == 0, error
    assert "adamw in 3 of 3" in out
    assert "- set `optimizer`, which mattered in 3 of 3" in out
    assert len({len(line) for line in out.splitlines() if line.startswith("|")}) == 1  # readable as it is
    drawn = ElementTree.parse(tmp_path / "c.svg").getroot()
    bars = [rect for rect in drawn.iter("{http://www.w3.org/2000/svg}rect") if rect.get("rx")]
    assert len(bars) >= 9
    bands = [rect for rect in drawn.iter("{http://www.w3.org/2000/svg}rect") if rect.get("fill") == "#009E73"]
    assert bands
    named = [replace(lesson, name=f"{i}-" + "long" * 20) for i, lesson in enumerate(lessons)]
    assert float(ElementTree.fromstring(svg(compare(named))).get("width")) < 1000
    wide = float(drawn.get("width"))
    assert all(60 <= float(bar.get("x")) <= wide - 30 and float(bar.get("width")) > 0 for bar in bars)
    Playbook(shipped=False).learn(replace(lessons[0], name="digits"))
    assert zeroin("compare", "past0", "past0", "--store", "z.db") == zeroin("compare", "past0", "--store", "z.db")
    assert "past0" in zeroin("compare", "digits")[1]  # yours comes before the one that comes with zeroin
    told = json.loads(zeroin("compare", "past0", "past1", "--json", "--svg", "again.svg")[1])
    assert {row["name"] for row in told["rows"]} == set(SPACE)


def test_a_comparison_says_in_sentences_where_studies_agree_and_what_is_good_in_which_scenario(lessons):
    def tables(best):
        """A lesson on another kind of data with that learning rate as the best."""
        return replace(taught(best, f"rows{best}"), scenario={"inputs": "row"})

    def line(name, found):
        return next(sentence for sentence in sentences(found) if f"`{name}`" in sentence)

    images = [replace(lesson, scenario={"inputs": "image"}) for lesson in lessons]
    found = compare(images)
    assert line("optimizer", found).endswith("adamw good in 3 of these")  # all of those where it mattered
    assert "images" not in " ".join(sentences(found))  # one kind of data
    apart = line("lr", compare([*images, tables(-4.5)]))
    assert apart.startswith("search `lr`, which mattered in 4 of 4")
    rate = float(apart.partition("tables ")[2].split("..")[0])
    assert 10**-6 < rate < 10**-4
    assert "images" in apart
    assert "in 3, tables" in apart
    idle = sentences(compare([replace(lesson, importance={}) for lesson in images]))
    assert idle[0].startswith("leave as it is")
    assert "`lr`" in idle[0]
    assert (
        "`layers` (1 of 5: past0)"
        in sentences(
            compare([images[0], *(replace(images[1], name=f"{i}", importance={"lr": 1.0}) for i in range(4))])
        )[1]
    )
    lucky = sentences(compare([replace(images[0], luck=0.9), *images[1:]]))
    assert lucky[-1] == f"little or no say in this have studies that are mostly luck: {images[0].name}"


def test_what_was_not_searched_is_said_and_so_is_the_end_of_a_range():
    schedule = zi.Choice("cosine", "none", fixed="cosine")
    space = zi.Space(layers=zi.Int(1, 3), lr=zi.Float(1e-5, 1.0, scale="log"), schedule=schedule)

    def lesson(name):
        loss = lambda c: 1 / c["layers"] + abs(math.log10(c["lr"]) + 2) / 8  # noqa: E731
        study = zi.tune(loss, space, trials=16, store=None, playbook=False, seed=len(name))
        return learned(name, space, study.history, scenario={})

    said = sentences(compare([lesson("a"), lesson("bc")]))
    assert any("3, the most allowed, good in 2" in sentence for sentence in said)
    assert "nothing is told of what was not searched, the same in all: `schedule` cosine" in said


def test_studies_of_other_legal_limits_are_compared_on_one_line():
    """Small networks beside large ones: each has its good values where they are, and they do not agree."""

    def lesson(low, high, scale="log"):
        space = zi.Space(units=zi.Int(low, high, scale=scale), lr=zi.Float(1e-5, 1.0, scale="log"))
        loss = lambda c: 0.1 + math.log(high / c["units"]) + abs(math.log10(c["lr"]) + 2) / 8  # noqa: E731
        study = zi.tune(loss, space, trials=14, store=None, playbook=False)
        return learned(f"to{high}", space, study.history, scenario={})

    row = next(row for row in compare([lesson(64, 512), lesson(4, 16)]).rows if row.name == "units")
    assert 0.0 < row.param.unit(4) < 0.05
    assert row.words() == "differs in 2"
    row = next(row for row in compare([lesson(64, 512, "log2"), lesson(4, 15)]).rows if row.name == "units")
    assert all(0.0 <= end <= 1.0 for cell in row.cells for end in map(row.param.unit, cell.good))


def test_a_word_in_one_study_is_not_the_least_number_of_another():
    def lesson(units):
        space = zi.Space(units=units, x=zi.Float(0, 1))
        study = zi.tune(
            lambda c: c["x"] / 9 + (c["units"] not in (1, "s")), space, trials=12, store=None, playbook=False
        )
        return learned(str(units), space, study.history, scenario={})

    row = next(r for r in compare([lesson(zi.Int(1, 8)), lesson(zi.Choice("m", "s"))]).rows if r.name == "units")
    assert (row.searched, row.agree) == (1, 1)


def test_options_that_are_numbers_lie_on_the_axis_of_a_number():
    def lesson(units, best, optimizer):
        space = zi.Space(units=units, x=zi.Float(0, 1), optimizer=zi.Choice(*optimizer))
        loss = lambda c: abs(c["units"] - best) + c["x"] / 9  # noqa: E731
        study = zi.tune(loss, space, trials=20, store=None, playbook=False)
        return lesson_of(replace(study.header, name=f"{units}"), study.history)

    several = [lesson(zi.Choice(64, 16, 32, 512), 48, "ab"), lesson(zi.Int(8, 128), 100, "bc")]
    for some in (several, several[::-1]):
        found = compare(some)
        row = next(row for row in found.rows if row.name == "units")
        assert isinstance(row.param, zi.Int)
        assert any("..64 (" in row.words_of(cell) for cell in row.cells)
        assert row.words() == "differs in 2"
        assert not any("not searched" in sentence for sentence in sentences(found))  # optimizer was, in both


def test_a_single_value_and_an_exact_zero_have_their_marks():
    space = zi.Space(n=zi.Int(-5, 5), decay=zi.Float(1e-6, 0.1, scale="log", zero=True))
    loss = lambda c: abs(c["n"] - 1) + c["decay"]  # noqa: E731
    study = zi.tune(loss, space, trials=30, store=None, playbook=False)
    first = lesson_of(study.header, study.history)
    good = {"n": (1, 1), "decay": (0.0, 1e-3)}
    texts = [text.text for text in ElementTree.fromstring(svg(compare([replace(first, good=good)]))).iter()]
    assert "1" in texts
    assert "0" in texts


def test_true_in_one_study_is_not_1_in_another():
    def lesson(*options):
        space = zi.Space(norm=zi.Choice(*options), x=zi.Float(0, 1))
        study = zi.tune(lambda c: c["x"] / 9 + (c["norm"] != options[0]), space, trials=12, store=None, playbook=False)
        return learned(f"{options[0]}", space, study.history, scenario={})

    row = next(row for row in compare([lesson(True, False), lesson(1, 2)]).rows if row.name == "norm")
    assert repr(row.param) == "Choice(True, False, 1, 2)"
    assert row.words() == "differs in 2"


@pytest.mark.parametrize(
    "words",
    [
        ["forget"],
        ["forget", "unknown"],
        ["show", "unknown"],
        ["import", "missing.json"],
        ["learn", "unknown"],
        ["show", "--playbook", "text.db"],
        ["export", "no/such/folder.json"],
    ],
)
def test_a_mistake_is_one_sentence(zeroin, tmp_path, words):
    (tmp_path / "text.db").write_text("no database")
    code, out, error = zeroin("playbook", *words)
    assert code == 2
    assert not out
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_the_lessons_that_come_with_zeroin_advise_a_new_study_and_say_how_they_were_made(tmp_path):
    data = json.loads(resources.files("zeroin.playbook").joinpath("shipped.json").read_text("utf-8"))
    assert data["made_by"] == "benchmarks/make_playbook.py"
    assert {"zeroin", "numpy", "scipy", "Python"} <= set(data["versions"])
    assert data["seeds"]
    assert len(json.dumps(data)) < 400_000
    space = zi.catalogue.space("momentum", weight_decay=True, batch_size=True, layers=(1, 4), units=(64, 1024))
    told = Playbook(tmp_path / "none.db").look_up(space, scenario_of(None, space, 50)).bets
    assert 3 <= len(told) <= 6
    assert all(space.check(given.config) for given in told)
    assert Playbook(tmp_path / "none.db", shipped=False).look_up(space, {}).bets == ()


def test_whole_numbers_around_zero_have_their_marks_within_the_picture():
    space = zi.Space(n=zi.Int(-30, 70))
    study = zi.tune(lambda config: (config["n"] - 2) ** 2, space, trials=30, store=None, playbook=False)
    drawn = ElementTree.fromstring(svg(compare([lesson_of(study.header, study.history)])))
    assert all(0 <= float(text.get("x")) <= float(drawn.get("width")) for text in drawn.iter() if text.get("x"))


def test_several_studies_of_one_task_are_one_lesson(lessons, tmp_path):
    again = taught(-2.0, "past0", trials=24)
    one = pooled([*lessons, again])
    both = one[0]
    assert [lesson.name for lesson in one] == ["past0", "past1", "past2"]
    assert len(both.configs) == len(lessons[0].configs) + len(again.configs)
    assert both.trainings == lessons[0].trainings + again.trainings
    assert both.scores[0] == 0.0
    best = min((lesson.levels[0], lesson.configs[0]) for lesson in (lessons[0], again))
    assert (both.levels[0], both.configs[0]) == best
    assert pooled([from_json(json.loads(json.dumps(to_json(both))))]) == [both]
    book = Playbook(tmp_path / "twice.db", shipped=False)
    book.learn(*lessons, replace(again, created="later"))
    assert suggested(SPACE, {"task": "new"}, book.lessons()) == suggested(SPACE, {"task": "new"}, one)


def test_what_is_another_task_or_may_be_one_stays_apart(lessons):
    first = lessons[0]
    low, high = first.levels
    others = [
        replace(first, scenario=first.scenario | {"examples": 5}),
        replace(first, levels=(low + 9, high + 9)),  # losses in percent, say
        replace(first, levels=None),
        replace(first, space=zi.Space(lr=zi.Float(1e-5, 1.0, scale="log"))),
    ]
    for other in others:
        assert len(pooled([first, other])) == 2
    unnamed = replace(first, scenario={})
    assert len(pooled([unnamed, unnamed])) == 2


def test_a_task_that_is_tuned_again_begins_with_its_own_best():
    """Four other tasks have their optimum in one place, and this one elsewhere: its own past study counts for more."""
    past = [taught(centre, f"task{i}") for i, centre in enumerate((-4.0, -1.0, -1.2, -0.8, -1.1))]
    first, longer = (suggested(SPACE, past[0].scenario | more, past)[0] for more in ({}, {"epochs": 2}))
    assert first.why == longer.why == "did well in task0"
    assert -4.5 < math.log10(first.config["lr"]) < -3.5


def test_true_is_no_number_and_not_the_option_1():
    assert goods(zi.Space(a=zi.Choice(1, True, "1")), [{"a": True}]) == {"a": (True,)}
    space = zi.Space(lr=zi.Float(1e-4, 1.0, scale="log"), norm=zi.Choice(1, 2, fixed=1), layers=zi.Int(1, 4))
    assert fitted(space, {"lr": 0.1, "norm": 1, "layers": 2}) == {"lr": 0.1, "norm": 1, "layers": 2}
    assert fitted(space, {"lr": 0.1, "norm": True, "layers": 2}) is None
    assert fitted(space, {"lr": 0.1, "norm": 1, "layers": True}) is None
    assert fitted(space, {"lr": True, "norm": 1, "layers": 2}) is None
