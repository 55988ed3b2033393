"""What a trial and a decision cost, by counting: syncs, commits, trials looked at, kernel entries. Nothing is timed."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import zeroin as zi
from zeroin.executors.run import Run
from zeroin.history import History, incumbent
from zeroin.search import QuasiRandom, Zoom, coarse, surrogate
from zeroin.store import SqliteStore, list_studies, read_study
from zeroin.store.latesync import LateSync
from zeroin.study import Study
from zeroin.types import Asked, Ended, Event, Job, Kind, Observation, Observed, Status, Trial

SPACE = zi.Space(x=zi.Float(0, 1), lr=zi.Float(1e-5, 1, scale="log"), kind=zi.Choice("a", "b"))


def loss(config: Any) -> float:
    return float(config["x"])


def tuned(path: Path | None, trials: int, objective: Any = loss, **more: Any) -> Study:
    return zi.tune(objective, SPACE, trials=trials, searcher=QuasiRandom(), store=path, name="a", **more)


# --- the store


def test_a_trial_commits_twice(tmp_path: Path) -> None:
    statements: list[str] = []

    def listen(study: Study, _told: object) -> None:
        if not statements:
            statements.append("traced")
            study._store._db.set_trace_callback(statements.append)  # type: ignore[union-attr]

    trials = 50
    tuned(tmp_path / "z.db", trials, listen=listen)
    observed = [s for s in statements if s.startswith("INSERT OR IGNORE INTO observations")]
    assert statements.count("COMMIT") == trials  # what was asked, and with it the end of the trial before
    assert len(observed) == trials  # a statement alone is a transaction
    assert len(statements) <= 7 * trials


def test_what_was_written_is_synced_soon_and_not_a_commit_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[float] = []
    sync = LateSync._sync
    monkeypatch.setattr(LateSync, "_sync", lambda self: (synced.append(time.monotonic()), sync(self)))
    with Study(SPACE, store=tmp_path / "z.db", name="a") as study:
        for _ in range(50):
            job = study.ask()[0]
            study.tell(job, losses=[loss(job.config)])
        last = time.monotonic()
        while not synced or synced[-1] < last:
            time.sleep(0.01)
            assert time.monotonic() - last < 60
    assert len(synced) < 50


def test_what_was_reported_is_in_the_file_before_training_goes_on(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def objective(config: Any, run: Run) -> None:
        for epoch in run.epochs():
            run.report(config["x"])
            _, history = read_study(tmp_path / "z.db", "a")
            seen.append((history.trials[run.trial].epoch, epoch + 1))

    tuned(tmp_path / "z.db", 3, objective, max_epochs=4)
    assert len(seen) == 12
    assert all(stored == reported for stored, reported in seen)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("which", [Asked, Observed, Ended])
def test_a_kill_around_any_event_leaves_the_same_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: type[Event]
) -> None:
    unbroken = tuned(tmp_path / "whole.db", 5).trials
    record = Study.record

    def dies(self: Study, event: Event, **more: Any) -> None:
        if isinstance(event, which) and len(self.history.trials) == 3:
            raise Killed
        record(self, event, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Study, "record", dies)
        with pytest.raises(Killed):
            tuned(tmp_path / "cut.db", 5)
    assert tuned(tmp_path / "cut.db", 5).trials == unbroken


def test_decisions_and_ends_that_a_power_cut_took_are_had_again(tmp_path: Path) -> None:
    """As much as a tenth of a second of events may be gone: a decision, an observation, the end of a job."""
    unbroken = tuned(tmp_path / "z.db", 6).trials
    with sqlite3.connect(tmp_path / "z.db") as db:  # as the disk may hold it
        db.execute("DELETE FROM jobs WHERE number = 5")
        db.execute("DELETE FROM observations WHERE job = 5")
        db.execute("DELETE FROM trials WHERE number = 5")
        db.execute("UPDATE jobs SET status = 'running', seconds = 0 WHERE number = 4")
    db.close()
    assert tuned(tmp_path / "z.db", 6).trials == unbroken


def test_the_list_of_studies_looks_at_each_row_a_few_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trials, steps = 2_000, 0
    monkeypatch.setattr(SqliteStore, "_transaction", lambda *_args, **_more: nullcontext())  # one commit: the end
    connect = sqlite3.connect

    def at_once(*args: Any, **more: Any) -> sqlite3.Connection:
        db = connect(*args, **more)
        db.set_progress_handler(step, 100)
        return db

    def step() -> int:
        nonlocal steps
        steps += 100
        return 0

    with Study(SPACE, store=tmp_path / "z.db", name="a") as study:
        db = study._store._db  # type: ignore[union-attr]
        db.execute("BEGIN")
        for number in range(trials):
            study.record(Asked((Job(number, number, SPACE.default, 0, 0, 1, Kind.ZOOM, ""),)))
            study.record(Observed(number, Observation(1, float(number))))
            study.record(Ended(number, Status.FAILED if number % 2 == 0 else Status.DONE))
        db.execute("COMMIT")
    monkeypatch.setattr(sqlite3, "connect", at_once)
    assert list_studies(tmp_path / "z.db")[0].best == 1.0
    assert 0 < steps < 100 * trials


# --- the history and the loop


class Counting(list[Any]):
    """A list that counts how often somebody goes through it."""

    walks = 0

    def __iter__(self) -> Iterator[Any]:
        Counting.walks += 1
        return super().__iter__()


def test_no_event_and_no_quasi_random_decision_looks_at_every_trial() -> None:
    walks: list[int] = []

    def listen(study: Study, _told: object) -> None:
        history = study.history
        if not isinstance(history.trials, Counting):
            history.trials, history.jobs = Counting(history.trials), Counting(history.jobs)
            Counting.walks = 0
        incumbent(history)
        walks.append(Counting.walks)

    tuned(None, 200, listen=listen)
    assert len(walks) > 600
    assert walks[-1] == walks[100]  # what the first failures ask is over by then


def test_quasi_random_points_are_computed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    inverse = coarse._radical_inverse

    def counted(index: np.ndarray, *rest: int) -> np.ndarray:
        computed.append(len(index))
        return inverse(index, *rest)

    monkeypatch.setattr(coarse, "_radical_inverse", counted)
    coarse._block.cache_clear()
    one_by_one = np.vstack([coarse.points(i, 1, 3, seed=5) for i in range(600)])
    assert sum(computed) == 3 * 3 * coarse.BLOCK
    assert (one_by_one == coarse.points(0, 600, 3, seed=5)).all()
    assert len(np.unique(coarse.points(0, 40_000, 1, seed=5))) == 40_000


def test_the_incumbent_is_the_best_trial_whatever_happened() -> None:
    rng = np.random.default_rng(0)
    history = History(max_epochs=3)
    for _ in range(400):
        again = [t for t in history.trials if t.epoch < 3 and not t.status.is_failure]
        trial = again[rng.integers(len(again))] if again and rng.random() < 0.5 else None
        number, start = (trial.number, trial.epoch) if trial else (len(history.trials), 0)
        kind = Kind.CONFIRM if rng.random() < 0.1 else Kind.ZOOM
        history.apply(Asked((Job(len(history.jobs), number, {}, 0, start, start + 1, kind, ""),)))
        job = history.jobs[-1]
        if rng.random() < 0.9:
            history.apply(Observed(job.number, Observation(start + 1, float(rng.integers(5, 50)))))
        history.apply(Ended(job.number, Status.FAILED if rng.random() < 0.3 else Status.DONE))
        assert incumbent(history) == by_looking_at_all(history)


def by_looking_at_all(history: History) -> Trial | None:
    known = [(t.loss, -t.epoch, t.number, t) for t in history.trials if t.kind.is_search and t.loss is not None]
    return min(known, default=(None, None, None, None))[-1]


# --- the surrogate


def test_a_decision_costs_the_same_however_long_the_study(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {n: kernel_entries(n, monkeypatch) for n in (600, 2400)}
    assert entries[600] > 0
    assert entries[2400] <= 1.1 * entries[600]


def kernel_entries(trials: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Kernel entries computed for a decision that keeps the model's hyperparameters."""
    rng = np.random.default_rng(0)
    history = History()
    for number in range(trials):
        config = SPACE.config(rng.random(3))
        kind = Kind.SCREEN if number < 12 else Kind.ZOOM
        history.apply(Asked((Job(number, number, config, 0, 0, 1, kind, ""),)))
        history.apply(Observed(number, Observation(1, 0.1 + loss(config))))
        history.apply(Ended(number, Status.DONE))
    searcher = Zoom()
    searcher.decide(SPACE, history, 1, max_epochs=1, seed=0)
    count = 0
    matern = surrogate.matern

    def counted(x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        nonlocal count
        count += len(x) * len(z)
        return matern(x, z)

    with monkeypatch.context() as patch:
        patch.setattr(surrogate, "matern", counted)
        searcher.decide(SPACE, history, 1, max_epochs=1, seed=0)
    return count


def test_the_surrogate_is_never_asked_with_two_blas_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While searching, confirming, reporting and learning: a second thread makes a fit ten times slower."""
    threads: list[int] = []
    fit = surrogate.fit

    def counted(*args: Any, **more: Any) -> Any:
        threads.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return fit(*args, **more)

    monkeypatch.setattr(surrogate, "fit", counted)

    def objective(config: Any, run: Run) -> None:
        for _ in run.epochs():
            run.report(loss(config) + 1e-3 * run.seed / 2**31)

    with threadpool_limits(2, "blas"):
        study = zi.tune(
            objective, SPACE, max_epochs=2, epochs=50, confirm=2, store=tmp_path / "z.db", playbook=tmp_path / "p.db"
        )
        study.report(tmp_path / "r.html")
    assert set(threads) == {1}
