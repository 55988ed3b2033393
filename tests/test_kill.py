"""What no study may lose: killed at random moments, interrupted, started twice, started with many others at once."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from zeroin.store import list_studies

ZEROIN = [sys.executable, "-c", "from zeroin.cli import main; main()"]
ENVIRONMENT = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

OBJECTIVE = """
import json, os, time
import zeroin as zi

space = zi.Space(
    lr=zi.Float(1e-4, 1.0, scale="log"), n=zi.Int(1, 9), o=zi.Choice("a", "b"), extra=zi.Float(0, 1, when={"o": "b"})
)
max_epochs = 8
LOG, SLEEP = os.environ.get("ZEROIN_TEST_LOG"), float(os.environ.get("ZEROIN_TEST_SLEEP", 0.004))


def objective(config, run):
    state = json.loads((run.checkpoint / "state.json").read_text()) if run.start else {"loss": 3.0, "epochs": []}
    for epoch in run.epochs():
        far = abs(config["lr"] - 0.03) + config["n"] / 9 + (config.get("extra", 0.5) if config["o"] == "b" else 0.3)
        state["loss"] = 0.7 * state["loss"] + 0.3 * far + (run.seed % 101) * 1e-4
        state["epochs"].append(epoch)
        time.sleep(SLEEP)
        assert state["epochs"] == list(range(epoch + 1)), "an epoch was lost, or trained twice"
        run.report(state["loss"], epochs=len(state["epochs"]))
        if LOG:  # by now the epoch must be in the store
            with open(LOG, "a") as file:
                file.write(f"{run.trial} {epoch + 1} {state['loss']!r}\\n")
        (run.checkpoint / "state.json").write_text(json.dumps(state))
"""


def target(folder):
    path = folder / "target.py"
    path.write_text(OBJECTIVE)
    return path


def start(*words, log=None, sleep=0.004):
    environment = ENVIRONMENT | {"ZEROIN_TEST_SLEEP": str(sleep)} | ({"ZEROIN_TEST_LOG": str(log)} if log else {})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*ZEROIN, *map(str, words)], env=environment, **pipes)


def run(*words, **kwargs):
    process = start(*words, **kwargs)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def rows(path, table, columns="*"):
    """A table of the store, also of one that a killed process left; none while it is being made."""
    if not path.is_file():
        return []
    db = sqlite3.connect(path, timeout=60)
    try:
        return db.execute(f"SELECT {columns} FROM {table}").fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        db.close()


def everything(path):
    """All that a study saw, but for the clock."""
    return {
        "trials": rows(path, "trials", "number, config, seed, kind, why, paused"),
        "jobs": rows(path, "jobs", "number, trial, start, stop, kind, why, status, note"),
        "observations": rows(path, "observations", "trial, epoch, job, loss, metrics"),
        "regions": rows(path, "regions", "round, after, ranges, likely, volume, why"),
    }


def wait_for(what, seconds=240):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.03)


def kill_after(process, store, observations, rng):
    """Kill a process a little after so many observations, wherever it is then."""
    try:
        wait_for(lambda: len(rows(store, "observations")) >= observations or process.poll() is not None)
        time.sleep(rng.random() * 0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL, "it came to its end before the kill"


def kill_again_and_again(folder, command, kills, seed, log=None):
    """Run a command to its end, killed at `kills` random moments; what was seen before each is still there after."""
    rng, store = random.Random(seed), folder / "killed.db"
    words = [*command, "--store", store]
    total = len(rows(folder / "whole.db", "observations"))
    for done in range(kills):
        before = rows(store, "observations")
        more = rng.randint(0, (total - len(before)) // (kills - done + 1))
        kill_after(start(*words, log=log), store, len(before) + more, rng)
        after = rows(store, "observations")
        assert set(before) <= set(after)
        if log and log.exists():
            kept = {(trial, epoch): loss for _, trial, epoch, _, loss, _ in after}
            for line in log.read_text().splitlines():
                trial, epoch, loss = line.split()
                assert kept[int(trial), int(epoch)] == float(loss)
    code, _, err = run(*words, log=log)
    assert code == 0, err
    assert everything(store) == everything(folder / "whole.db")


@pytest.mark.slow
def test_killed_at_random_moments_it_equals_the_unbroken_run_bit_for_bit(tmp_path):
    command = ["tune", target(tmp_path), "--epochs", "160", "--confirm", "2", "--name", "s", "--seed", "7"]
    code, _, err = run(*command, "--store", tmp_path / "whole.db")
    assert code == 0, err
    assert {kind for (kind,) in rows(tmp_path / "whole.db", "trials", "kind")} >= {
        "screen",
        "zoom",
        "explore",
        "confirm",
    }
    kill_again_and_again(tmp_path, command, 20, seed=20, log=tmp_path / "log")


@pytest.mark.slow
def test_digits_killed_three_times_equals_the_unbroken_run(tmp_path):
    command = ["tune", "digits", "--epochs", "80", "--max-epochs", "8"]
    code, _, err = run(*command, "--store", tmp_path / "whole.db")
    assert code == 0, err
    kill_again_and_again(tmp_path, command, 3, seed=1)


@pytest.mark.slow
def test_a_second_process_is_told_and_ctrl_c_ends_the_first_cleanly(tmp_path, ctrl_c):
    store = tmp_path / "z.db"
    command = ["tune", target(tmp_path), "--epochs", "60", "--store", store, "--name", "s"]
    first = start(*command, sleep=0.3)
    try:
        wait_for(lambda: len(rows(store, "observations")) > 3)
        code, out, err = run(*command)
        assert (code, out) == (2, "")
        assert err.startswith("zeroin: one process at a time writes a study; 's'")
        assert err.count("\n") == 1
        assert run("status", "s", "--store", store)[0] == 0  # readers are welcome
        first.send_signal(signal.SIGINT)
        out, err = first.communicate(timeout=30)
    finally:
        first.kill()
    assert first.returncode == 130
    assert "Traceback" not in out + err
    assert "nothing that was seen is lost" in out
    again = out.split("the same command: ")[1].split()
    assert again[:2] == ["zeroin", "tune"]
    seen = rows(store, "observations")
    assert len(seen) < 60
    code, out, err = run(*again[1:])
    assert code == 0, err
    assert "Goes on" in out
    assert set(seen) <= set(rows(store, "observations"))
    whole = tmp_path / "whole.db"
    assert run(*command[:4], "--store", whole, "--name", "s")[0] == 0
    assert everything(store) == everything(whole)


def test_terminating_it_is_as_good_as_ctrl_c(tmp_path):
    store = tmp_path / "z.db"
    process = start("tune", target(tmp_path), "--epochs", "60", "--store", store, "--json", sleep=0.1)
    try:
        wait_for(lambda: len(rows(store, "observations")) > 3)
        process.terminate()
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out) == (130, "")  # nothing that a program might take for a result
    assert "the same command" in err


AT_ONCE = """
import multiprocessing, sys
import zeroin as zi

def study(start, folder, name):
    start.wait()
    zi.tune(lambda c: c["x"], zi.Space(x=zi.Float(0, 1)), trials=8, store=f"{folder}/z.db", name=name)

forked, folder, many = multiprocessing.get_context("fork"), sys.argv[1], int(sys.argv[2])
start = forked.Barrier(many)
processes = [forked.Process(target=study, args=(start, folder, f"s{i}")) for i in range(many)]
for process in processes:
    process.start()
for process in processes:
    process.join()
sys.exit(any(process.exitcode for process in processes))
"""


@pytest.mark.parametrize("many", [4, pytest.param(32, marks=pytest.mark.slow)])
def test_many_processes_start_their_studies_in_one_store_at_once(tmp_path, many):
    """They start at a signal, so that all meet at the empty store."""
    command = [sys.executable, "-c", AT_ONCE, str(tmp_path), str(many)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    studies = list_studies(tmp_path / "z.db")
    assert sorted(study.name for study in studies) == sorted(f"s{i}" for i in range(many))
    assert all(study.trials == 8 and study.running == 0 for study in studies)
    configs = rows(tmp_path / "z.db", "trials", "study, number, config")
    first = {study: [] for study, *_ in configs}
    for study, _, config in sorted(configs):
        first[study].append(json.loads(config))
    assert len({json.dumps(seen) for seen in first.values()}) == 1  # the same seed, so the same trials


def test_ctrl_c_while_it_is_imported_ends_it_quietly(ctrl_c):
    command = [sys.executable, "-X", "importtime", "-c", "from zeroin_command import main; main()", "tasks"]
    begun = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert begun.stderr
    seen = next(line for line in begun.stderr if "zeroin.errors" in line)  # of some hundreds of modules the first
    begun.send_signal(signal.SIGINT)
    _, told = begun.communicate(timeout=60)
    assert "zeroin.errors" in seen
    assert begun.returncode == 130
    assert "Traceback" not in told
