"""Does memory help where networks really train? Each ready-made task in turn is left out of the playbook.

    python benchmarks/playbook_live.py lessons             # a study of 30 trainings a task and its lesson; about 20 min
    python benchmarks/playbook_live.py none playbook       # 20 trainings without memory, and with the others' lessons
    python benchmarks/playbook_live.py report              # the table again, from what is there
    python benchmarks/playbook_live.py none playbook --tasks digits cells --seeds 3

The best of many noisy validation scores says more of luck than of the config: the more scores a study saw, the better
its best one looks. So what is compared is the truth of each study's incumbent, as it stood after 1, 2, 5, 10 and 20
full trainings' epochs: the config is trained again in full with fresh seeds, and their mean counts. The level to reach
is that of the studies without memory after 20. The same for both variants: the seeds, and the space, that of 30
trainings. The test set is looked at in these new trainings alone, for the table, and chooses nothing.

A task without a lesson in `--out` lends the one that comes with zeroin. Runs already in `--out` are not run again;
`make_playbook.py --live FOLDER` ships the lessons.
"""

import argparse
import json
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import zeroin as zi
from adaptor import seed_of
from families import Array
from playbook import LEVEL
from zeroin.history import History, incumbent
from zeroin.playbook import Lesson, Playbook, lesson_of, scenario_of, shipped
from zeroin.playbook.lesson import from_json, to_json
from zeroin.protocols import Trainable
from zeroin.tasks import TASKS, load
from zeroin.types import Config, Decision, Kind, Observed, Proposal
from zeroin.winner import scores

LIVE = 30  # full trainings of a study that teaches: real networks train here
MARKS = (1, 2, 5, 10, LEVEL)  # full trainings after which a study is asked for its incumbent
AGAIN = 4  # fresh seeds of each incumbent
DRAWS = 1000  # of tasks and seeds, for how sure the medians are
CHEAP_FIRST = ("digits", "cells", "lending", "ames", "vowels", "diamonds", "electricity", "reviews", "mnist5k")
VARIANTS = ("none", "playbook")


@dataclass(frozen=True, slots=True)
class Again:
    """A searcher that trains given configs in full, each with `AGAIN` seeds."""

    configs: tuple[Config, ...]

    def decide(self, space: zi.Space, history: History, free: int, *, max_epochs: int, seed: int) -> Decision:
        """The next of these trainings."""
        del space, seed  # nothing is drawn
        due = [config for config in self.configs for _ in range(AGAIN)][len(history.trials) :]
        return Decision(tuple(Proposal(max_epochs, Kind.CONFIRM, "again", config=config) for config in due[:free]))


def studied(
    task: Trainable, seed: str, trainings: int, playbook: Playbook | None = None, store: Path | None = None
) -> tuple[zi.Study, dict[int, Config]]:
    """A study of a ready-made task without fresh seeds at its end, and its incumbents after so many full trainings."""
    found: dict[int, Config] = {}
    seen = 0

    def hear(study: zi.Study, event: Any) -> None:
        nonlocal seen
        seen += isinstance(event, Observed)
        best = incumbent(study.history)
        if best:  # the last one before a mark is passed stays
            found.update({mark: best.config for mark in MARKS if seen <= mark * task.max_epochs})

    study = zi.tune(
        task,
        task.space_for(LIVE),
        epochs=trainings * task.max_epochs,
        store=store,
        seed=seed_of(seed),
        playbook=playbook or False,
        confirm=0,
        listen=hear,
    )
    return study, found


def truths(task: Trainable, seed: str, configs: Sequence[Config]) -> list[dict[str, float]]:
    """Of each config the mean loss, and the mean test metric, of fresh trainings in full."""
    different = [config for i, config in enumerate(configs) if config not in configs[:i]]
    study = zi.tune(
        task,
        task.space_for(LIVE),
        epochs=60 * task.max_epochs,  # of a user's study: trained in stacks as that is
        store=None,
        seed=seed_of(seed),
        playbook=False,
        confirm=0,
        searcher=Again(tuple(different)),
    )
    found = [next(score for score in scores(study.history) if score.config == config) for config in configs]
    return [{"loss": score.mean, "test": float(np.mean(score.tests))} for score in found]


def lesson_from(name: str, folder: Path) -> Lesson:
    """What a ready-made task teaches; a study that was cut short goes on from the store in the folder."""
    task = load(name)
    folder.mkdir(parents=True, exist_ok=True)
    study, _ = studied(task, f"{name}@past", LIVE, store=folder / f"past-{name}.db")
    scenario = scenario_of(task, study.space, task.max_epochs)
    return lesson_of(replace(study.header, name=name, scenario=scenario, created=""), study.history)


def without(folder: Path, name: str) -> Playbook:
    """A playbook of the lessons of all ready-made tasks but one."""
    lessons = {lesson.name: lesson for lesson in shipped() if lesson.name in TASKS}
    lessons |= {f.stem[7:]: from_json(json.loads(f.read_text())) for f in folder.glob("lesson-*.json")}
    book = Playbook(Path(tempfile.mkdtemp()) / "playbook.db", shipped=False)
    book.learn(*(lesson for other, lesson in lessons.items() if other != name))
    return book


def teach(folder: Path, name: str) -> None:
    """The lesson of a task, kept in the folder."""
    file = folder / f"lesson-{name}.json"
    if not file.exists():
        file.write_text(json.dumps(to_json(lesson_from(name, folder))))


def run(folder: Path, name: str, variant: str, seed: int) -> None:
    """One study, what its incumbents are worth, and the minutes it took, kept in the folder."""
    file = folder / f"{variant}-{name}-{seed}.json"
    if file.exists():
        return
    began = time.process_time()
    task = load(name)
    _, found = studied(task, f"{name}@{seed}", LEVEL, without(folder, name) if variant == "playbook" else None)
    minutes = round((time.process_time() - began) / 60, 2)
    told = truths(task, f"{name}@{seed}@again", [found[mark] for mark in MARKS])
    file.write_text(json.dumps({"truths": told, "incumbents": [dict(found[m]) for m in MARKS], "minutes": minutes}))
    print(
        variant, name, seed, f"{minutes} min of CPU", [round(t["loss"], 4) for t in told], file=sys.stderr, flush=True
    )


# ------------------------------------------------------------------------------------------------ the table


def table(folder: Path, names: Sequence[str], seeds: Sequence[int]) -> str:
    """How soon each task is where its studies without memory truly are after 20 full trainings (means over seeds)."""
    marks = " | ".join(f"@{mark}" for mark in MARKS)
    out = [
        f"| task, metric, seeds | | {marks} | test @{MARKS[0]} | test @{LEVEL} | there | {LEVEL} / there | minutes |"
    ]
    out += ["|---" * (7 + len(MARKS)) + "|"]
    losses: list[dict[str, Array]] = []
    late, tells, shares = [], [], []
    for name in names:
        told = _told(folder, name, seeds)
        if not told["none"]:
            continue
        loss, test = (_truths(told, of) for of in ("loss", "test"))
        there = _there(loss)
        losses.append(loss)
        if len(told["none"]) > 1:
            late.append(
                f"{name} {_apart(loss['playbook'][:, -1] - loss['none'][:, -1]):+.1f}"
            )  # paired: the same seeds
            tells.append(f"{name} {_apart(loss['none'][:, 0] - loss['none'][:, -1]):+.1f}")
        first, level = (float(loss["none"].mean(0)[mark]) for mark in (0, -1))
        shares.append([(first - loss[v].mean(0)) / max(first - level, 1e-12) for v in VARIANTS])
        sign = 1 if TASKS[name].metric == "mase" else -1
        for v in VARIANTS:
            cells = [f"{sign * x:.4f}" for x in loss[v].mean(0)] + [f"{x:.4f}" for x in test[v].mean(0)[[0, -1]]]
            minutes = np.mean([each["minutes"] for each in told[v]])
            about = f"{name}, {TASKS[name].metric}, {len(told[v])}" if v == "none" else ""
            cells += [f"{there[v]:g}", f"{LEVEL / there[v]:.2g}", f"{minutes:.1f}"]
            out.append(f"| {about} | {v} | {' | '.join(cells)} |")
    if not losses:
        return "nothing is there yet"
    medians = zip(VARIANTS, np.median(shares, axis=0), strict=True)
    share = "; ".join(f"{v} {' '.join(f'{x:.2f}' for x in row)}" for v, row in medians)
    better = sum(loss["playbook"][:, 0].mean() < loss["none"][:, 0].mean() for loss in losses)
    (sooner, ratio), (low, high) = _medians(losses), np.quantile(_drawn(losses), [0.05, 0.95], axis=0)
    out += [
        "",
        f"{LEVEL} / there with a playbook: median {sooner:.2g} ({low[0]:.2g} to {high[0]:.2g} in nine of ten, tasks "
        f"and their seeds drawn anew); there without / with: median {ratio:.2g} ({low[1]:.2g} to {high[1]:.2g}). "
        f"{len(losses)} tasks, {AGAIN} fresh trainings an incumbent; never counts as {2 * LEVEL}. "
        f"Better with it @{MARKS[0]}: {better} of {len(losses)}. "
        f"Of what none gains from @{MARKS[0]} to @{LEVEL}, the median over tasks has at these marks: {share}. "
        "In standard errors, of tasks with several seeds: "
        f"worse with it @{LEVEL}, paired: {', '.join(late) or 'none'}; "
        f"what none gains (where that is not clear of 0, the task cannot tell): {', '.join(tells) or 'none'}.",
    ]
    return "\n".join(out)


def _told(folder: Path, name: str, seeds: Sequence[int]) -> dict[str, list[Any]]:
    """The runs of a task with those seeds of which both variants are there."""
    files = [[folder / f"{v}-{name}-{seed}.json" for v in VARIANTS] for seed in seeds]
    both = [[json.loads(file.read_text()) for file in some] for some in files if all(file.exists() for file in some)]
    return {v: [some[i] for some in both] for i, v in enumerate(VARIANTS)}


def _truths(told: Mapping[str, Sequence[Any]], of: str) -> dict[str, Array]:
    """Of each variant [seeds, marks]."""
    return {v: np.array([[each[of] for each in study["truths"]] for study in some]) for v, some in told.items()}


def _there(loss: Mapping[str, Array]) -> dict[str, float]:
    """Of each variant the first mark by which its mean is where none's is at the last one."""
    level = float(loss["none"].mean(0)[-1]) + 1e-12
    pairs = {v: zip(MARKS, some.mean(0), strict=True) for v, some in loss.items()}
    return {v: float(next((mark for mark, x in each if x <= level), 2 * LEVEL)) for v, each in pairs.items()}


def _medians(losses: Sequence[Mapping[str, Array]]) -> tuple[float, float]:
    """Over tasks: 20 / there with a playbook; there without over there with it."""
    none, book = np.array([[there[v] for v in VARIANTS] for there in map(_there, losses)]).T
    return float(LEVEL / np.median(book)), float(np.median(none / book))


def _drawn(losses: Sequence[Mapping[str, Array]]) -> Array:
    """These medians of tasks drawn anew, and of each its seeds: [draws, 2]."""
    random = np.random.default_rng(0)

    def seeds(loss: Mapping[str, Array]) -> dict[str, Array]:
        n = len(loss["none"])
        rows = random.integers(n, size=n)
        return {v: some[rows] for v, some in loss.items()}

    n = len(losses)
    return np.array([_medians([seeds(losses[i]) for i in random.integers(n, size=n)]) for _ in range(DRAWS)])


def _apart(gap: Array) -> float:
    """The mean of paired differences in their standard errors."""
    return float(gap.mean() / max(gap.std(ddof=1) / math.sqrt(len(gap)), 1e-12))


def main() -> None:
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name in given.tasks if "lessons" in given.what else ():
        teach(given.out, name)
    for seed in range(1, given.seeds + 1):
        for name in given.tasks:
            for variant in [v for v in VARIANTS if v in given.what]:
                run(given.out, name, variant, seed)
    packages = ", ".join(f"{p} {version(p)}" for p in ("zeroin", "torch", "numpy", "scipy"))
    print(f"{packages}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n")
    print(table(given.out, given.tasks, range(1, given.seeds + 1)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=("lessons", *VARIANTS, "report"))
    parser.add_argument("--tasks", nargs="+", default=CHEAP_FIRST, choices=CHEAP_FIRST)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("playbook-live"), help="folder of lessons and runs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
