"""Does memory help, and what does a misleading one cost? Each task in turn is left out of the playbook.

    python benchmarks/playbook.py                          # LCBench's development tasks, 3 seeds, about 15 min
    python benchmarks/playbook.py --family taskset --seeds 2
    python benchmarks/playbook.py --past 4 --trainings 30 --out four   # four past studies a task, 30 trainings each
    python benchmarks/playbook.py --past 4 --trainings 30 --out four --names   # the same, and what names tell
    python benchmarks/playbook.py --report                 # the table again, from what is there

Of each task one past study of 60 full trainings, the usual budget, is a lesson (more: `--past`); the lessons of all
other tasks are the playbook with which it is then tuned, with other seeds. `adversary` is a playbook of the same size
from studies that looked for the *worst* configs: its configs are bad, and its surfaces are inverted. `none` has no
playbook.

On LCBench the search goes without what it knows of how losses still fall, as that was learned from these curves; with
`--names` it has what all other tasks tell of it, as a user has it (the past studies go without).

Regret: see families/. Reached: the first full training by which the mean curve over the seeds is down to where
`none` is after 20. Lessons and runs already in `--out` are not made again, so it may be ended at any time.
"""

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import zeroin as zi
from adaptor import seed_of
from families import Absent, Array, Config, Dim, Task, load, places
from make_outlook import per_task
from outlook import left_out
from zeroin.catalogue import common
from zeroin.playbook import Lesson, Playbook, lesson_of, scenario_of
from zeroin.playbook.lesson import from_json, to_json
from zeroin.search import Zoom, hindsight
from zeroin.search.outlook import Outlook
from zeroin.search.rows import Memory

VARIANTS = ("none", "playbook", "adversary")
PAST, NOW, LEVEL = 60, 40, 20  # full trainings of a past study, of one that is measured; where `none` sets the level


def parameter(dim: Dim) -> zi.Float | zi.Int:
    kind = zi.Int if dim.kind == "int" else zi.Float
    return kind(dim.low, dim.high, scale=dim.scale)  # type: ignore[arg-type]


def space_of(task: Task) -> zi.Space:
    """The task's space, under the catalogue's names."""
    return zi.Space(**{common(d.name): parameter(d) for d in task.dims})


def studied(
    task: Task,
    seed: str,
    trainings: int,
    playbook: Playbook | None = None,
    *,
    sign: float = 1.0,
    luck: float = 0.0,
    names: Outlook | None = None,
) -> tuple[zi.Study, list[tuple[int, float]]]:
    """A study of a task, and (epochs spent, lowest loss so far) wherever it fell; `sign` -1 looks for the worst.

    With `luck` all losses of a trial are off by a normal draw of its seed, its standard deviation in units of regret.
    `names` is what the search knows on LCBench of how losses still fall.
    """
    space, theirs = space_of(task), {common(d.name): d.name for d in task.dims}
    open_curve, spent = task.open(), 0
    curves: dict[tuple[Any, ...], Array] = {}
    steps: list[tuple[int, float]] = []

    def objective(config: Config, run: Any) -> None:
        nonlocal spent
        key = tuple(sorted(config.items()))
        if key not in curves:
            curves[key] = open_curve({theirs[name]: value for name, value in config.items()}, len(curves))
        off = luck * (task.median_random - task.best) * np.random.default_rng(run.seed).normal() if luck else 0.0
        for epoch in run.epochs():
            loss, spent = float(curves[key][epoch]) + off, spent + 1
            if not steps or loss < steps[-1][1]:
                steps.append((spent, loss))
            run.report(sign * loss if math.isfinite(loss) and abs(loss) < 1e12 else math.nan)

    study = zi.tune(
        objective,
        space,
        max_epochs=task.max_epochs,
        epochs=trainings * task.max_epochs,
        store=None,
        name=f"{task.family}-{task.name}",
        seed=seed_of(seed),
        playbook=playbook or False,
        searcher=Zoom(outlook=names) if task.family.startswith("lcbench") else None,
    )
    return study, steps


def curve_of(task: Task, steps: Sequence[tuple[int, float]], trainings: int) -> Array:
    """Regret of the best so far after 1, 2, ... full trainings; 1 before anything worked."""
    at = np.arange(1, trainings + 1) * task.max_epochs
    spent, regret = np.array([s for s, _ in steps]), np.array([1.0, *(task.regret(loss) for _, loss in steps)])
    return np.asarray(regret[np.searchsorted(spent, at, side="right")])


def lesson_from(
    task: Task,
    number: int = 0,
    trainings: int = PAST,
    sign: float = 1.0,
    facts: Mapping[str, str] | None = None,
    names: Outlook | None = None,
    *,
    one_name: bool = False,
) -> Lesson:
    """What a past study of a task teaches; other numbers, other seeds. It looked for the worst if `sign` is -1.

    With `one_name` only what its objective holds tells the task, as where one objective is tuned in a loop.
    `names` is what the lesson's model knows of how losses still fall; the study went without. None where a task is left
    out, as it was learned from that one's curves, too.
    """
    study, _ = studied(task, f"{task.name}@past{number or ''}", trainings, sign=sign)
    known = {"task": f"{task.family}-{task.name}"} | dict(facts or {})
    scenario = study.header.scenario if one_name else scenario_of(None, study.space, task.max_epochs) | known
    memory = Memory(study.space, study.history, hindsight.trusted(study.space, study.history), names)
    lesson = lesson_of(replace(study.header, scenario=scenario), study.history, memory)
    return replace(lesson, created=str(number or ""))  # by which several of one task are told apart


def without(lessons: Sequence[Lesson], task: Task, folder: Path) -> Playbook:
    """A playbook of all lessons but the task's own; of a table of runs several tasks may have the same names."""
    file = folder / "left-one-out.db"
    file.unlink(missing_ok=True)
    book = Playbook(file, shipped=False)
    book.learn(*(lesson for lesson in lessons if lesson.name != f"{task.family}-{task.name}"))
    return book


def reached(curve: Array, level: float) -> float:
    """The first full training at which a curve is down to a level; infinite if it never is."""
    down = np.flatnonzero(curve <= level + 1e-12)
    return float(down[0] + 1) if len(down) else math.inf


def behind(curve: Array, none: Array) -> float:
    """By how many full trainings a curve comes later than `none`, at the worst of all levels reached by both."""
    return max(reached(curve, level) - k for k, level in enumerate(none, 1) if curve[-1] <= level)


# ------------------------------------------------------------------------------------------------ the table


def table(runs: dict[str, list[float]], tasks: Sequence[Task], seeds: Sequence[int], variants: Sequence[str]) -> str:
    """Regret of each variant, and how soon it is where `none` is after 20 full trainings."""
    shown = (1, 2, 5, 10, 20, 30, 40)
    done = [t for t in tasks if all(f"{v}|{t.name}|{s}" in runs for v in variants for s in seeds)]
    if not done:
        sys.exit(f"no task has studies of all {len(seeds)} seeds yet: give fewer with --seeds.")
    curves = {v: np.array([[runs[f"{v}|{t.name}|{s}"] for s in seeds] for t in done]) for v in variants}
    level = curves["none"].mean(1)[:, LEVEL - 1]
    out = [f"| | {' | '.join(f'@{k}' for k in shown)} | reached, median (quartiles) | {LEVEL} / reached |"]
    out += ["|---" * (len(shown) + 3) + "|"]
    for variant, found in curves.items():
        flat = found.reshape(-1, NOW)
        error = flat.std(0, ddof=1) / math.sqrt(len(flat))
        cells = [f"{flat[:, k - 1].mean():.3f} ± {error[k - 1]:.3f}" for k in shown]
        took = [reached(c, x) for c, x in zip(found.mean(1), level, strict=True)]
        q = np.quantile(np.minimum(took, 2 * NOW), [0.25, 0.5, 0.75])  # never: counted as twice the budget
        cells += [f"{q[1]:.3g} ({q[0]:.3g}..{q[2]:.3g})", f"{LEVEL / q[1]:.2g}"]
        out.append(f"| {variant} | {' | '.join(cells)} |")
    mean = {v: c.mean((0, 1)) for v, c in curves.items()}
    out += ["", f"Beside none, the mean over {len(done)} tasks, seeds {', '.join(map(str, seeds))}:"]
    for variant in variants[1:]:
        apart = (curves[variant] - curves["none"]).reshape(-1, NOW)
        error = apart.std(0, ddof=1) / math.sqrt(len(apart))
        cells = [f"@{k} {apart[:, k - 1].mean():+.3f} ± {error[k - 1]:.3f}" for k in shown[2:]]
        out.append(
            f"- {variant}: {', '.join(cells)}; @5 {mean[variant][4] / mean['none'][4]:.2f} of it; "
            f"at most {behind(mean[variant], mean['none']):.0f} full trainings behind it"
        )
    return "\n".join(out)


def main() -> None:
    given = arguments()
    try:
        tasks = load(given.family, given.data, given.cache)
    except Absent as absence:
        sys.exit(f"family {given.family} skipped: {absence}")
    given.out.mkdir(parents=True, exist_ok=True)
    seeds = range(given.seeds)
    runs = _run(given, tasks, seeds) if not given.report else _known(_file(given))
    packages = ", ".join(f"{p} {version(p)}" for p in ("zeroin", "numpy", "scipy"))
    print(f"{packages}, Python {platform.python_version()}, {given.family}, load {os.getloadavg()[0]:.1f}\n")
    print(table(runs, tasks, seeds, given.variants))


def _run(given: argparse.Namespace, tasks: Sequence[Task], seeds: Sequence[int]) -> dict[str, list[float]]:
    file = _file(given)
    runs = _known(file)
    lessons = {v: _lessons(given, tasks, v) for v in given.variants[1:]}
    weights = per_task(load("lcbench", given.data, given.cache)) if given.names else {}
    for seed in seeds:
        for task in tasks:
            for variant in given.variants:
                key = f"{variant}|{task.name}|{seed}"
                if key in runs:
                    continue
                book = None if variant == "none" else without(lessons[variant], task, given.out)
                began = time.process_time()
                names = left_out("known", task.name, weights) if given.names else None
                _, steps = studied(task, f"{task.name}@{seed}", NOW, book, names=names)
                runs[key] = [round(float(x), 6) for x in curve_of(task, steps, NOW)]
                print(key, f"{time.process_time() - began:.1f} s", *runs[key][4::5], file=sys.stderr, flush=True)
                _keep(file, runs)
    return runs


def _lessons(given: argparse.Namespace, tasks: Sequence[Task], variant: str) -> list[Lesson]:
    file = given.out / f"{given.family}-{variant}-lessons.json"
    known = json.loads(file.read_text()) if file.exists() else []
    wanted = [(task, n) for n in range(given.past) for task in tasks]
    for task, n in wanted[len(known) :]:
        sign = -1.0 if variant == "adversary" else 1.0
        known.append(to_json(lesson_from(task, n, given.trainings, sign, one_name=given.one_name)))
        _keep(file, known)
    return [from_json(each) for each in known]


def _file(given: argparse.Namespace) -> Path:
    return Path(given.out) / f"{given.family}{'-names' if given.names else ''}.json"


def _keep(file: Path, data: Any) -> None:
    """Write it in one piece, as a benchmark may be ended at any time."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps(data))
    part.replace(file)


def _known(file: Path) -> dict[str, list[float]]:
    known: dict[str, list[float]] = json.loads(file.read_text()) if file.exists() else {}
    return known


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="lcbench", help="one of families/")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--past", type=int, default=1, help="past studies of each task (one --out for each)")
    parser.add_argument("--trainings", type=int, default=PAST, help="full trainings of a past study")
    parser.add_argument("--variants", nargs="+", default=VARIANTS, choices=VARIANTS, help="those beside none")
    parser.add_argument("--names", action="store_true", help="on LCBench: with what names tell of how losses fall")
    parser.add_argument("--one-name", action="store_true", help="all tasks by one objective (an --out of its own)")
    parser.add_argument("--out", type=Path, default=Path("playbook-benchmark"), help="folder of lessons and runs")
    places(parser)
    parser.add_argument("--report", action="store_true", help="only print the table of what is in --out")
    given = parser.parse_args()
    given.variants = [v for v in VARIANTS if v == "none" or v in given.variants]
    return given


if __name__ == "__main__":
    main()
