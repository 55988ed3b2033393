"""Seconds until the best network so far reaches a test score: zi.tune against Optuna.

    python benchmarks/time_to_target.py --setup                            # makes Optuna's environment, once
    python benchmarks/time_to_target.py --tasks digits --seeds 5           # a few minutes a task and seed

Three ways, in turn, for each seed: `zi.tune` in one process; Optuna with its defaults (TPE, MedianPruner) and a plain
PyTorch loop (DataLoader, the optimizer as it comes) in two processes; Optuna with HyperbandPruner and zeroin's fast
loop in two processes. The same space, the same networks, one thread a process. The test score is that of the trial
which the validation set holds for the best so far, seen at the end of a trial's job; testing it takes no time. Who does
not reach the target counts as having taken all its seconds. CPU seconds are those of both processes, without their
start.
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
TARGETS = {"digits": 0.98, "mnist5k": 0.96, "reviews": 0.74, "diamonds": 0.975}  # test scores worth reaching
WAYS = {"zeroin": ("zeroin_time", 1), "plain": ("optuna_time", 2), "hyperband": ("optuna_time", 2)}


def run(way: str, task: str, seed: int, seconds: float, venvs: Path) -> list[dict[str, float]]:
    """What each trial reached and when, in order of time; `cpu` of all processes."""
    script, processes = WAYS[way]
    python = sys.executable if way == "zeroin" else str(venvs / "time" / "bin" / "python")
    paths = os.pathsep.join([str(HERE.parent / "src"), *(p for p in [os.environ.get("PYTHONPATH")] if p)])
    with tempfile.TemporaryDirectory() as folder:
        command = [python, str(HERE / "peers" / f"{script}.py"), "--task", task, "--way", way, "--seed", str(seed)]
        command += ["--seconds", str(seconds), "--folder", folder]
        environment = os.environ | ONE_THREAD | {"PYTHONPATH": paths}
        started = [subprocess.Popen(command, env=environment) for _ in range(processes)]
        if any(process.wait() for process in started):
            sys.exit(f"{way} failed: {' '.join(command)}")
        lines = [json.loads(line) for line in (Path(folder) / "trials.jsonl").read_text().splitlines()]
    return sorted(({**line, "cpu": processes * line["cpu"]} for line in lines), key=lambda line: line["wall"])


def reached(lines: list[dict[str, float]], target: float, what: str) -> float | None:
    """When the network that is best on the validation set had the target's test score."""
    best = -float("inf")
    for line in lines:
        if line["valid"] > best:
            best = line["valid"]
            if line["test"] >= target:
                return line[what]
    return None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--tasks", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    add("--seeds", type=int, default=5)
    add("--seconds", type=float, default=120.0, help="of each study at most")
    add("--setup", action="store_true", help="make Optuna's environment, then stop")
    add("--venvs", type=Path, default=HERE.parent / ".venvs", help="folder of the peers' environments")
    given = parser.parse_args()
    if given.setup:
        sys.exit(0 if set_up("time", given.venvs) else "Optuna could not be installed")
    print("| task, test score | measure | " + " | ".join(WAYS) + " | plain / zeroin | hyperband / zeroin |")
    print("|" + "---|" * (len(WAYS) + 4))
    for task in given.tasks:
        found: dict[str, list[list[dict[str, float]]]] = {way: [] for way in WAYS}
        for seed in range(given.seeds):
            for way in WAYS:
                found[way].append(run(way, task, seed, given.seconds, given.venvs))
        for what in ("wall", "cpu"):
            middle, cells = {}, []
            for way, studies in found.items():
                limit = given.seconds * (WAYS[way][1] if what == "cpu" else 1)
                times = [reached(lines, TARGETS[task], what) for lines in studies]
                missed = sum(t is None for t in times)
                known = [limit if t is None else t for t in times]
                middle[way] = statistics.median(known)
                note = f", {missed} never" if missed else ""
                cells.append(f"{middle[way]:.1f} ({min(known):.1f}..{max(known):.1f}{note})")
            ratios = [f"{middle[way] / middle['zeroin']:.1f}" for way in ("plain", "hyperband")]
            print(f"| {task}, {TARGETS[task]} | {what} s | " + " | ".join([*cells, *ratios]) + " |", flush=True)


if __name__ == "__main__":
    main()
