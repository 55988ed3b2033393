"""Compares hyperparameter searches on the same tasks, seeds, scales and budgets of epochs.

    python benchmarks/search.py --setup                              # makes the peers' environments, once
    python benchmarks/search.py --families lcbench taskset --methods zeroin random optuna-tpe --seeds 5

Prints the tables at the end; `report.py` prints them again from the files of results. Runs already in `--out` are not
run again, so a stopped benchmark goes on where it was. Families: see families/; methods: methods.py. Where the rules
of the comparison stand: README.md beside this file.
A study runs in its peer's environment, on one thread.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import report
from families import FAMILIES, Task, available, places
from methods import ENVIRONMENTS, HERE, METHODS, ONE_THREAD, interpreter, set_up, versions


@dataclass(frozen=True)
class Run:
    """One study: a method on a task with a seed."""

    method: str
    family: str
    task: str
    seed: int
    trainings: int

    @property
    def key(self) -> str:
        return f"{self.method}|{self.family}|{self.task}|{self.seed}|{self.trainings}"


class Results:
    """The file of finished runs, rewritten whole after each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.content: dict[str, Any] = {"versions": {}, "runs": {}}
        if path.exists():
            self.content = json.loads(path.read_text())

    def has(self, run: Run) -> bool:
        return run.key in self.content["runs"]

    def note_versions(self, method: str, found: dict[str, str]) -> None:
        self.content["versions"][method] = found

    def add(self, run: Run, result: dict[str, Any]) -> None:
        with self._lock:
            self.content["runs"][run.key] = result
            self._path.parent.mkdir(parents=True, exist_ok=True)
            scratch = self._path.with_suffix(".writing")
            scratch.write_text(json.dumps(self.content))
            scratch.replace(self._path)


def steps(observed: Sequence[Sequence[float]]) -> list[Sequence[float]]:
    """The observations that improve on all before them: all that a curve of the best so far needs."""
    kept: list[Sequence[float]] = []
    for entry in observed:
        if not kept or entry[1] < kept[-1][1]:
            kept.append(entry)
    return kept


def studies(runs: Sequence[Run], given: argparse.Namespace) -> Iterator[tuple[Run, dict[str, Any]]]:
    """Runs studies of one method and family in one process; yields those that came to an end."""
    method, first = METHODS[runs[0].method], runs[0]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "studies.jsonl"
        command = [str(interpreter(method, given.venvs)), str(HERE / "peers" / f"{method.script}.py")]
        command += ["--family", first.family, "--studies", *(f"{run.task}@{run.seed}" for run in runs)]
        command += ["--trainings", str(first.trainings * method.budget), "--out", str(out)]
        command += ["--data", str(given.data), "--cache", str(given.cache), "--setting", method.setting]
        path = os.pathsep.join(p for p in (str(HERE), os.environ.get("PYTHONPATH", "")) if p)
        environment = os.environ | ONE_THREAD | {"PYTHONPATH": path}
        limit = given.timeout * len(runs)
        try:
            done = subprocess.run(
                command, env=environment, cwd=folder, capture_output=True, text=True, timeout=limit, check=False
            )
            trouble = (done.stderr.strip() or "no output").splitlines()[-1] if done.returncode else ""
        except subprocess.TimeoutExpired:
            trouble = f"took longer than {limit:.0f} s"
        lines = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    for run, line in zip(runs, lines, strict=False):
        found = line["observed"]
        yield run, {"steps": steps(found), "seconds": line["seconds"], "spent": found[-1][0]}
    if trouble and len(lines) < len(runs):
        print(f"{runs[len(lines)].key} failed: {trouble}", flush=True)


def batches(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that may share a process: neighbours of one method and family."""
    found: list[list[Run]] = []
    for run in runs:
        last = found[-1] if found else []
        alike = last and (last[0].method, last[0].family) == (run.method, run.family)
        if alike and len(last) < METHODS[run.method].batch:
            last.append(run)
        else:
            found.append([run])
    return found


def wanted(given: argparse.Namespace, tasks: list[Task]) -> list[Run]:
    """All runs asked for, seed by seed, so that an unfinished benchmark covers all tasks."""
    return [
        Run(method, task.family, task.name, seed, given.trainings)
        for seed in range(given.first_seed, given.first_seed + given.seeds)
        for method in given.methods
        for task in tasks
        if task.max_epochs > 1 or not METHODS[method].halves
    ]


def run_all(given: argparse.Namespace, tasks: list[Task], results: Results) -> None:
    for name in given.methods:
        python = interpreter(METHODS[name], given.venvs)
        if not python.exists():
            sys.exit(f"{name} needs its environment, {python.parent.parent}: run with --setup first")
        results.note_versions(name, versions(METHODS[name], given.venvs))
    missing = [run for run in wanted(given, tasks) if not results.has(run)]
    print(f"{len(missing)} studies to run, in {given.jobs} process(es) at once", flush=True)

    def work(runs: Sequence[Run]) -> None:
        while runs:
            finished = 0
            for run, result in studies(runs, given):
                results.add(run, result)
                finished += 1
            runs = runs[finished + 1 :]  # goes on behind a study that failed

    with ThreadPoolExecutor(given.jobs) as pool:
        list(pool.map(work, batches(missing)))


def chosen(given: argparse.Namespace) -> list[Task]:
    """Of each family every so many-th task, in the order of families/."""
    tasks: list[Task] = []
    for family in given.families:
        of_family = available([family], given.data, given.cache)
        tasks += [t for t in of_family[:: given.every] if not given.tasks or t.name in given.tasks]
    return tasks


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--families", nargs="+", choices=FAMILIES, default=["lcbench", "taskset"])
    add("--tasks", nargs="+", default=[], help="only these tasks of the families")
    add("--every", type=int, default=1, help="only each family's first task and every so many-th after it")
    add("--methods", nargs="+", choices=METHODS, default=["zeroin", "random", "optuna-tpe"])
    add("--seeds", type=int, default=5)
    add("--first-seed", type=int, default=0)
    add("--trainings", type=int, default=30, help="budget of a study, in full trainings' worth of epochs")
    add("--jobs", type=int, default=1, help="studies at once")
    add("--timeout", type=float, default=1800, help="seconds a study may take")
    add("--out", type=Path, default=Path("results.json"))
    places(parser)
    add("--venvs", type=Path, default=HERE.parent / ".venvs", help="folder of the peers' environments")
    add("--ours", default="zeroin", choices=METHODS, help="the method that the others are compared with")
    add("--setup", nargs="*", choices=ENVIRONMENTS, help="make these environments of peers, or all, then stop")
    given = parser.parse_args()
    for name in ("out", "data", "cache", "venvs"):
        setattr(given, name, getattr(given, name).resolve())
    return given


def main() -> None:
    given = arguments()
    if given.setup is not None:
        for name in given.setup or ENVIRONMENTS:
            print(f"{name}: {'ready' if set_up(name, given.venvs) else 'could not be installed'}", flush=True)
        return
    results = Results(given.out)
    tasks = chosen(given)
    run_all(given, tasks, results)
    print(report.markdown(tasks, results.content, given.ours))


if __name__ == "__main__":
    main()
