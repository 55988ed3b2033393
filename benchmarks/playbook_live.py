"""Does memory help where networks really train? Each ready-made task in turn is left out of the playbook.

    python benchmarks/playbook_live.py none                # studies without memory, and their lessons; about 20 min
    python benchmarks/playbook_live.py playbook            # each task with the lessons of all others; about 15 min
    python benchmarks/playbook_live.py report              # the table again, from what is there
    python benchmarks/playbook_live.py none playbook --tasks digits cells --seeds 1

Of each task a study of 30 full trainings without a playbook teaches the lesson, and its first 20 are the curve of the
first seed; further seeds have studies of 20. Then each task is tuned for 20 with the lessons of all others, under the
same seeds. All search the same space, that of 30 trainings. Score: the validation metric, the best so far at any
epoch. Runs already in `--out` are not run again; `make_playbook.py --live FOLDER` ships the lessons.
"""

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import zeroin as zi
from adaptor import seed_of
from families import Array
from playbook import LEVEL, reached
from zeroin.playbook import Lesson, Playbook, lesson_of, scenario_of
from zeroin.playbook.lesson import from_json, to_json
from zeroin.protocols import Trainable
from zeroin.tasks import TASKS
from zeroin.types import Observed

LIVE = 30  # full trainings of a study that teaches: real networks train here
CHEAP_FIRST = ("digits", "cells", "lending", "ames", "vowels", "diamonds", "electricity", "reviews", "mnist5k")
VARIANTS = ("none", "playbook")


def studied(task: Trainable, seed: str, trainings: int, playbook: Playbook | None = None) -> tuple[zi.Study, Array]:
    """A study of a ready-made task without fresh seeds at its end, and its best loss after 1, 2, ... full trainings."""
    losses: list[float] = []

    def hear(_study: zi.Study, event: Any) -> None:
        if isinstance(event, Observed):
            losses.append(min(event.observation.loss, losses[-1] if losses else math.inf))

    study = zi.tune(
        task,
        task.space_for(LIVE),
        epochs=trainings * task.max_epochs,
        store=None,
        seed=seed_of(seed),
        playbook=playbook or False,
        confirm=0,
        listen=hear,
    )
    spent = np.minimum(np.arange(1, trainings + 1) * task.max_epochs, len(losses)) - 1
    return study, np.array(losses)[spent]


def lesson_from(name: str) -> tuple[Lesson, Array]:
    """What a ready-made task teaches, and the curve of the study that taught it."""
    task = TASKS[name].make()
    study, curve = studied(task, f"{name}@past", LIVE)
    scenario = scenario_of(task, study.space, task.max_epochs)
    return lesson_of(name, study.space, study.history, scenario=scenario, version=version("zeroin")), curve


def without(folder: Path, name: str) -> Playbook:
    """A playbook of the lessons of all tasks but one."""
    file = folder / f"without-{name}.db"
    file.unlink(missing_ok=True)
    book = Playbook(file, shipped=False)
    book.learn(
        *(from_json(json.loads(f.read_text())) for f in sorted(folder.glob("lesson-*.json")) if f.stem[7:] != name)
    )
    return book


def run(folder: Path, name: str, variant: str, seed: int) -> None:
    """One study, its curve and lesson kept in the folder."""
    file = folder / f"{variant}-{name}-{seed}.json"
    if file.exists():
        return
    began, wall = time.process_time(), time.monotonic()
    at = f"{name}@{seed or 'past'}"
    if variant == "playbook":
        _, curve = studied(TASKS[name].make(), at, LEVEL, without(folder, name))
    elif seed:
        _, curve = studied(TASKS[name].make(), at, LEVEL)
    else:
        lesson, curve = lesson_from(name)
        (folder / f"lesson-{name}.json").write_text(json.dumps(to_json(lesson)))
    minutes = [round((now - then) / 60, 2) for now, then in ((time.process_time(), began), (time.monotonic(), wall))]
    file.write_text(json.dumps({"curve": [round(float(x), 6) for x in curve], "minutes": minutes}))
    print(
        variant, name, seed, f"{minutes[0]} min of CPU", *np.round(curve[[0, 4, 9, 19]], 4), file=sys.stderr, flush=True
    )


# ------------------------------------------------------------------------------------------------ the table


def table(folder: Path, names: Sequence[str], seeds: Sequence[int]) -> str:
    """How soon each task is where its studies without memory are after 20 full trainings (mean curves)."""
    out = [f"| task, metric | none @{LEVEL} | none @5 | playbook @5 | none there | playbook there | {LEVEL} / there |"]
    out += ["|---" * 7 + "|"]
    took = []
    for name in names:
        found = {v: [folder / f"{v}-{name}-{s}.json" for s in seeds] for v in VARIANTS}
        if not all(file.exists() for files in found.values() for file in files):
            continue
        none, book = (np.mean([json.loads(f.read_text())["curve"][:LEVEL] for f in found[v]], axis=0) for v in VARIANTS)
        level = float(none[LEVEL - 1])
        soon, late = (min(reached(curve, level), 2.0 * LEVEL) for curve in (book, none))
        took.append((soon, late))
        sign = 1 if TASKS[name].metric == "mase" else -1
        scores = " | ".join(f"{sign * x:.4f}" for x in (level, none[4], book[4]))
        out.append(f"| {name}, {TASKS[name].metric} | {scores} | {late:g} | {soon:g} | {LEVEL / soon:.2g} |")
    if not took:
        return "nothing is there yet"
    soon, late = np.array(took).T
    out += [
        "",
        f"{LEVEL} / reached: median {LEVEL / np.median(soon):.2g}; reached without / with a playbook: median "
        f"{np.median(late / soon):.2g}. {len(took)} tasks, {len(seeds)} seeds; never counts as {2 * LEVEL}.",
    ]
    return "\n".join(out)


def main() -> None:
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for variant in [v for v in given.what if v in VARIANTS]:
        for seed in range(given.seeds):
            for name in given.tasks:
                run(given.out, name, variant, seed)
    packages = ", ".join(f"{p} {version(p)}" for p in ("zeroin", "torch", "numpy", "scipy"))
    print(f"{packages}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n")
    print(table(given.out, given.tasks, range(given.seeds)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=(*VARIANTS, "report"))
    parser.add_argument("--tasks", nargs="+", default=CHEAP_FIRST, choices=CHEAP_FIRST)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("playbook-live"), help="folder of lessons and runs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
