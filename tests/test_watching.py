"""Watching a study from another process: the same display, nothing written, an end when the study has ended."""

import io
import os
import re
import subprocess
import sys
import threading
import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import zeroin as zi
from zeroin.display import Display
from zeroin.history import History, incumbent
from zeroin.store import is_written
from zeroin.types import Asked, Ended, Observation, Observed, Region, Status
from zeroin.watching import news, watch
from zeroin.wording import score_words

STUDY = """
import sys, time, zeroin as zi
def objective(config, run):
    for epoch in run.epochs():
        time.sleep(0.005)
        run.report(abs(config["lr"] - 0.03) / (epoch + 1))
space = zi.Space(lr=zi.Float(1e-4, 1.0, scale="log"))
print(zi.tune(objective, space, max_epochs=4, epochs=60, confirm=2, store=sys.argv[1], name="watched",
              playbook=False).best.loss)
"""


def test_a_running_study_is_watched_to_its_end(tmp_path):
    store = tmp_path / "z.db"
    writer = subprocess.Popen([sys.executable, "-Wignore", "-c", STUDY, store], stdout=subprocess.PIPE, text=True)
    while True:
        try:
            early = zi.load("watched", store)
            break
        except zi.StoreError:  # not there yet
            assert writer.poll() is None
            time.sleep(0.02)
    told = io.StringIO()
    seen = []
    with Display(Console(file=told, width=200, soft_wrap=True)) as display:
        view = watch(store, None, lambda v, e: (seen.append(e), display(v, e)), every=0.05, quiet=0.6)
    writer.communicate(timeout=30)
    assert writer.returncode == 0
    history = zi.load("watched", store).history
    assert len(view.history.jobs) == len(history.jobs) > len(early.history.jobs)
    assert not view.history.running
    words = told.getvalue()
    assert words.startswith("watched: 1 hyperparameter (lr). Coarse round of 12 configs to epoch 1")
    assert "round 0 coarse round" in words
    assert words.count("search over; the best again with fresh seeds") == 1
    assert f"best {score_words(incumbent(history).loss)}" in words  # of two that came between two looks the better


def test_news_tells_each_job_and_region_once():
    study = zi.Study(zi.Space(x=zi.Float(0, 1)), max_epochs=4, store=None)
    whole, told = History(4), []
    for number in range(16):
        for job in study.ask(2):
            status = "diverged" if number == 3 else None
            study.tell(
                job, losses=None if status else [job.config["x"] / (e + 1) for e in range(job.epochs)], status=status
            )
        if number % 7 == 0:
            told += news(whole, now := deepcopy(study.history))
            whole = now
    told += news(whole, study.history)
    jobs = [event.jobs[0].number for event in told if isinstance(event, Asked) and event.jobs]
    assert jobs == list(range(len(study.history.jobs)))
    assert [e.job for e in told if isinstance(e, Ended)] == jobs
    assert [e.region for e in told if isinstance(e, Asked) and e.region] == study.regions
    assert any(isinstance(event, Observed) for event in told)
    assert [e.status for e in told if isinstance(e, Ended)].count(Status.DIVERGED) > 0
    assert list(news(study.history, study.history)) == []


def test_a_study_that_has_ended_is_shown_at_once(tmp_path):
    zi.tune(lambda config: config["x"], zi.Space(x=zi.Float(0, 1)), trials=4, store=tmp_path / "z.db", name="small")
    before = (tmp_path / "z.db").read_bytes()
    began, seen = time.monotonic(), []
    view = watch(tmp_path / "z.db", "small", lambda _, event: seen.append(event), quiet=0.1)
    assert time.monotonic() - began < 2
    assert len(view.history.trials) == 4
    assert len(seen) == 2
    assert (tmp_path / "z.db").read_bytes() == before


def test_a_store_written_by_a_clock_that_is_ahead_is_not_watched_until_then(tmp_path):
    store, ahead = tmp_path / "z.db", time.time() + 5
    zi.tune(lambda config: config["x"], zi.Space(x=zi.Float(0, 1)), trials=4, store=store)
    os.utime(store, (ahead, ahead))
    watch(store, None, lambda *_: None, every=0.01, quiet=0.1)
    assert time.time() < ahead


def test_a_log_that_is_deleted_as_one_looks_does_not_end_the_watching(tmp_path, monkeypatch):
    path = tmp_path / "z.db"
    zi.tune(lambda c: c["x"], zi.Space(x=zi.Float(0, 1)), trials=2, store=path, name="s", playbook=False)
    log, exists = path.with_name("z.db-wal"), Path.exists
    monkeypatch.setattr(Path, "exists", lambda file, **how: file == log or exists(file, **how))  # a moment ago
    assert len(watch(path, "s", lambda *_: None, every=0.01, quiet=0.01).trials) == 2


def test_a_watcher_is_told_the_plan_and_how_long_is_left(tmp_path, monkeypatch):
    said = io.StringIO()

    def objective(config, run):
        for epoch in run.epochs():
            run.report(config["x"] / (epoch + 1))
            view = zi.load(None, tmp_path / "z.db")
            if view.history.spent == 8:
                display(view, view.header.plan)
            if view.history.spent in (8, 20):
                display(view, Observed(0, Observation(1, 0.5)))

    monkeypatch.setattr("zeroin.display.SECONDS_BETWEEN_LINES", 0.0)
    with Display(Console(file=said, width=200, soft_wrap=True)) as display:
        zi.tune(objective, zi.Space(x=zi.Float(0, 1)), max_epochs=4, epochs=40, store=tmp_path / "z.db", playbook=False)
    lines = said.getvalue().splitlines()
    assert "40 epochs" in lines[0]
    assert "left" not in lines[1]  # nothing was seen yet of how fast it is
    assert lines[-1].endswith(" left")


def test_a_budget_in_minutes_tells_how_long_is_left_too(tmp_path, monkeypatch):
    said, now = io.StringIO(), time.time()
    zi.tune(lambda config: config["x"], zi.Space(x=zi.Float(0, 1)), trials=3, minutes=10, store=tmp_path / "z.db")
    view = zi.load(None, tmp_path / "z.db")
    plan = replace(view.header.plan, trainings=None, began=now - 120)
    monkeypatch.setattr("zeroin.display.SECONDS_BETWEEN_LINES", 0.0)
    with Display(Console(file=said, width=200, soft_wrap=True)) as display:
        display(view, plan)
        time.sleep(0.01)
        display(view, Observed(0, Observation(1, 0.5)))
    assert re.search(r"20 % of the budget, .*about (7 min 5\d s|8 min 0\d s) left$", said.getvalue().strip())


def test_the_best_is_told_anew_where_it_has_failed():
    said, study = io.StringIO(), zi.Study(zi.Space(x=zi.Float(0, 1)), max_epochs=4, store=None)
    with Display(Console(file=said, width=200, soft_wrap=True)) as display:
        study.listeners.append(display)
        for losses, status in (([0.5], None), ([0.1], "diverged")):
            (job,) = study.ask()
            study.observe(job, Observation(1, losses[0]))
            display(study, Ended(job.number, Status.DONE))  # as of an earlier job of the trial
            study.record(Ended(job.number, Status(status or "done")))
    assert re.findall(r"^best (\S+) trial (\d)", said.getvalue(), re.M) == [("0.5", "0"), ("0.1", "1"), ("0.5", "0")]


def test_a_study_that_is_not_there_is_told(tmp_path):
    with pytest.raises(zi.StoreError, match="is not there"):
        watch(tmp_path / "z.db", "small", print)


def test_a_study_whose_process_is_gone_is_watched_no_longer(tmp_path, zeroin):
    path = zeroin.folder / "zeroin.db"
    study = zi.Study(zi.Space(x=zi.Float(0, 1)), store=path, name="cut")
    study.tell(study.ask()[0], losses=[0.5])
    study.ask()
    assert is_written(path, "cut")
    assert "1 open;" in zeroin("status", "cut")[1]
    study.close()  # as the kernel does for a process that was killed
    assert not is_written(path, "cut")
    assert "1 open, its process is gone: the same command goes on" in zeroin("status", "cut")[1]
    assert watch(path, "cut", lambda *_: None, every=0.01, quiet=0.1).history.running


def test_a_study_that_still_prepares_is_waited_for(tmp_path):
    study = zi.Study(zi.Space(x=zi.Float(0, 1)), store=tmp_path / "z.db", name="slow")
    began = time.monotonic()
    threading.Timer(0.5, study.close).start()
    watch(tmp_path / "z.db", "slow", lambda *_: None, every=0.01, quiet=0.05)
    assert time.monotonic() - began >= 0.5


@pytest.mark.parametrize("width", [20, 60, 80, 120])
def test_progress_takes_one_line_of_a_terminal(width):
    said = io.StringIO()
    console = Console(file=said, width=width, force_terminal=True, soft_wrap=True)
    with Display(console) as display:
        zi.tune(lambda c: c["a_long_name"], zi.Space(a_long_name=zi.Float(0, 1)), trials=30, store=None, listen=display)
        study = zi.Study(zi.Space(x=zi.Float(0, 1)), max_epochs=50, store=None)
        lines = console.render_lines(display._progress(study), pad=False)
    assert len(lines) == 1


def test_a_failure_and_a_space_of_few_configs_are_told_in_words():
    def objective(config):
        if config["n"] == 2:
            raise MemoryError("full")
        return config["n"]

    said = io.StringIO()
    with Display(Console(file=said, soft_wrap=True)) as display:
        zi.tune(objective, zi.Space(n=zi.Int(1, 3)), trials=3, store=None, playbook=False, listen=display)
    assert "1 hyperparameter (n). It has 3 configs in all." in said.getvalue()
    assert "ran out of memory MemoryError: full" in said.getvalue()


def test_a_round_tells_where_the_least_of_ranges_is_left(tmp_path):
    said = io.StringIO()
    space = zi.Space(**{name: zi.Float(0, 1) for name in "abcde"})
    with Display(Console(file=said, width=200, soft_wrap=True)) as display:
        region = Region(1, 0, space.ranges, {n: (0.0, 0.1 * (9 - i)) for i, n in enumerate(space)}, 0.1, "zoom")
        display(zi.Study(space, store=None), Asked((), region))
    assert said.getvalue().strip() == "round 1 zoom; best likely within c 0..0.7, d 0..0.6, e 0..0.5 and 2 more"
