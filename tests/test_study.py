"""A study: ask and tell, results in any order, both directions, failures as data, going on where it stopped."""

import gc
import json
import math
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import zeroin as zi
from zeroin.errors import PlaybookError, SpaceError, StoreError, StudyError
from zeroin.exports import as_json
from zeroin.search import QuasiRandom, Zoom
from zeroin.winner import winner

SPACE = zi.Space(
    lr=zi.Float(1e-4, 1.0, scale="log"),
    momentum=zi.Float(0.5, 0.999, scale="one_minus_log"),
    o=zi.Choice("a", "b"),
    n=zi.Int(1, 8, when={"o": "b"}),
)


def loss_of(config, epoch=0):
    """A bowl that falls with the epochs; best at lr = 0.03, momentum = 0.9."""
    far = math.log10(config["lr"] / 0.03) ** 2 + math.log10((1 - config["momentum"]) / 0.1) ** 2
    return (0.1 + far + 0.05 * config.get("n", 3)) * (1 + 1 / (epoch + 1))


def curve(job):
    return [loss_of(job.config, epoch) for epoch in range(job.start, job.stop)]


def answer(study, turns, free=1, rng=None):
    """Ask and tell; with a generator the running jobs are told in random order."""
    running = []
    for _ in range(turns):
        running += study.ask(free - len(running))
        job = running.pop(0 if rng is None else int(rng.integers(len(running))))
        study.tell(job, losses=curve(job))
    return running


def seen(study):
    """Each trial as anybody sees it."""
    return [(t.number, t.config, t.seed, t.kind, t.losses, t.status, t.why, t.paused) for t in study.trials]


def test_metrics_are_told_beside_losses():
    study = zi.Study(SPACE, max_epochs=4, store=None)
    a, b = study.ask(2)
    study.tell(a, 0.5, metrics={"accuracy": 0.9})
    study.tell(b, [0.4], metrics=[{"accuracy": np.float32(0.5), "seconds": 3}])
    assert [t.metrics for t in study.trials] == [({"accuracy": 0.9},), ({"accuracy": 0.5, "seconds": 3.0},)]


def test_ask_and_tell():
    study = zi.Study(SPACE, store=None)
    jobs = study.ask(8)
    assert 1 <= len(jobs) <= 8
    assert [(j.start, j.stop) for j in jobs] == [(0, 1)] * len(jobs)
    assert len({tuple(j.config.items()) for j in jobs}) == len(jobs)
    for number, job in reversed(list(enumerate(jobs))):
        study.tell(job, losses=[number + 0.5])
    assert study.best.loss == 0.5
    assert study.best.config == jobs[0].config
    assert [t.loss for t in study.trials] == [n + 0.5 for n in range(len(jobs))]


@pytest.mark.parametrize("max_epochs", [None, 8])
@pytest.mark.parametrize("free", [1, 4])
def test_results_may_come_in_any_order(max_epochs, free):
    study = zi.Study(SPACE, max_epochs=max_epochs, store=None)
    answer(study, 30, free, np.random.default_rng(0))
    assert study.best.loss < 1.0
    assert study.best.loss == min(t.loss for t in study.trials if t.loss is not None)
    for trial in study.trials:
        assert trial.losses == tuple(loss_of(trial.config, e) for e in range(trial.epoch))


@pytest.mark.parametrize("max_epochs", [None, 8])
def test_maximize_is_minimize_turned_round(max_epochs):
    low = zi.Study(SPACE, max_epochs=max_epochs, store=None)
    high = zi.Study(SPACE, max_epochs=max_epochs, store=None, goal="maximize")
    for _ in range(30):
        (a,), (b,) = low.ask(), high.ask()
        assert a == b
        low.tell(a, losses=curve(a))
        high.tell(b, losses=[-loss for loss in curve(b)])
    assert high.best.number == low.best.number
    assert high.best.loss == -low.best.loss == max(t.loss for t in high.trials)
    assert high.best.goal == "maximize"


@pytest.mark.parametrize("max_epochs", [None, 8])
@pytest.mark.parametrize("cut", [3, 17])
def test_a_study_that_went_on_equals_an_unbroken_one(tmp_path, max_epochs, cut):
    unbroken = zi.Study(SPACE, max_epochs=max_epochs, store=None, seed=5)
    answer(unbroken, 24)
    same = {"max_epochs": max_epochs, "store": tmp_path / "z.db", "name": "s", "seed": 5}
    with zi.Study(SPACE, **same) as first:
        answer(first, cut)
    with zi.Study(SPACE, **same) as second:
        assert seen(second) == seen(first)
        answer(second, 24 - cut)
        assert seen(second) == seen(unbroken)
        assert second.regions == unbroken.regions
        assert second.history.spent == unbroken.history.spent


def test_jobs_left_open_by_a_process_that_died_are_asked_for_again(tmp_path):
    with zi.Study(SPACE, store=tmp_path / "z.db") as study:
        left = study.ask(3)
        study.tell(left[1], losses=[1.0])
    with zi.Study(SPACE, store=tmp_path / "z.db") as study:
        again = study.ask(1) + study.ask(1)
        assert again == [left[0], left[2]]
        new = study.ask(1)
        assert new
        assert new[0].number == 3
        for job in (*again, *new):
            study.tell(job, losses=[2.0])
        assert len(study.trials) == 4


def test_start_configs_come_first_whole_and_legal(tmp_path):
    start = [{"lr": 0.5}, {"lr": 0.01, "o": "b", "n": 8, "momentum": 0.6}]
    study = zi.Study(SPACE, max_epochs=4, store=None, start=start)
    jobs = study.ask(1) + study.ask(1)
    assert [j.config["lr"] for j in jobs] == [0.5, 0.01]
    assert jobs[0].config == SPACE.default | {"lr": 0.5}
    assert [(j.kind, j.stop) for j in jobs] == [("start", 4)] * 2
    assert study.ask(1)[0].kind != "start"
    for bad, words in (({"lr": 5.0}, "legal limits"), ({"width": 3}, "'width' is none of")):
        with pytest.raises(SpaceError, match=words):
            zi.Study(SPACE, store=tmp_path / "z.db", start=[bad])
    assert list(tmp_path.iterdir()) == []


def test_failures_are_data_and_shape_what_is_asked():
    study = zi.Study(SPACE, max_epochs=4, store=None)
    for _ in range(40):
        (job,) = study.ask()
        if job.config["lr"] > 0.1:
            study.tell(job, losses=[1.0] * (job.epochs - 1) + [math.nan])
        elif job.config["o"] == "a" and job.config["lr"] < 1e-3:
            study.tell(job, status="out_of_memory", note="8 GB")
        else:
            study.tell(job, losses=curve(job))
    statuses = {t.status for t in study.trials}
    assert {"done", "diverged"} <= statuses
    assert all((t.loss is None) == t.status.is_failure for t in study.trials)
    assert study.best.config["lr"] <= 0.1
    late = [t.config["lr"] for t in study.trials[-8:]]
    assert np.mean(np.array(late) > 0.1) <= 0.5


def test_a_study_where_nothing_worked_goes_on_asking():
    study = zi.Study(SPACE, store=None)
    for _ in range(20):
        study.tell(study.ask()[0], status="failed", note="ValueError: no")
    assert len({tuple(t.config.items()) for t in study.trials}) == 20
    with pytest.raises(StudyError, match="a best trial needs one that worked; 20 trials, none with a loss"):
        _ = study.best


def test_fewer_scores_than_epochs_end_a_job_early():
    study = zi.Study(SPACE, max_epochs=8, store=None, start=[{"lr": 0.01}])
    (job,) = study.ask()
    assert job.epochs == 8
    study.tell(job, losses=[0.5, 0.4, 0.3])
    assert (study.trials[0].epoch, study.trials[0].status, study.best.loss) == (3, "done", 0.3)
    assert study.history.spent == 3
    answer(study, 20)


def test_seeds_are_a_function_of_study_and_trial():
    a, b, c = (zi.Study(SPACE, store=None, seed=s, searcher=QuasiRandom()) for s in (0, 0, 1))
    seeds = [[j.seed for j in study.ask(20)] for study in (a, b, c)]
    assert seeds[0] == seeds[1] != seeds[2]
    assert len(set(seeds[0])) == 20


def test_listeners_hear_every_event_after_it_counts():
    study, heard = zi.Study(SPACE, store=None), []
    study.listeners.append(lambda s, event: heard.append((type(event).__name__, len(s.trials))))
    study.tell(study.ask()[0], losses=[1.0])
    assert heard == [("Asked", 1), ("Observed", 1), ("Ended", 1)]


def test_a_table_has_what_else_was_reported_at_the_best_epoch():
    def objective(config, run):
        for epoch in run.epochs():
            run.report(config["x"] - (epoch == 3), hits=epoch, x=-epoch, loss=9)

    study = zi.tune(objective, zi.Space(x=zi.Float(0, 1)), max_epochs=4, trials=5, goal="maximize", store=None)
    frame = study.to_dataframe()
    assert list(frame.columns[-4:]) == ["x", "hits", "metric_x", "metric_loss"]
    assert (frame.hits == frame.epoch.clip(upper=3) - 1).all()  # of the highest score, the last: as a test score
    assert (frame.note == "").all()


def test_configs_to_start_with_differ_by_their_types():
    study = zi.Study(zi.Space(o=zi.Choice(1, True)), store=None, start=[{"o": 1}, {"o": True}])
    assert [type(study.ask()[0].config["o"]) for _ in range(2)] == [int, bool]


def test_to_dataframe_and_report(tmp_path):
    study = zi.Study(SPACE, max_epochs=4, store=None, goal="maximize")
    answer(study, 20)
    frame = study.to_dataframe()
    assert list(frame.number) == list(range(len(study.trials)))
    assert {"kind", "status", "epoch", "loss", "why", *SPACE} <= set(frame.columns)
    assert frame.loss.max() == study.best.loss
    assert frame[frame.o == "a"].n.isna().all()
    written = study.report(tmp_path / "deep" / "report.html")
    assert written.read_text().startswith("<!doctype html>")
    assert study.name in written.read_text()
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="a report goes to a file that can be written"):
        study.report(tmp_path / "file" / "report.html")


@pytest.mark.parametrize(
    ("use", "sentence"),
    [
        (lambda s, j: s.tell(j), r"told its scores or its failure; got neither: use tell\(job, losses="),
        (lambda s, j: s.tell(j, losses=[1.0] * 9), r"a score for each of its epochs; 9 scores for epochs 1\.\.1"),
        (lambda s, j: s.tell(j, status="oom"), "ends as one of done, diverged, .*; status='oom': use"),
        (lambda s, j: s.tell(j, status="running"), "ends as one of"),
        (lambda s, j: [s.tell(j, losses=[1.0]) for _ in range(2)], "told once, .*; job 0 is not running: ask again"),
        (
            lambda s, j: s.tell(replace(j, config={"lr": 0.5}), losses=[1.0]),
            "has another config: tell the study whose ask",
        ),
        (lambda s, j: s.tell(j, losses=[None]), r"scores are numbers; got '\[None\]': use tell"),
        (lambda s, j: s.tell(j, losses="good"), "scores are numbers; got 'good'"),
        (lambda s, j: s.tell(j, 1.0, metrics=[{"a": 1}] * 2), r"told of each of 1 epochs; got .*'a': 1.*use tell\(job"),
        (lambda s, j: s.tell(j, 1.0, metrics={"a": "good"}), "numbers by name, told of each of 1 epochs"),
        (lambda s, j: s.tell(j, 1.0, metrics=0.9), "numbers by name, .*got '0.9'"),
        (lambda s, j: s.tell(j.number, losses=[1.0]), "a job that ask.. gave; got a int"),
        (lambda s, j: s.tell(j, status="done"), "told its scores or its failure; got neither"),
        (lambda s, j: s.ask(1.5), "free slots are counted from 0; free=1.5: use ask"),
        (lambda s, j: s.ask(-1), "free slots are counted from 0; free=-1: use ask"),
    ],
)
def test_a_job_told_wrongly_is_told_back(use, sentence):
    study = zi.Study(SPACE, max_epochs=8, store=None)
    (job,) = study.ask()
    with pytest.raises(StudyError, match=sentence):
        use(study, job)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"goal": "max"}, "a goal is 'minimize' or 'maximize'; goal='max': use goal='maximize'."),
        ({"max_epochs": 0}, "max_epochs is a whole number from 1; max_epochs=0: leave it out"),
        ({"max_epochs": -3}, "max_epochs=-3"),
        ({"max_epochs": 2.5}, "max_epochs=2.5"),
        ({"max_epochs": "9"}, "max_epochs='9'"),
        ({"seed": None}, "a seed is a whole number of 64 bits; seed=None: use seed=0"),
        ({"seed": 1.7}, "seed=1.7"),
        ({"seed": 2**64}, "a seed is a whole number of 64 bits"),
        ({"start": {"x": 0.1}}, r"start= takes a list of configs; start=\{'x': 0.1\}: use start=\["),
    ],
)
def test_a_study_asked_for_wrongly_is_told_and_nothing_is_stored(tmp_path, given, sentence):
    with pytest.raises(StudyError, match=sentence):
        zi.Study(SPACE, store=tmp_path / "z.db", **given)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_that_is_told_keeps_its_reason_whatever_the_scores():
    study = zi.Study(SPACE, max_epochs=8, store=None)
    (job,) = study.ask()
    study.tell(job, losses=[math.nan], status="out_of_memory", note="of the GPU")
    assert (study.trials[0].status, study.trials[0].note) == ("out_of_memory", "of the GPU")


def test_an_exception_is_told_as_it_is():
    study = zi.Study(SPACE, max_epochs=8, store=None)
    (job,) = study.ask()
    try:
        job.config["none"]
    except KeyError as error:
        study.tell(job, status="failed", note=error)
    assert study.trials[0].note.startswith("Traceback")
    assert study.trials[0].note.endswith("KeyError: 'none'\n")


@pytest.mark.parametrize("searcher", [5, Zoom], ids=["a number", "a class"])
def test_what_is_no_searcher_is_told_before_anything_is_stored(searcher, tmp_path):
    with pytest.raises(StudyError, match=r"a searcher has a method decide; got .*: give an object that has it"):
        zi.Study(SPACE, store=tmp_path / "z.db", searcher=searcher)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("score", [np.float32(0.5), np.array(0.5), [0.5], 0.5])
def test_numbers_of_numpy_and_one_score_alone_are_taken(score):
    study = zi.Study(SPACE, max_epochs=np.int64(8), seed=np.int64(3), store=None)
    (job,) = study.ask(np.int64(1))
    study.tell(job, losses=score)
    assert (study.best.loss, study.max_epochs, study.seed) == (0.5, 8, 3)
    assert repr(study) == "<Study 'study': 1 trial, 1 epoch of search, best 0.5>"


def test_a_closed_study_takes_nothing_that_would_be_lost(tmp_path):
    study = zi.Study(SPACE, store=tmp_path / "z.db", name="s")
    (job,) = study.ask()
    study.close()
    for use in (study.ask, lambda: study.tell(job, losses=[1.0])):
        with pytest.raises(
            StudyError, match=r"a study that was loaded, or closed.* is read-only; 's' in .*: go on with zi.Study"
        ):
            use()
    with zi.Study(SPACE, store=tmp_path / "z.db", name="s") as again:
        again.tell(again.ask()[0], losses=[1.0])
    assert len(again.trials) == 1


@pytest.mark.parametrize(
    ("store", "sentence"),
    [
        ("sqlite:///trials.db", r"not a database's address; 'sqlite:///trials.db' is one: use 'trials.db'\."),
        (Path("postgresql://host/db"), r"not a database's address; .* is one: use 'host/db'\."),
        (":memory:", "':memory:' is one: use store=None for memory alone"),
        (3, r"a store is a file, or None for memory alone; store=3: use store='zeroin.db'"),
    ],
)
def test_a_store_that_is_no_file_is_told(store, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for use in (lambda: zi.Study(SPACE, store=store), lambda: zi.tune(loss_of, SPACE, store=store)):
        with pytest.raises(StoreError, match=sentence):
            use()
    with pytest.raises(StoreError, match=r"a store is a file; '.*' is a folder: use '.*zeroin.db'"):
        zi.load(store=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_kept_may_lie_in_the_users_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    study = zi.tune(loss_of, SPACE, trials=12, store="~/z.db", name="s", playbook="~/team.db")
    assert len(zi.load("s", "~/z.db").trials) == 12
    assert study.report("~/deep/r.html") == tmp_path / "deep" / "r.html"
    assert {"z.db", "team.db"} <= {file.name for file in tmp_path.iterdir()}


@pytest.mark.parametrize("start", [None, 3, "lr"])
def test_what_is_no_list_of_configs_to_start_with_is_told(start):
    with pytest.raises(StudyError, match=r"start= takes a list of configs; start=.*: use start=\["):
        zi.Study(SPACE, store=None, start=start)


def test_a_config_is_the_users_to_change(tmp_path):
    with zi.Study(SPACE, max_epochs=4, store=None) as study:
        for _ in range(12):
            (job,) = study.ask()
            losses = curve(job)
            job.config.pop("lr")
            study.tell(job, losses=losses)
        best = study.best.config
        best.clear()
        assert all("lr" in trial.config for trial in (study.best, *study.trials))


def test_of_equal_scores_the_trial_trained_longest_is_the_best_everywhere():
    study = zi.Study(SPACE, max_epochs=4, store=None, start=[{"lr": 0.1}, {"lr": 0.2}])
    short, whole = study.ask(2)
    study.tell(short, losses=[0.5])
    study.tell(whole, losses=[0.9, 0.7, 0.5, 0.6])
    assert study.best.number == 1
    assert winner(study.history) == study.best.config


def test_what_json_does_not_have_is_null_in_an_export():
    def told(name):
        raise AssertionError(name)

    space = zi.Space(clip=zi.Choice(1.0, math.inf), x=zi.Float(0, 1))
    study = zi.tune(lambda config: config["x"], space, trials=4, store=None, start=[{"clip": math.inf}])
    exported = json.loads(as_json(study.header, study.history), parse_constant=told)
    assert exported["trials"][0]["config"]["clip"] is None


def test_the_report_of_a_study_without_a_store_outlives_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    zi.tune(loss_of, SPACE, trials=2, store=None).report()
    gc.collect()
    assert (tmp_path / "report.html").is_file()


def test_any_thread_may_use_a_study(tmp_path):
    with zi.Study(SPACE, store=tmp_path / "z.db", name="s") as study:

        def use():
            (job,) = study.ask()
            study.tell(job, losses=[0.5])

        for _ in range(2):
            with ThreadPoolExecutor(1) as pool:
                pool.submit(use).result()
    assert len(zi.load("s", tmp_path / "z.db").trials) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no copies of processes")
def test_a_copy_of_the_process_writes_nothing(tmp_path):
    study = zi.Study(SPACE, store=tmp_path / "z.db", name="s")
    (job,) = study.ask()
    if os.fork() == 0:
        try:
            study.tell(job, losses=[9.0])
        except StoreError as error:
            study.close()
            os._exit(3 if "a copy of it that os.fork() made: end the copy with os._exit(0)" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 3
    with pytest.raises(StoreError, match="one process at a time writes a study"):
        zi.Study(SPACE, store=tmp_path / "z.db", name="s")
    study.tell(job, losses=[0.5])
    study.close()
    assert zi.load("s", tmp_path / "z.db").best.loss == 0.5


def test_what_is_no_character_is_kept_written_out(tmp_path):
    def raises(config):
        raise ValueError("half a pair: \ud83d")

    with pytest.raises(StudyError, match=r"half a pair: \\ud83d"):
        zi.tune(raises, SPACE, trials=5, store=tmp_path / "z.db", name="s", task_name="a\udcff.py")
    study = zi.Study(SPACE, store=tmp_path / "z.db", name="t", task="a\udcff.py")
    study.tell(study.ask()[0], status="failed", note="\ud83d")
    study.close()
    assert zi.load("t", tmp_path / "z.db").trials[0].note == "\\ud83d"


@pytest.mark.parametrize("playbook", [3, None, "own.py"])
def test_what_is_no_playbook_is_told_before_anything_is_stored(playbook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text("x = 1\n" * 99)
    with pytest.raises(PlaybookError, match=r"(a playbook is|playbook= takes) .*playbook=False"):
        zi.tune(loss_of, SPACE, trials=3, store="z.db", name="s", playbook=playbook)
    assert [file.name for file in tmp_path.iterdir()] == ["own.py"]


def test_without_pandas_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(StudyError, match=r"pandas is not installed: run `pip install pandas`, or use study.trials"):
        zi.Study(SPACE, store=None).to_dataframe()


def test_what_a_study_in_memory_wrote_goes_with_it():
    study = zi.Study(SPACE, store=None)
    folder = study.folder
    assert folder.is_dir()
    del study
    gc.collect()
    assert not folder.exists()


def test_configs_to_start_with_are_tried_also_where_a_study_goes_on(tmp_path):
    given = {"store": tmp_path / "z.db", "playbook": False}
    zi.tune(loss_of, SPACE, trials=15, start=[{"lr": 0.5}], **given)
    more = [{"lr": 0.5}, {"lr": 0.25}, {"lr": 0.25}]
    study = zi.tune(loss_of, SPACE, trials=19, start=more, **given)
    assert [(t.number, t.config["lr"]) for t in study.trials if t.kind == "start"] == [(0, 0.5), (15, 0.25), (16, 0.25)]
    assert len(zi.tune(loss_of, SPACE, trials=22, start=more, **given).trials) == 22


def test_a_study_is_loaded_without_its_space_and_only_read(tmp_path):
    with zi.Study(SPACE, store=tmp_path / "z.db", goal="maximize", max_epochs=4, name="s") as study:
        for _ in range(3):
            (job,) = study.ask()
            study.tell(job, losses=[job.config["lr"]])
        loaded = zi.load("s", tmp_path / "z.db")  # while it is written
        assert loaded.trials == study.trials
        assert loaded.best.loss == study.best.loss
        assert (loaded.space, loaded.goal, loaded.max_epochs) == (SPACE, "maximize", 4)
        with pytest.raises(StudyError, match="is read-only"):
            loaded.ask()
    assert zi.load(store=tmp_path / "z.db").name == "s"
    assert zi.load("s", tmp_path / "z.db").report().parent == study.folder
    with pytest.raises(StoreError, match="is not there"):
        zi.load("s", tmp_path / "other.db")


def test_going_on_is_told_where_nobody_listens(tmp_path, caplog):
    for trials in (2, 3):
        zi.tune(loss_of, SPACE, trials=trials, store=tmp_path / "z.db", name="s", playbook=False)
        assert ("goes on: 2 trials and 2 epochs are known; another name=" in caplog.text) == (trials == 3)
        assert "nothing was trained" not in caplog.text
    zi.tune(loss_of, SPACE, trials=3, store=tmp_path / "z.db", name="s", playbook=False)
    assert "'s': nothing was trained, because its budget was spent before: it is that of all calls" in caplog.text
