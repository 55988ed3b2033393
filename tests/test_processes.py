"""Worker processes: the same results as inline, whatever dies; nothing is left behind."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

import zeroin as zi
from zeroin.errors import StudyError, TaskError, ZeroinError
from zeroin.executors import gpus, place
from zeroin.executors.inline import Inline
from zeroin.executors.processes import Processes
from zeroin.executors.run import takes_run
from zeroin.types import Job, Kind, Status

SPACE = zi.Space(x=zi.Float(0, 1))


def trained(config, run):
    """Its loss depends on the seed and on what it saved; one config sleeps, one raises, one dies."""
    state = float((run.checkpoint / "state").read_text()) if run.start else 0.0
    for epoch in run.epochs():
        time.sleep(config.get("sleep", 0))
        if config.get("do") == "raise":
            raise ValueError("a mistake in the objective")
        if config.get("do") == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if config.get("do") == "die once" and epoch == 1 and not list(Path(config["folder"]).iterdir()):
            (Path(config["folder"]) / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if config.get("do") == "hang" and epoch == 1:
            time.sleep(600)
        if config.get("do") == "exit":
            os._exit(7)
        if config.get("do") == "memory":
            raise MemoryError
        state += config["x"] * (epoch + 1) + run.seed % 7
        gpus_seen = float(os.environ.get(gpus.VISIBLE, "-1").replace(",", "."))
        run.report(state, threads=float(os.environ["OMP_NUM_THREADS"]), pid=float(os.getpid()), gpus=gpus_seen)
        (run.checkpoint / "state").write_text(str(state))


def plain(config):
    return (config["x"] - 0.3) ** 2


def stuck(config):
    time.sleep(600 * (config["x"] > 0.9))
    return config["x"]


def wrong(config, run):
    for _ in run.epochs():
        pass  # reports nothing: a mistake that no other config mends


def job(number, start=0, stop=3, trial=None, **config):
    trial = number if trial is None else trial
    return Job(number, trial, {"x": 0.5, **config}, 100 + trial, start, stop, Kind.SCREEN, "")


def work(executor, jobs, answer=lambda job, seen: True):
    """Do all the jobs; losses by job, and how they ended."""
    losses, ended = {j.number: [] for j in jobs}, {}

    def report(of, seen, *, with_next=False):
        losses[of.number].append((seen.epoch, seen.loss))
        return answer(of, seen)

    for one in jobs:
        executor.start(one, one.start)
    while len(ended) < len(jobs):
        ended |= {e.job: e for e in executor.wait(report)}
    return losses, ended


@pytest.fixture
def pair(tmp_path):
    executor = Processes(partial(Inline, trained, tmp_path / "pair", 6), 2)
    yield executor
    executor.close()


def copies(folder, **grouped):
    """As `pair`, but workers are copies of this process where it can be copied: they are there at once."""
    return closing(Processes(partial(Inline, trained, folder, 6), 2, forked=place.can_fork(), **grouped))


def test_jobs_come_out_as_inline_whatever_the_timing(tmp_path, pair):
    jobs = [job(i, x=i / 10, sleep=0.05 * (i % 3 == 0)) for i in range(7)]
    losses, ended = work(pair, jobs)
    inline, _ = work(Inline(with_environment(trained), tmp_path / "inline", 6), jobs)
    assert losses == inline
    assert all(e.status is Status.DONE and e.seconds > 0 for e in ended.values())
    more = [job(10 + i, start=3, stop=5, trial=i, x=i / 10) for i in range(7)]  # carried on, in whichever worker
    again = Inline(with_environment(trained), tmp_path / "inline", 6)
    assert work(pair, more)[0] == work(again, more)[0]


@pytest.mark.skipif(not place.can_fork(), reason="this process cannot be copied")
def test_copies_of_this_process_do_jobs_as_inline_and_import_nothing(tmp_path):
    own = {"offset": 3.0}

    def objective(config, run):  # no other process could import it
        for _ in run.epochs():
            run.report(config["x"] + own["offset"], pid=float(os.getpid()))

    executor = Processes(partial(Inline, objective, tmp_path, 6), 2, forked=True)
    pids = set()
    try:
        losses, _ = work(
            executor, [job(i, x=i / 10) for i in range(6)], lambda _, o: pids.add(o.metrics["pid"]) or True
        )
    finally:
        executor.close()
    assert losses == {i: [(epoch, i / 10 + 3.0) for epoch in (1, 2, 3)] for i in range(6)}
    assert os.getpid() not in pids
    assert not any(alive(int(pid)) for pid in pids)


def test_a_process_in_which_another_thread_works_is_not_copied():
    going = threading.Event()
    other = threading.Thread(target=going.wait)
    other.start()
    assert not place.can_fork()
    going.set()
    other.join()


def with_environment(objective):
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return objective


def test_workers_are_kept_and_have_one_thread(pair, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    seen = []
    work(pair, [job(i) for i in range(6)], lambda _, o: seen.append(o.metrics) or True)
    assert {m["threads"] for m in seen} == {1.0}
    assert 1 <= len({m["pid"] for m in seen}) <= 2
    assert os.getpid() not in {m["pid"] for m in seen}


def test_gpus_that_the_environment_names_are_shared_out_without_pytorch(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    assert gpus.share(0, 2) == {}
    monkeypatch.setenv(gpus.VISIBLE, "2,5")
    assert [gpus.share(number, 2)[gpus.VISIBLE] for number in range(2)] == ["2", "5"]
    assert gpus.share(0, 1) == {}


def test_each_worker_has_gpus_of_its_own_and_one_that_replaces_another_has_the_same(pair, monkeypatch, tmp_path):
    monkeypatch.setattr(gpus, "visible", lambda: ["2", "5"])
    (tmp_path / "once").mkdir()
    seen, once = {}, {"folder": str(tmp_path / "once"), "do": "die once"}
    jobs = [job(0, sleep=0.1, **once), *(job(i, sleep=0.1) for i in (1, 2, 3))]
    work(pair, jobs, lambda _, o: seen.update({o.metrics["pid"]: o.metrics["gpus"]}) or True)
    assert set(seen.values()) == {2.0, 5.0}
    assert sorted(worker.number for worker in pair._workers) == [0, 1]
    assert gpus.VISIBLE not in os.environ


@pytest.mark.parametrize(
    ("named", "workers", "shares"),
    [
        ("", 1, [None]),
        ("", 2, ["0,2", "1,3"]),
        ("", 5, ["0", "1", "2", "3", "0"]),
        ("GPU-a,GPU-b", 2, ["GPU-a", "GPU-b"]),
        ("3", 2, [None, None]),
    ],
)
def test_gpus_are_shared_out_among_workers(named, workers, shares, monkeypatch):
    import torch

    monkeypatch.setenv(gpus.VISIBLE, named)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(named.split(",")) if named else 4)
    assert [gpus.share(n, workers).get(gpus.VISIBLE) for n in range(workers)] == shares


@pytest.mark.slow
def test_a_job_waits_for_whichever_worker_is_free_first(tmp_path):
    """Of three groups beside a long job none is put in a queue behind it, though its worker has room."""
    pids = {}
    jobs = [job(0, kind="long", sleep=0.5), *(job(i, kind=i) for i in (1, 2, 3))]
    with copies(tmp_path, rows=2, grouping=("kind",)) as executor:
        work(executor, [job(8, kind="first", sleep=0.2), job(9, kind="second", sleep=0.2)])  # both workers are there
        work(executor, jobs, lambda of, o: pids.update({of.number: o.metrics["pid"]}) or True)
    assert pids[1] == pids[2] == pids[3] != pids[0]


@pytest.mark.slow
def test_a_group_goes_on_where_it_began_and_equal_jobs_are_shared_out(tmp_path):
    pids = {}

    def note(of, seen):
        pids[of.number] = seen.metrics["pid"]
        return True

    with copies(tmp_path, rows=4, grouping=("kind",)) as executor:
        work(executor, [job(8, kind="a", sleep=0.2), job(9, kind="b", sleep=0.2)], note)  # both workers are there
        work(executor, [job(i, kind="ab"[i % 2], sleep=0.01) for i in range(4)], note)
        work(executor, [job(i, kind="c", sleep=0.01) for i in range(10, 14)], note)
    assert [pids[i] for i in range(4)] == [pids[8], pids[9]] * 2
    assert sorted([pids[i] for i in range(10, 14)].count(pids[n]) for n in (8, 9)) == [2, 2]


@pytest.mark.slow
def test_what_goes_wrong_is_told_and_the_rest_goes_on(pair):
    jobs = [job(0, do="raise"), job(1, do="die"), job(2, do="exit"), job(3, do="memory"), job(4), job(5)]
    losses, ended = work(pair, jobs)
    assert [ended[i].status for i in range(6)] == [
        Status.FAILED, Status.FAILED, Status.FAILED, Status.OUT_OF_MEMORY, Status.DONE, Status.DONE,
    ]  # fmt: skip
    assert "a mistake in the objective" in ended[0].note
    assert "SIGKILL" in ended[1].note
    assert "exit status 7" in ended[2].note
    assert len(losses[4]) == len(losses[5]) == 3


@pytest.mark.slow
def test_an_epoch_that_hangs_is_ended_and_the_others_go_on(tmp_path):
    began = time.monotonic()
    with copies(tmp_path / "pair") as executor:
        executor.patience = 0.6
        losses, ended = work(executor, [job(0, do="hang"), *(job(i, sleep=0.01) for i in range(1, 6))])
    assert time.monotonic() - began < 30
    assert [ended[i].status for i in range(6)] == [Status.TIMED_OUT] + [Status.DONE] * 5
    assert re.fullmatch(r"no epoch ended within .* s; its process was killed", ended[0].note)
    assert ended[0].seconds >= 0.6
    assert [epoch for epoch, _ in losses[0]] == [1]
    assert all(len(losses[i]) == 3 for i in range(1, 6))
    study = zi.tune(stuck, SPACE, trials=6, workers=2, trial_minutes=0.01, start=[{"x": 0.99}], store=tmp_path / "z.db")
    assert study.trials[0].status is Status.TIMED_OUT
    assert [t.status for t in study.trials[1:]] == [
        Status.TIMED_OUT if t.config["x"] > 0.9 else Status.DONE for t in study.trials[1:]
    ]
    assert study.best.config["x"] <= 0.9


def test_a_job_whose_worker_died_is_done_again_by_itself(tmp_path):
    once = tmp_path / "once"
    once.mkdir()
    jobs = [job(i, do="die once" if i == 2 else "", folder=str(once), sleep=0.01) for i in range(5)]
    with copies(tmp_path / "pair") as executor:
        losses, ended = work(executor, jobs)
    assert {e.status for e in ended.values()} == {Status.DONE}
    again = [job(i, folder=str(once), sleep=0.01) for i in range(5)]
    whole, _ = work(Inline(with_environment(trained), tmp_path / "inline", 6), again)
    assert {i: sorted(set(told)) for i, told in losses.items()} == whole  # an epoch that was told is told again


def test_a_kill_by_the_kernel_is_told_from_one_by_a_person(monkeypatch):
    monkeypatch.setattr(place, "out_of_memory_kills", lambda: 3)
    assert place.killed_for_memory(-signal.SIGKILL, 2)
    assert not place.killed_for_memory(-signal.SIGKILL, 3)
    assert not place.killed_for_memory(1, 2)


def test_a_no_ends_the_job_after_that_epoch(tmp_path):
    jobs = [job(0, stop=6, sleep=0.01), job(1, stop=6)]
    with copies(tmp_path) as executor:
        losses, ended = work(executor, jobs, lambda j, o: j.number == 1 or o.epoch < 2)
    assert [epoch for epoch, _ in losses[0]] == [1, 2]
    assert len(losses[1]) == 6
    assert ended[0].status is Status.DONE


def test_a_mistake_that_no_config_mends_stops_the_study(tmp_path):
    with pytest.raises(TaskError, match="each epoch reports its loss once"):
        zi.tune(wrong, SPACE, max_epochs=4, trials=8, workers=2, store=tmp_path / "z.db")


def test_tune_with_workers(tmp_path):
    study = zi.tune(plain, SPACE, trials=12, workers=2, store=tmp_path / "z.db", name="a")
    assert len(study.trials) == 12
    alone = zi.tune(plain, SPACE, trials=12, store=None, name="a")
    assert [t.seed for t in study.trials] == [t.seed for t in alone.trials]
    assert all(t.loss == plain(t.config) for t in study.trials)


# --- scripts of a user


GUARDED = """
import sys, time
from pathlib import Path
import zeroin as zi

def objective(config, run):
    for epoch in run.epochs():
        (Path(sys.argv[1]) / f"pid-{__import__('os').getpid()}").touch()
        time.sleep(SLEEP)
        run.report(config["x"])

SPACE = zi.Space(x=zi.Float(0, 1))
"""
CALL = "zi.tune(objective, SPACE, trials=4, max_epochs=2, workers=2, store=Path(sys.argv[1]) / 'z.db', name='a')"


def script(folder: Path, call: str, sleep: float = 0.0) -> list[str]:
    path = folder / "own.py"
    path.write_text(GUARDED.replace("SLEEP", str(sleep)) + textwrap.dedent(call))
    return [sys.executable, str(path), str(folder)]


@pytest.mark.slow
def test_a_script_with_a_guard_works(tmp_path):
    done = subprocess.run(script(tmp_path, f"if __name__ == '__main__':\n    {CALL}"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_script_without_a_guard_is_told_of_it(tmp_path):
    done = subprocess.run(script(tmp_path, CALL), capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "put the call under `if __name__ == '__main__':`" in done.stderr


@pytest.mark.slow
def test_an_objective_that_workers_do_not_find_is_told(tmp_path):
    inside = f"if __name__ == '__main__':\n    def objective(config): return config['x']\n    {CALL}"
    inside = inside.replace("max_epochs=2, ", "").replace("objective", "mine")
    done = subprocess.run(script(tmp_path, inside), capture_output=True, text=True, timeout=60)
    assert "cannot be found" in done.stderr
    assert issubclass(TaskError, ZeroinError)


@pytest.mark.parametrize("how", ["-c", "-"])
def test_an_objective_of_a_notebook_is_told_before_anything_is_kept(how, tmp_path):
    cell = (
        "import zeroin as zi\ndef mine(config): return config['x']\n"
        "zi.tune(mine, zi.Space(x=zi.Float(0, 1)), trials=4, workers=2)"
    )
    command, typed = ([sys.executable, how], cell) if how == "-" else ([sys.executable, how, cell], None)
    done = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert "mine of a notebook, a prompt or standard input has none: write it to a .py file" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_daemonic_process_is_told_that_it_can_have_no_workers(monkeypatch):
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)  # as in multiprocessing.Pool
    with pytest.raises(StudyError, match=r"this one is daemonic, .* workers=2: use workers=1"):
        place.check_workers(2)
    place.check_workers(1)


COPIES = """
if __name__ == "__main__":
    from functools import partial
    from zeroin.executors.inline import Inline
    from zeroin.executors.processes import Processes
    executor = Processes(partial(Inline, objective, Path(sys.argv[1]), 2), 2, forked=True)
    zi.tune(objective, SPACE, trials=4, max_epochs=2, executor=executor, store=Path(sys.argv[1]) / 'z.db', name='a')
"""


@pytest.mark.slow
@pytest.mark.parametrize("call", [f"if __name__ == '__main__':\n    {CALL}", COPIES], ids=["new", "copies"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_worker_outlives_its_study(tmp_path, how, call, ctrl_c):
    words = script(tmp_path, call, sleep=60)
    study = subprocess.Popen(words, stderr=subprocess.DEVNULL, start_new_session=True)
    workers = within(60, lambda: [int(p.name[4:]) for p in tmp_path.glob("pid-*")], 2)
    if how is signal.SIGINT:
        os.killpg(study.pid, how)  # as the terminal does
    else:
        os.kill(study.pid, how)
    study.wait(30)
    within(10, lambda: [True] * sum(not alive(pid) for pid in workers), 2)


def test_workers_that_start_beforehand_end_where_what_follows_fails(tmp_path):
    pids = []

    def fail():
        with place.starting(2) as (worker,):
            pids.append(worker.process.pid)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not alive(pids[0])


def within(seconds, look, count):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = look()
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{look()} after {seconds} s")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_second_argument_with_a_default_is_the_run_where_it_is_called_so():
    assert takes_run(lambda config, run=None: 0.0)
    assert not takes_run(lambda config, data=3, run=None: 0.0)


def test_a_signal_whose_handler_leaves_ends_the_study():
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    try:
        with pytest.raises(SystemExit):
            zi.tune(lambda config: signal.raise_signal(signal.SIGTERM), SPACE, trials=3, store=None)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_objective_may_take_the_working_folder_away(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)

    def objective(config):
        os.chdir(tmp_path)
        if gone.exists():
            gone.rmdir()
        return config["x"]

    study = zi.tune(objective, SPACE, trials=3, store=None)
    assert [t.status for t in study.trials] == ["done"] * 3
