"""What tuning costs beside training: the loop and the store, long studies, decisions, a whole study.

    python benchmarks/overhead.py --setup                 # makes Optuna's environment, once
    python benchmarks/overhead.py loop --folder /data     # 1,000 trivial trials, in turn with Optuna's
    python benchmarks/overhead.py long                    # 100,000 trials; then `zeroin status` and `zeroin report`
    python benchmarks/overhead.py decisions study         # time of the surrogate's decisions; a study from a table

Figures are medians over `--repeats` (seeds 0, 1, ...) with the lowest and the highest; `cpu` is user + system. What a
sync of the disk costs where the stores lie (`--folder`) is measured in the same run: everything durable waits for it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import decisions
from families import places
from methods import HERE, METHODS, ONE_THREAD, interpreter, set_up, versions

CASES = {
    "zeroin": (),
    "optuna sqlite random": ("sqlite", "RandomSampler"),
    "optuna journal random": ("journal", "RandomSampler"),
    "optuna journal qmc": ("journal", "QMCSampler"),
    "optuna sqlite qmc": ("sqlite", "QMCSampler"),
}


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Median, lowest and highest."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}..{max(values):.{digits}f})"


def sync_seconds(folder: Path) -> float:
    """Median of 50 syncs of a growing file: appended to, as a log is."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(50):
            file.write(b"x" * 8192)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def trivial_trials(case: str, given: argparse.Namespace, trials: int, seed: int, *more: str) -> dict[str, Any]:
    """Runs one case in a process and a folder of its own."""
    ours = case == "zeroin"
    method = METHODS["zeroin" if ours else "optuna-tpe"]
    script = HERE / "peers" / ("zeroin_overhead.py" if ours else "optuna_overhead.py")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        command = [str(interpreter(method, given.venvs)), str(script), "--folder", folder, *more]
        command += ["--trials", str(trials), "--seed", str(seed)]
        if not ours:
            command += ["--storage", CASES[case][0], "--sampler", CASES[case][1]]
        done = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        if "--detail" in more:
            found["verbs"] = {verb: verb_seconds(verb, Path(folder)) for verb in ("status", "report")}
    return found


def verb_seconds(verb: str, folder: Path) -> tuple[float, float, str]:
    """Wall and CPU seconds of a command on the store, and what it says."""
    began, before = time.perf_counter(), os.times()
    command = [sys.executable, "-c", "from zeroin.cli import main; main()", verb, "overhead"]
    done = subprocess.run([*command, "--store", str(folder / "zeroin.db")], capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    said = done.stdout.strip().splitlines()[0]
    if verb == "report":
        page = Path(done.stdout.strip()).read_text()
        at = page.find("The axis plots draw")
        said = f"{len(page) / 1e6:.1f} MB; " + page[at : page.find(".", at) + 1]
    return wall, cpu, said


def loop(given: argparse.Namespace) -> None:
    """Milliseconds a trial, in turn with the peers."""
    found: dict[str, list[dict[str, Any]]] = {case: [] for case in given.cases}
    syncs = []
    for seed in range(given.repeats):
        syncs.append(sync_seconds(given.folder) * 1e3)
        for case in given.cases:
            found[case].append(trivial_trials(case, given, given.trials, seed))
    print(f"{given.trials:,} trivial trials, ms a trial; a sync of this disk takes {spread(syncs)} ms\n")
    print("| case | wall | cpu | wall / zeroin | cpu / zeroin |\n|---|---|---|---|---|")
    for case, runs in found.items():
        cells = [spread([1e3 * r[what] / given.trials for r in runs]) for what in ("wall", "cpu")]
        pairs = list(zip(runs, found["zeroin"], strict=True))
        cells += [spread([theirs[what] / ours[what] for theirs, ours in pairs], 1) for what in ("wall", "cpu")]
        print(f"| {case} | " + " | ".join(cells) + " |")


def long(given: argparse.Namespace) -> None:
    """Whether a trial costs the same at the end of a long study, and whether the store still answers."""
    run = trivial_trials("zeroin", given, given.long, 0, "--detail")
    tenth = len(run["trials"]) // 10
    print(f"{given.long:,} trials in {run['wall']:.0f} s, cpu {1e3 * run['cpu'] / given.long:.3f} ms a trial")
    cost: dict[str, tuple[float, float]] = {}
    for name, part in (("first", slice(0, tenth)), ("last", slice(-tenth, None))):
        spins = run["spins"][
            slice(0, len(run["spins"]) // 10) if name == "first" else slice(-len(run["spins"]) // 10, None)
        ]
        cost[name] = statistics.median(run["trials"][part]), statistics.median(spins)
        print(
            f"{name} {tenth:,}: median {1e3 * cost[name][0]:.4f} ms of cpu a trial; a spin {1e3 * cost[name][1]:.3f} ms"
        )
    raw = cost["last"][0] / cost["first"][0]
    print(
        f"last / first {raw:.2f}; with the processor's speed taken out {raw * cost['first'][1] / cost['last'][1]:.2f}"
    )
    for verb, (wall, cpu, said) in run["verbs"].items():
        print(f"zeroin {verb}: {wall:.1f} s, cpu {cpu:.1f} s: {said}")


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "loop": loop,
    "long": long,
    "decisions": lambda given: decisions.decisions(given.repeats),
    "study": lambda given: decisions.study(given.repeats, given.data, given.cache),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all if not given")
    add("--setup", action="store_true", help="make Optuna's environment, then stop")
    add("--venvs", type=Path, default=HERE.parent / ".venvs", help="folder of the peers' environments")
    add("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the stores are made")
    add("--cases", nargs="+", choices=CASES, default=list(CASES)[:4])
    add("--trials", type=int, default=1_000)
    add("--long", type=int, default=100_000, help="trials of the long study")
    add("--repeats", type=int, default=3)
    places(parser)
    given = parser.parse_args()
    if given.setup:
        sys.exit(0 if set_up("optuna", given.venvs) else "optuna could not be installed")
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"a part is one of {', '.join(PARTS)}; got {', '.join(sorted(unknown))}")
    print("zeroin", versions(METHODS["zeroin"], given.venvs), end="; ")
    if "loop" in (given.parts or PARTS):
        print("optuna", versions(METHODS["optuna-tpe"], given.venvs), end="; ")
    print(f"seeds 0..{given.repeats - 1}, of the long study 0")
    for name in given.parts or PARTS:
        print(f"\n## {name}\n", flush=True)
        PARTS[name](given)


if __name__ == "__main__":
    main()
