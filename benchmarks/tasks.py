"""What the list of ready-made tasks promises: each tuned by its one command, one after another.

    python benchmarks/tasks.py                             # all, seed 0: about 20 min on an idle machine
    python benchmarks/tasks.py --only digits vowels --seeds 0 1
    python benchmarks/tasks.py --write                     # keep what is in --out as the list's promises

Each run is `zeroin tune NAME --json --seed SEED` in a process of its own, on one thread, with the playbook that comes
with zeroin and nothing learned besides, as a new user's. Score: the test score's mean over the fresh seeds, of the
config where the search begins and of the one that was found. Minutes: of the processor, and by the clock. Runs already
in `--out` are not run again. `--write` puts the medians over the seeds, the versions and seeds into
src/zeroin/tasks/promised.json, which the list and everything else read, and into the table of docs/tasks.md.
"""

import argparse
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from zeroin.tasks import PROMISED, TASKS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "tasks.md"
SLACK = 0.2  # how far from its promise a task may be
FIELDS = ("default", "tuned", "minutes")
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def run(name: str, seed: int) -> dict[str, float]:
    """One task tuned by its command: test scores, minutes of the processor and by the clock."""
    command = [str(Path(sys.executable).with_name("zeroin")), "tune", name, "--json"]
    began, spent = time.monotonic(), _spent()
    with tempfile.TemporaryDirectory() as folder:
        told = subprocess.run(
            [*command, "--seed", str(seed), "--store", f"{folder}/z.db", "--playbook", f"{folder}/new.db"],
            env=os.environ | ENVIRONMENT,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
    found = json.loads(told.stdout)
    fresh, best = found["fresh_seeds"], found["best"]["config"]
    default = next(each for each in fresh if each["kind"] == "default")
    tuned = next((each for each in fresh if each["config"] == best), default)  # it may be the default that won
    minutes = {"minutes": (_spent() - spent) / 60, "clock": (time.monotonic() - began) / 60}
    return {"default": default["test"]["mean"], "tuned": tuned["test"]["mean"]} | minutes


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(folder: Path, name: str) -> list[Mapping[str, float]]:
    """The runs of a task that are there."""
    return [json.loads(file.read_text()) for file in sorted(folder.glob(f"task-{name}-*.json"))]


def table(folder: Path, names: Sequence[str]) -> str:
    """Measured beside promised, and whether that is within a fifth."""
    out = [
        "| task | metric | default | tuned | core minutes | by the clock | promised | within 20 % |",
        "|---" * 8 + "|",
    ]
    for name in names:
        runs = measured(folder, name)
        if not runs:
            continue
        told = {field: [each[field] for each in runs] for field in (*FIELDS, "clock")}
        promise = PROMISED["tasks"].get(name, {})
        kept = [abs(np.median(told[f]) / promise[f] - 1) <= SLACK for f in FIELDS if promise.get(f)]
        words = " / ".join(f"{promise[f]:g}" for f in FIELDS) if promise else "nothing"
        cells = [_spread(told[f], digits) for f, digits in zip((*FIELDS, "clock"), (3, 3, 1, 1), strict=True)]
        out.append(
            f"| {name} | {TASKS[name].metric} | {' | '.join(cells)} | {words} | {'yes' if all(kept) else 'NO'} |"
        )
    return "\n".join(out)


def _spread(values: Sequence[float], digits: int) -> str:
    middle = f"{np.median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.{digits}f}..{max(values):.{digits}f})"


def write(folder: Path, names: Sequence[str], seeds: Sequence[int]) -> None:
    """Keep the medians as the list's promises, and in the table of the page."""
    data: dict[str, Any] = json.loads(json.dumps(PROMISED))
    page = PAGE.read_text("utf-8")
    for name in names:
        runs = measured(folder, name)
        if not runs:
            continue
        middle = {f: round(float(np.median([each[f] for each in runs])), 1 if f == "minutes" else 3) for f in FIELDS}
        data["tasks"][name] = middle
        data["seeds"][name] = list(seeds)
        cells = " | ".join(f"{middle[f]:g}" for f in FIELDS)
        page = re.sub(rf"(?m)^(\| `{name}` \|.*\|)[^|\n]*\|[^|\n]*\|[^|\n]*\|$", rf"\1 {cells} |", page)
    data["versions"], data["machine"] = _versions(), _machine()
    file = ROOT / "src" / "zeroin" / "tasks" / "promised.json"
    file.write_text(json.dumps(data, indent=1) + "\n", "utf-8")
    PAGE.write_text(page, "utf-8")


def _versions() -> dict[str, str]:
    return {p: version(p) for p in ("zeroin", "torch", "numpy", "scipy")} | {"Python": platform.python_version()}


def _machine() -> str:
    """The processor's name."""
    known = Path("/proc/cpuinfo")  # of Linux; `platform` has only the architecture there
    named = re.search(r"(?m)^model name\s*: (.*)$", known.read_text("utf-8")) if known.exists() else None
    return named[1] if named else platform.processor()


def main() -> None:
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.only if not given.report and not given.write else ():
        for seed in given.seeds:
            file = given.out / f"task-{name}-{seed}.json"
            if not file.exists():
                file.write_text(json.dumps(run(name, seed)))
                print(name, seed, file.read_text(), file=sys.stderr, flush=True)
    if given.write:
        write(given.out, given.only, given.seeds)
    print(", ".join(f"{k} {v}" for k, v in _versions().items()) + f", load {os.getloadavg()[0]:.1f}\n")
    print(table(given.out, given.only))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=list(TASKS), choices=list(TASKS), help="tasks")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, default=Path("tasks-benchmark"), help="folder of the runs")
    parser.add_argument("--report", action="store_true", help="only print the table of what is in --out")
    parser.add_argument("--write", action="store_true", help="keep what is in --out as the list's promises")
    return parser.parse_args()


if __name__ == "__main__":
    main()
