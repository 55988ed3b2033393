"""A trial's checkpoint and the run that an objective is handed: nothing torn, nothing trained twice, nothing beyond."""

import errno
import shutil
import warnings
from contextlib import suppress

import pytest

from zeroin.errors import StoreError, TaskError
from zeroin.executors.checkpoint import trial_folder
from zeroin.executors.perform import perform
from zeroin.types import Job, Kind, Status


def do(objective, root, *, start=0, stop=4, known=None, max_epochs=4, kind=Kind.SCREEN, seen=None, until=None):
    """Do a job; returns how it ended and the losses it reported. Raises `until` after that many epochs."""
    losses = [] if seen is None else seen

    def heard(observation):
        losses.append((observation.epoch, observation.loss))
        return True

    job = Job(0, 3, {"x": 0.5}, 11, start, stop, kind, "because")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return perform(objective, job, root, start if known is None else known, max_epochs, heard), losses


class Killed(BaseException):
    """Ends a job as a kill would: nothing after it runs."""


def counting(config, run, *, die_before_save_of=None, die_after_save_of=None, save=lambda run: True):
    """Adds the epoch's number to its state; the loss is the state, so a lost or repeated epoch shows."""
    state = float((run.checkpoint / "state").read_text()) if run.start else 0.0
    for epoch in run.epochs():
        state += epoch + 1
        run.report(state)
        if die_before_save_of == epoch:
            raise Killed
        if save(run):
            (run.checkpoint / "state").write_text(str(state))
        if die_after_save_of == epoch:
            raise Killed


def test_a_trial_goes_on_from_where_it_was_paused(tmp_path):
    whole = do(counting, tmp_path / "whole")[1]
    first, second = do(counting, tmp_path, stop=1)[1], do(counting, tmp_path, start=1, stop=4)[1]
    assert first + second == whole == [(1, 1.0), (2, 3.0), (3, 6.0), (4, 10.0)]
    assert [p.name for p in trial_folder(tmp_path, 3).iterdir()] == ["epoch-4"]  # older ones are gone


@pytest.mark.parametrize("save", [lambda run: True, lambda run: run.saving], ids=["each epoch", "when asked"])
@pytest.mark.parametrize("when", ["die_before_save_of", "die_after_save_of"])
@pytest.mark.parametrize(("start", "at"), [(0, 0), (0, 2), (0, 3), (2, 2), (2, 3)])
def test_a_job_that_was_killed_anywhere_gives_the_same_losses_when_done_again(tmp_path, save, when, start, at):
    whole = do(counting, tmp_path / "whole")[1]
    if start:
        do(lambda c, r: counting(c, r, save=save), tmp_path, stop=start)
    seen = []
    with pytest.raises(Killed):
        do(lambda c, r: counting(c, r, save=save, **{when: at}), tmp_path, start=start, seen=seen)
    ended, again = do(lambda c, r: counting(c, r, save=save), tmp_path, start=start, known=at + 1)
    assert ended.status is Status.DONE
    merged = dict(seen) | dict(again)
    assert [merged[e] for e in range(start + 1, 5)] == [loss for _, loss in whole[start:]]
    for epoch, loss in again:
        assert dict(whole)[epoch] == loss  # an epoch trained again is the same epoch


def test_a_job_killed_between_its_last_epoch_and_its_end_is_not_called_again(tmp_path):
    def objective(config, run):
        for _ in run.epochs():
            loss = 1.0
            run.report(loss)
            (run.checkpoint / "state").write_text("x")
        return loss  # unbound where no epoch is left

    do(objective, tmp_path)
    ended, losses = do(objective, tmp_path, start=2, known=4)
    assert (ended.status, losses) == (Status.DONE, [])


def test_a_half_copied_or_torn_checkpoint_is_not_used(tmp_path):
    do(counting, tmp_path, stop=2)
    folder = trial_folder(tmp_path, 3)
    (folder / "work").mkdir()
    (folder / "work" / "state").write_text("torn")
    (folder / "copying").mkdir()
    (folder / "epoch-3").mkdir()  # beyond what the store knows
    assert do(counting, tmp_path, start=2, known=2)[1] == [(3, 6.0), (4, 10.0)]


def test_a_new_trial_takes_nothing_from_one_of_a_study_whose_store_was_deleted(tmp_path):
    do(counting, tmp_path, stop=2)
    with suppress(Killed):
        do(lambda config, run: counting(config, run, die_before_save_of=2), tmp_path)
    assert do(counting, tmp_path, known=3)[1] == [(1, 1.0), (2, 3.0), (3, 6.0), (4, 10.0)]


def test_a_lost_checkpoint_starts_afresh(tmp_path):
    do(counting, tmp_path, stop=2)
    for file in (trial_folder(tmp_path, 3) / "epoch-2").iterdir():
        file.unlink()
    (trial_folder(tmp_path, 3) / "epoch-2").rmdir()
    assert do(counting, tmp_path, start=2)[1] == [(1, 1.0), (2, 3.0), (3, 6.0), (4, 10.0)]


def test_a_trial_whose_folder_was_taken_away_trains_again_unless_it_keeps_no_state(tmp_path):
    do(counting, tmp_path, stop=2)
    shutil.rmtree(tmp_path)
    assert do(counting, tmp_path, start=2)[1] == [(1, 1.0), (2, 3.0), (3, 6.0), (4, 10.0)]

    def tolerant(config, run):  # would otherwise begin with epoch 3 of an untrained network
        saved = run.checkpoint / "state"
        with suppress(Exception):
            counting(config, run) if saved.exists() or not run.start else None

    shutil.rmtree(tmp_path)
    assert do(tolerant, tmp_path, start=2)[1] == [(1, 1.0), (2, 3.0), (3, 6.0), (4, 10.0)]


def test_what_is_written_at_once_is_seen_however_coarse_the_clock(tmp_path):
    def same_size(config, run):
        state = int((run.checkpoint / "state").read_text()) if run.start else 0
        for _ in run.epochs():
            state += 1
            run.report(state)
            (run.checkpoint / "state").write_text(str(state))

    for start in range(8):
        assert do(same_size, tmp_path, start=start, stop=start + 1, max_epochs=8)[1] == [(start + 1, start + 1)]


def before(config, run):
    """Saves before it reports; whether the job ends there is known only after."""
    state = float((run.checkpoint / "state").read_text()) if run.start else 0.0
    for epoch in run.epochs():
        state += epoch + 1
        if run.saving:
            (run.checkpoint / "state").write_text(str(state))
        run.report(state)


def stopping(config, run):
    """Stops by itself in epochs that it did not save."""
    state = float((run.checkpoint / "state").read_text()) if run.start else 0.0
    for epoch in run.epochs():
        state += epoch + 1
        run.report(state)
        if epoch in (4, 5):
            break
        if run.saving:
            (run.checkpoint / "state").write_text(str(state))


@pytest.mark.parametrize("objective", [before, stopping])
def test_what_was_saved_is_never_taken_for_the_state_of_a_later_epoch(tmp_path, objective):
    whole = {epoch: sum(range(epoch + 1)) for epoch in range(1, 9)}
    known, stops = 0, iter((2, 4, 8, 8, 8, 8))
    for stop in stops:

        def heard(observation):
            nonlocal known
            assert observation.loss == whole[observation.epoch]
            known = max(known, observation.epoch)
            return not (objective is before and observation.epoch in (5, 6))  # as when the time is over

        job = Job(0, 3, {}, 11, known, stop, Kind.SCREEN, "because")
        ended = perform(objective, job, tmp_path, known, 8, heard)
        assert ended.status is Status.DONE
        assert not (trial_folder(tmp_path, 3) / "work").exists()


def test_an_objective_without_state_goes_on_where_it_stood_and_is_asked_whether_it_should(tmp_path):
    def formula(config, run):
        for epoch in run.epochs():
            run.report(config["x"] / (epoch + 1))

    job = Job(0, 3, {"x": 0.5}, 11, 0, 2, Kind.SCREEN, "because")
    with pytest.warns(UserWarning, match=r"saved nothing to run\.checkpoint"):
        perform(formula, job, tmp_path, 0, 4, lambda _: True)
    assert do(formula, tmp_path, start=2)[1] == [(3, 0.5 / 3), (4, 0.125)]
    assert not tmp_path.joinpath("trial-00003").exists()


def test_a_run_says_what_it_is(tmp_path):
    told = []

    def objective(config, run):
        told.append((dict(run.config), run.seed, run.trial, run.start, run.stop, run.max_epochs, run.final))
        run.config["x"] = config["x"] = 9.0  # a copy
        for _ in run.epochs():
            run.report(1.0)

    job = Job(0, 3, {"x": 0.5}, 11, 0, 4, Kind.CONFIRM, "because")
    perform(objective, job, tmp_path, 0, 4, lambda _: True)
    assert told == [({"x": 0.5}, 11, 3, 0, 4, 4, True)]
    assert job.config == {"x": 0.5}


# ---------------------------------------------------------------------------------------------------------- endings


def raising(error):
    def objective(config, run):
        raise error

    return objective


class OutOfMemoryError(RuntimeError):
    """As torch's is called."""


@pytest.mark.parametrize(
    ("objective", "status", "note"),
    [
        (lambda c, r: float("nan"), Status.DIVERGED, "not finite in epoch 1"),
        (lambda c, r: float("inf"), Status.DIVERGED, "not finite in epoch 1"),
        (raising(ValueError("no such width")), Status.FAILED, "ValueError: no such width"),
        (raising(MemoryError()), Status.OUT_OF_MEMORY, "MemoryError"),
        (raising(OutOfMemoryError("CUDA")), Status.OUT_OF_MEMORY, "OutOfMemoryError"),
        (
            raising(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")),
            Status.OUT_OF_MEMORY,
            "allocate memory",
        ),
        (raising(OSError(errno.EACCES, "no")), Status.FAILED, "no"),
        (lambda c, r: 0.5, Status.DONE, ""),
    ],
)
def test_every_outcome_comes_back_as_data(tmp_path, objective, status, note):
    ended, _ = do(objective, tmp_path, stop=1, max_epochs=1)
    assert ended.status is status
    assert note in ended.note


def test_a_loss_that_is_not_finite_ends_the_trial_and_keeps_what_came_before(tmp_path):
    def objective(config, run):
        for epoch in run.epochs():
            run.report(1.0 if epoch < 2 else float("nan"))

    def by_hand(config, run):
        for epoch in range(run.start, run.stop):
            run.report(float("nan") if epoch == 2 else 1.0)

    for each in (objective, by_hand):
        ended, losses = do(each, tmp_path)
        assert (ended.status, losses) == (Status.DIVERGED, [(1, 1.0), (2, 1.0)])
        assert "not finite in epoch 3" in ended.note


def test_an_objective_may_end_early(tmp_path):
    def objective(config, run):
        for epoch in run.epochs():
            run.report(1.0)
            if epoch == 1:
                return

    ended, losses = do(objective, tmp_path)
    assert (ended.status, len(losses)) == (Status.DONE, 2)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EDQUOT, "quota")])
def test_a_full_disk_is_no_failure_of_the_trial(tmp_path, error):
    def wrapped(config, run):
        try:
            raise error
        except OSError as cause:
            raise ValueError("could not save") from cause

    for objective in (raising(error), wrapped):
        with pytest.raises(StoreError, match="free some space and give the same command again"):
            do(objective, tmp_path)


def twice(config, run):
    for _ in run.epochs():
        run.report(1.0)
        run.report(2.0)


def beyond(config, run):
    for _ in range(10):
        run.report(1.0)


def silent(config, run):
    for _ in run.epochs():
        pass


@pytest.mark.parametrize(
    ("objective", "sentence", "kept"),
    [
        (twice, r"each epoch reports its loss once; epoch 0 reports again: call run\.report\(loss\) once", 1),
        (beyond, r"a job ends at run\.stop; epoch 4 is reported beyond run\.stop=4: loop with", 4),
        (silent, r"each epoch reports its loss once; epoch 0 reported none: call run\.report\(loss\) once", 0),
        (lambda c, r: None, r"returns its loss or calls run\.report\(loss\); this one did neither: end it with", 0),
        (lambda c, r: 0.5, r"each epoch; this one returned a single loss for epochs 1 to 4: call run\.report", 0),
        (lambda c, r: r.report("low"), r"a reported loss is a number; got 'low' of type str: report float\(loss\)", 0),
        (lambda c, r: [1, 2], r"a reported loss is a number; got \[1, 2\] of type list", 0),
        (lambda c, r: r.report(1.0, accuracy="high"), r"a reported accuracy is a number; got 'high' of type str", 0),
        (lambda c, r: r.report(1.0, host="n1"), r"got 'n1' of type str: write texts to a file in run\.checkpoint", 0),
    ],
)
def test_a_wrong_use_of_the_run_is_told_at_once(tmp_path, objective, sentence, kept):
    seen = []
    with pytest.raises(TaskError, match=sentence) as told:
        do(objective, tmp_path, seen=seen)
    assert "\n" not in str(told.value)
    assert len(seen) == kept
