"""The history: what events add up to, and that the store gives the same one back."""

import numpy as np
import pytest

import zeroin as zi
from zeroin.asking import promised
from zeroin.goal import GOALS
from zeroin.history import History, incumbent
from zeroin.search import Zoom
from zeroin.store import read_study
from zeroin.types import Asked, Ended, Job, Kind, Observation, Observed, Region, Status

SPACE = zi.Space(x=zi.Float(0, 1), n=zi.Int(1, 5, when={"o": "a"}), o=zi.Choice("a", "b"))


def job(number, trial=None, start=0, stop=4, kind=Kind.SCREEN):
    trial = number if trial is None else trial
    return Job(number, trial, {"x": trial / 10, "o": "b"}, 7 + trial, start, stop, kind, "because")


def history_of(*events, max_epochs=8):
    history = History(max_epochs)
    for event in events:
        history.apply(event)
    return history


def observed(number, *losses, start=0):
    return [Observed(number, Observation(start + i + 1, loss)) for i, loss in enumerate(losses)]


def view(history):
    """All that a searcher or a report may look at."""
    return {
        "trials": list(history.trials),
        "jobs": list(history.jobs),
        "regions": list(history.regions),
        "running": [j.number for j in history.running],
        "undecided": [t.number for t in history.undecided],
        "epochs": history.epochs,
        "seconds": history.seconds,
        "spent": history.spent,
        "searched": history.searched,
        "incumbent": incumbent(history),
    }


def test_a_trial_is_the_sum_of_its_jobs():
    history = history_of(
        Asked((job(0),)), *observed(0, 3.0, 2.0, 2.5, 2.2), Ended(0, Status.DONE, "", 1.5),
        Asked((job(1, trial=0, start=4, stop=8, kind=Kind.ZOOM),)), *observed(1, 1.0, start=4),
    )  # fmt: skip
    (trial,) = history.trials
    assert (trial.losses, trial.epoch, trial.loss, trial.jobs) == ((3.0, 2.0, 2.5, 2.2, 1.0), 5, 1.0, (0, 1))
    assert (history.spent, promised(history), history.seconds, history.searched) == (5, 8, 1.5, 1)
    assert [j.number for j in history.running] == [1]


def test_a_trial_that_failed_has_no_loss_and_is_not_the_best():
    history = history_of(
        Asked((job(0), job(1))), *observed(0, 0.1), *observed(1, 0.5),
        Ended(0, Status.DIVERGED, "nan"), Ended(1, Status.DONE),
    )  # fmt: skip
    assert history.trials[0].loss is None
    assert history.trials[0].losses == (0.1,)
    assert incumbent(history).number == 1
    assert [t.number for t in history.undecided] == [1]


def test_an_epoch_trained_again_after_a_crash_counts_once():
    history = history_of(Asked((job(0),)), *observed(0, 3.0, 2.0), *observed(0, 3.0, 2.0, 1.0))
    assert history.trials[0].losses == (3.0, 2.0, 1.0)
    assert history.spent == 3


def test_a_pause_is_taken_back_when_the_trial_goes_on():
    events = [Asked((job(0),)), *observed(0, 1.0), Ended(0, Status.DONE), Asked((), None, {0: "hopeless"})]
    history = history_of(*events)
    assert history.trials[0].paused == "hopeless"
    assert history.undecided == []
    history.apply(Asked((job(1, trial=0, start=1, stop=8),)))
    assert history.trials[0].paused == ""


def test_the_best_is_the_lowest_the_deeper_where_equal_and_of_the_search_alone():
    history = history_of(
        Asked((job(0), job(1), job(2), job(3, kind=Kind.CONFIRM))),
        *observed(0, 1.0), *observed(1, 1.0, 1.0), *observed(2, 1.0), *observed(3, 0.1),
    )  # fmt: skip
    assert incumbent(history).number == 1
    assert (history.epochs.total(), history.spent, history.searched) == (5, 4, 3)
    assert incumbent(History()) is None


def random_study(path, seed):
    """A study of 60 answers with results in random order: failures, short jobs, metrics, pauses, regions."""
    rng = np.random.default_rng(seed)
    study = zi.Study(SPACE, max_epochs=8, store=path, name=f"s{seed}", seed=seed, goal=GOALS[seed % 2])
    running = []
    for _ in range(60):
        running += study.ask(int(rng.integers(1, 5)))
        if not running:
            break
        one = running.pop(int(rng.integers(len(running))))
        fate = rng.random()
        if fate < 0.1:
            study.tell(one, status=str(rng.choice(["failed", "out_of_memory", "timed_out"])), note="so it was")
        elif fate < 0.2:
            study.tell(one, losses=[1.0] * (one.epochs - 1) + [float("nan")])
        else:
            known = study.history.trials[one.trial].epoch
            for epoch in range(known, one.stop if fate > 0.3 else known + 1):
                loss = one.config["x"] + rng.random() / (epoch + 1)
                study.observe(one, Observation(epoch + 1, loss, {"accuracy": 1 - loss, "n": 3}))
            study.record(Ended(one.number, Status.DONE, "", 0.25))
    return study


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3))])
def test_the_store_gives_back_the_history_that_was_lived(tmp_path, seed):
    study = random_study(tmp_path / "z.db", seed)
    lived = view(study.history)
    header, replayed = read_study(tmp_path / "z.db", study.name)  # while the study is being written
    assert view(replayed) == lived
    assert replayed.seconds == pytest.approx(study.history.seconds)
    assert (header.name, header.goal, header.max_epochs, header.seed) == (study.name, study.goal, 8, seed)
    assert header.space == SPACE
    assert len(lived["regions"]) >= 2
    assert any(t.paused for t in lived["trials"])
    assert len({t.status for t in lived["trials"]}) >= 3
    study.close()
    with zi.Study(SPACE, max_epochs=8, store=tmp_path / "z.db", name=study.name, seed=seed, goal=study.goal) as again:
        assert view(again.history) == lived
        decided = [Zoom().decide(SPACE, h, 2, max_epochs=8, seed=seed) for h in (study.history, again.history)]
    assert decided[0] == decided[1]


def test_a_region_outlives_the_store_as_it_was(tmp_path):
    region = Region(3, 1, {"x": (0.1, 0.2), "n": (1, 4), "o": ("a", "b")}, {"x": (0.1, 0.15)}, 0.25, "zoom")
    with zi.Study(SPACE, store=tmp_path / "z.db") as study:
        study.ask(1)
        study.record(Asked((), region))
    assert read_study(tmp_path / "z.db")[1].regions[-1] == region
