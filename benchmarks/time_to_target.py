"""Seconds until the best network so far reaches a test score: zi.tune against Optuna.

    python benchmarks/time_to_target.py --setup                            # makes Optuna's environment, once
    python benchmarks/time_to_target.py --tasks digits --seeds 5           # a few minutes a task and seed

Four ways, in turn, for each seed, in two processes of one thread each: Optuna with its defaults (TPE, MedianPruner)
and a plain PyTorch loop (DataLoader, the optimizer as it comes); `zi.tune` with two workers and no playbook; the same
with the playbook that comes with zeroin, the lesson of the task itself taken out; Optuna with HyperbandPruner and
zeroin's fast loop. The same space, the same default config to begin with, the same networks. The test score is that of
the trial which the validation set holds for the best so far, seen at the end of a trial's job; testing it takes no
time.

Two targets for each task. *Hard*: the median over seeds of the test score where Optuna with its defaults stands after
epochs worth 20 full trainings. *Easy*: a score that is told beforehand, below. The seconds that the first way took for
its 20 trainings are what the others have; who does not reach a target counts as having taken all of them. CPU seconds
are those of both processes. Imports and the data are read before the clock starts; that zeroin's second process starts
is within its time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from methods import ONE_THREAD, set_up

HERE = Path(__file__).resolve().parent
EASY = {"digits": 0.98, "mnist5k": 0.96, "reviews": 0.74, "diamonds": 0.975}  # test scores worth reaching
TRAININGS = 20  # that set the hard target
WAYS = {  # the script, and processes of it that are started
    "plain": ("optuna_time", 2),
    "zeroin": ("zeroin_time", 1),
    "playbook": ("zeroin_time", 1),
    "hyperband": ("optuna_time", 2),
}
PAIRS = [(peer, ours) for ours in ("zeroin", "playbook") for peer in ("plain", "hyperband")]  # whose ratio is told


def run(way: str, task: str, seed: int, seconds: float, venvs: Path) -> list[dict[str, float]]:
    """What each trial reached and when, in order of time; `cpu` of all processes."""
    script, processes = WAYS[way]
    python = sys.executable if script == "zeroin_time" else str(venvs / "time" / "bin" / "python")
    paths = os.pathsep.join([str(HERE.parent / "src"), *(p for p in [os.environ.get("PYTHONPATH")] if p)])
    with tempfile.TemporaryDirectory() as folder:
        command = [python, str(HERE / "peers" / f"{script}.py"), "--task", task, "--way", way, "--seed", str(seed)]
        command += ["--seconds", str(seconds), "--folder", folder]
        command += ["--trainings", str(TRAININGS)] if way == "plain" else []
        environment = os.environ | ONE_THREAD | {"PYTHONPATH": paths}
        started = [subprocess.Popen(command, env=environment) for _ in range(processes)]
        if any(process.wait() for process in started):
            sys.exit(f"{way} failed: {' '.join(command)}")
        lines = [json.loads(line) for line in (Path(folder) / "trials.jsonl").read_text().splitlines()]
    return sorted(({**line, "cpu": processes * line["cpu"]} for line in lines), key=lambda line: line["wall"])


def standing(lines: list[dict[str, float]]) -> float:
    """The test score of the network that is best on the validation set at the end."""
    return max(lines, key=lambda line: line["valid"])["test"]


def reached(lines: list[dict[str, float]], target: float, what: str) -> float | None:
    """When the network that is best on the validation set had the target's test score."""
    best = -float("inf")
    for line in lines:
        if line["valid"] > best:
            best = line["valid"]
            if line["test"] >= target:
                return line[what]
    return None


def cells(studies: dict[str, list[list[dict[str, float]]]], target: float, what: str) -> list[str]:
    """Of a row: the median, lowest and highest of each way, and the ratios of the medians."""
    limits = [lines[-1][what] for lines in studies["plain"]]
    middle, found = {}, []
    for way, runs in studies.items():
        times = [reached(lines, target, what) for lines in runs]
        known = [limit if t is None else t for t, limit in zip(times, limits, strict=True)]
        middle[way] = statistics.median(known)
        missed = sum(t is None for t in times)
        note = f", {missed} never" if missed else ""
        found.append(f"{middle[way]:.1f} ({min(known):.1f}..{max(known):.1f}{note})")
    return [*found, *(f"{middle[peer] / middle[ours]:.1f}" for peer, ours in PAIRS)]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--tasks", nargs="+", default=list(EASY), choices=list(EASY))
    add("--seeds", type=int, default=5)
    add("--first-seed", type=int, default=0)
    add("--out", type=Path, help="JSON file that keeps each study, and from which the same command goes on")
    add("--seconds", type=float, default=600.0, help="of a study at most")
    add("--setup", action="store_true", help="make Optuna's environment, then stop")
    add("--venvs", type=Path, default=HERE.parent / ".venvs", help="folder of the peers' environments")
    given = parser.parse_args()
    if given.setup:
        sys.exit(0 if set_up("time", given.venvs) else "Optuna could not be installed")
    kept: dict[str, list[dict[str, float]]] = (
        json.loads(given.out.read_text()) if given.out and given.out.exists() else {}
    )
    ratios = " | ".join(f"{peer} / {ours}" for peer, ours in PAIRS)
    print(f"| task, test score | measure | {' | '.join(WAYS)} | {ratios} |")
    print("|" + "---|" * (len(WAYS) + len(PAIRS) + 2))
    for task in given.tasks:
        studies: dict[str, list[list[dict[str, float]]]] = {way: [] for way in WAYS}
        for seed in range(given.first_seed, given.first_seed + given.seeds):
            seconds = given.seconds
            for way in WAYS:
                key = f"{task} {seed} {way}"
                if key not in kept:
                    kept[key] = run(way, task, seed, seconds, given.venvs)
                    if given.out:
                        given.out.write_text(json.dumps(kept))
                studies[way].append(kept[key])
                last = studies[way][-1][-1]
                print(
                    f"{task} seed {seed} {way}: test {standing(studies[way][-1]):.4g} after {last['wall']:.0f} s",
                    file=sys.stderr, flush=True,
                )  # fmt: skip
                if way == "plain":
                    seconds = studies[way][-1][-1]["wall"]
        hard = statistics.median(map(standing, studies["plain"]))
        for name, target in (("easy", EASY[task]), ("hard", hard)):
            for what in ("wall", "cpu"):
                row = " | ".join(cells(studies, target, what))
                print(f"| {task}, {name}: {target:.4g} | {what} s | {row} |", flush=True)
        ends = ", ".join(f"{way} {statistics.median(map(standing, runs)):.4g}" for way, runs in studies.items())
        print(f"\n{task}: test score at the end, median over seeds: {ends}\n", flush=True)


if __name__ == "__main__":
    main()
