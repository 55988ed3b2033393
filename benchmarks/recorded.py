"""Ready-made tasks as tables: real learning curves, recorded once, and studies over them in two seconds.

    python benchmarks/recorded.py record --tasks digits cells     # each task in turn, a minute or two; resumable
    python benchmarks/recorded.py bets                            # what the playbook advises, each task left out
    python benchmarks/recorded.py none playbook best --seeds 12   # whole studies of 20 trainings, and their table

Of each task are trained in full, the validation score kept after every epoch: the config where its search begins, four
times; `--wide` configs that cover the space (and a tenth of each range beyond its ends) evenly; `--near` of them in the
neighbourhood of the best sixth; and `--again` of the better half three times each, for what the seed does. A Gaussian
process of each of the curves' first principal components, of the logarithm of how far a score is from perfect, tells
the curve of any config; what a training adds to it by its seed is drawn from the trainings of equal configs, less
their mean. So the truth of a config is known: the mean over seeds of its best loss.

`playbook` has the lessons of the other tasks, those in `--lessons` (of `playbook_live.py lessons`) or else those that
come with zeroin; `best` has the task's own three best configs recorded, which no memory of others knows: the ceiling.
*There*: the first quarter of a training by which the mean over seeds of the incumbents' truths is where none's is after
20.
"""

import argparse
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import zeroin as zi
from adaptor import seed_of
from families import Array
from playbook_live import without
from zeroin import catalogue
from zeroin.history import incumbent
from zeroin.nn import Task
from zeroin.playbook import scenario_of
from zeroin.playbook.portfolio import MOST
from zeroin.search import coarse, surrogate
from zeroin.search.model import Features
from zeroin.search.surrogate import one_blas_thread
from zeroin.tasks import TASKS, load
from zeroin.types import Advised, Bet, Config, Decision, Kind, Observed, Proposal

LIVE, LEVEL = 30, 20  # full trainings whose space is searched; of a study
DEFAULTS, TURNS = 4, 3  # trainings of the config where the search begins, and of each that is trained again
AT_ONCE = 4
MARGIN = 0.1  # of a range, beyond its ends
COMPONENTS = 4
GROWS = {"maximize": -1.0, "minimize": 0.0}  # the perfect loss of an error, of a share or R² maximised


@dataclass(frozen=True, slots=True)
class Given:
    """A searcher that trains given configs in full."""

    configs: tuple[Config, ...]

    def decide(self, space: zi.Space, history: Any, free: int, *, max_epochs: int, seed: int) -> Decision:
        """The next of these trainings."""
        del space, seed  # nothing is drawn
        due = self.configs[len(history.trials) :][:free]
        return Decision(tuple(Proposal(max_epochs, Kind.SCREEN, "recorded", config=config) for config in due))


@dataclass(frozen=True)
class Recorded:
    """A task's recorded trainings, and what they tell of all others. Curves are log(loss - perfect), [..., epochs].

    `rows` are as recorded: the kind of config, the config, its losses.
    """

    name: str
    goal: str
    max_epochs: int
    space: zi.Space
    scenario: Mapping[str, Any]
    least: float  # the smallest distance from perfect that counts: half of one validation example, where they count
    rows: Sequence[Mapping[str, Any]]
    known: dict[str, float] = field(default_factory=dict)  # what `truth` found

    @cached_property
    def curves(self) -> Array:
        """As recorded [n, E]; what diverged, and the worst fiftieth of all, counts as the best of that."""
        lost = [row["loss"] + [math.nan] * (self.max_epochs - len(row["loss"])) for row in self.rows]
        gap = np.log(np.maximum(np.array(lost, float) - GROWS[self.goal], self.least))
        worst = float(np.nanquantile(gap, 0.98))
        return np.asarray(np.minimum(np.where(np.isfinite(gap), gap, worst), worst))

    @cached_property
    def different(self) -> np.ndarray:
        """The rows of different configs, the first of each."""
        keys = [_key(row["config"]) for row in self.rows]
        return np.array([i for i, key in enumerate(keys) if key not in keys[:i]])

    @cached_property
    def luck(self) -> Array:
        """What seeds add to a curve [k, E]: trainings of equal configs less their mean."""
        keys = [_key(row["config"]) for row in self.rows]
        found = []
        for key in dict.fromkeys(keys):
            same = self.curves[[k == key for k in keys]]
            if len(same) > 1:
                found.append((same - same.mean(0)) * math.sqrt(len(same) / (len(same) - 1)))
        return np.vstack(found)

    @cached_property
    def _model(self) -> tuple[Array, Array, list[surrogate.Posterior]]:
        """The mean curve [E], the components [K, E], and of each a posterior."""
        features = Features.of(self.space, (1,))
        x = self._features(self.configs)
        y = self.curves[self.different]
        mean = y.mean(0)
        components = np.linalg.svd(y - mean, full_matrices=False)[2][:COMPONENTS]
        scores = (y - mean) @ components.T
        groups = features.prior.groups
        fits = [surrogate.fit(x, column, features.prior, 80) for column in scores.T]
        given = zip(scores.T, fits, strict=True)
        return mean, components, [surrogate.condition(x, column, theta, groups) for column, theta in given]

    @property
    def configs(self) -> list[Config]:
        """The different ones."""
        return [self.rows[i]["config"] for i in self.different]

    def _features(self, configs: Sequence[Config]) -> Array:
        return Features.of(self.space, (1,))(np.array([self.space.units(config) for config in configs]))

    @one_blas_thread
    def expected(self, config: Config) -> Array:
        """The curve [E] of a config, its seed's luck aside."""
        mean, components, posteriors = self._model
        x = self._features([config])
        return np.asarray(mean + np.array([p.expected(x)[0] for p in posteriors]) @ components)

    def curve(self, config: Config, seed: int) -> Array:
        """The losses [E] that a training of a study reports, as `tune` is told them."""
        draw = np.random.default_rng([seed, zlib.crc32(_key(config).encode())]).integers(len(self.luck))
        loss = GROWS[self.goal] + np.exp(self.expected(config) + self.luck[draw])
        return np.asarray(-loss if self.goal == "maximize" else loss)

    def truth(self, config: Config) -> float:
        """The mean over seeds of the best loss of a full training, as the logarithm of its distance from perfect."""
        key = _key(config)
        if key not in self.known:
            ends = (self.expected(config) + self.luck).min(1)
            self.known[key] = float(np.log(np.exp(ends).mean()))
        return self.known[key]


def _key(config: Config) -> str:
    return json.dumps(dict(config), sort_keys=True)


# ------------------------------------------------------------------------------------------------ recording


def record(name: str, file: Path, wide: int, near: int, again: int) -> None:
    """Train what is not in the file yet."""
    task = load(name)
    space = task.space_for(LIVE)
    rows = _rows(file)
    while len(rows) < DEFAULTS + wide + near + TURNS * again:
        at = range(len(rows), min(len(rows) + AT_ONCE, DEFAULTS + wide + near + TURNS * again))
        some = [_config(i, space, rows, wide, near, again) for i in at]
        study = zi.tune(
            task,
            space,
            epochs=len(some) * task.max_epochs,
            store=None,
            seed=seed_of(f"{name}@table{len(rows)}"),
            playbook=False,
            confirm=0,
            searcher=Given(tuple(some)),
        )
        with file.open("a") as out:
            for trial in study.history.trials:
                rows.append({"config": dict(trial.config), "loss": list(trial.losses)})
                out.write(json.dumps(rows[-1]) + "\n")


def _config(i: int, space: zi.Space, rows: Sequence[Any], wide: int, near: int, again: int) -> Config:
    """The config to train as number i."""
    low, high = space.span(space.ranges).T
    width = high - low
    if i < DEFAULTS:
        return space.config(space.units(space.default))
    if i < DEFAULTS + wide:
        low, high = np.clip(low - MARGIN * width, 0.0, 1.0), np.clip(high + MARGIN * width, 0.0, 1.0)
        return space.config(low + coarse.points(i - DEFAULTS, 1, len(space), 7)[0] * (high - low))
    if i < DEFAULTS + wide + near:
        rng = np.random.default_rng(i)
        good = _best_first(rows[DEFAULTS : DEFAULTS + wide])
        at = space.units(good[int(rng.integers(max(1, len(good) // 6)))])
        at = np.clip(at + (rng.random(len(at)) < 0.5) * rng.normal(size=len(at)) * 0.25 * width, 0.0, 1.0)
        other = [isinstance(param, zi.Choice) and rng.random() < 0.15 for param in space.params.values()]
        return space.config(np.where(other, rng.random(len(at)), at))
    place = (i - DEFAULTS - wide - near) % again
    tried = _best_first(rows[DEFAULTS : DEFAULTS + wide + near])
    return tried[int((place + 0.5) / again * len(tried) / 2)]


def _best_first(rows: Sequence[Any]) -> list[Config]:
    longest = max(len(row["loss"]) for row in rows)
    return [row["config"] for row in sorted(rows, key=lambda r: r["loss"][-1]) if len(row["loss"]) == longest]


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def recorded(name: str, file: Path) -> Recorded:
    """A task with what the file has of it."""
    task = load(name)
    assert isinstance(task, Task)
    least = 0.5 / len(task.problem.valid) if task.metric == "accuracy" else 1e-4
    space = task.space_for(LIVE)
    scenario = scenario_of(task, space, task.max_epochs)
    return Recorded(name, task.goal, task.max_epochs, space, scenario, least, _rows(file))


# ------------------------------------------------------------------------------------------------ studies


def studied(task: Recorded, seed: int, advised: Advised | None) -> Array:
    """Of one study the truth of its incumbent after each quarter of a training [4 LEVEL]."""
    seed = seed_of(f"{task.name}@{seed}")
    study = zi.Study(task.space, max_epochs=task.max_epochs, goal=task.goal, store=None, seed=seed)
    if advised and advised.bets:
        study.record(advised)
    found: list[float] = []

    def hear(study: zi.Study, event: Any) -> None:
        if isinstance(event, Observed):
            best = incumbent(study.history)
            found.append(task.truth(best.config) if best else math.inf)

    study.listeners.append(hear)
    while len(found) < LEVEL * task.max_epochs:
        (job,) = study.ask()
        study.tell(job, losses=task.curve(job.config, seed)[job.start : job.stop].tolist())
    at = np.arange(1, 4 * LEVEL + 1) * task.max_epochs // 4
    return np.asarray(np.array(found)[np.maximum(at, 1) - 1])


def advice(task: Recorded, variant: str, lessons: Path) -> Advised | None:
    """What a study begins with."""
    if variant == "none":
        return None
    if variant == "best":
        order = np.argsort([task.truth(config) for config in task.configs])[:MOST]
        return Advised(tuple(Bet(task.configs[i], "its own") for i in order))
    return without(lessons, task.name).look_up(task.space, task.scenario, catalogue.unasked(task.space))


def bets(tasks: Sequence[Recorded], lessons: Path) -> str:
    """What the bets are truly worth: 0 is the best config recorded, 1 the median one."""
    rows = ["| task | the default | the bets, in their order | the best of them |", "|---|---|---|---|"]
    for task in tasks:
        truths = np.array([task.truth(config) for config in task.configs])
        low, middle = truths.min(), np.median(truths)
        advised = advice(task, "playbook", lessons)
        assert advised
        worth = [(task.truth(each.config) - low) / (middle - low) for each in advised.bets]
        shown = " ".join(f"{x:.2f}" for x in worth)
        rows.append(f"| {task.name} | {(truths[0] - low) / (middle - low):.2f} | {shown} | {min(worth):.2f} |")
    return "\n".join(rows)


def table(runs: Mapping[str, Any], tasks: Sequence[str], variants: Sequence[str], seeds: Sequence[int]) -> str:
    """How soon each variant is where none is after 20, and by how much its truth is ahead, study by study."""
    marks = (1, 2, 5, 10, LEVEL)
    rows = ["| task | | there | 20 / there | " + " | ".join(f"@{m}" for m in marks) + " |"]
    rows.append("|---" * (4 + len(marks)) + "|")
    ratios: dict[str, list[float]] = {v: [] for v in variants}
    apart: dict[str, list[Array]] = {v: [] for v in variants}
    for name in tasks:
        found = {v: np.array([runs[f"{v}|{name}|{seed}"] for seed in seeds]) for v in variants}
        level = float(found[variants[0]].mean(0)[-1])
        for v, curves in found.items():
            down = np.flatnonzero(curves.mean(0) <= level + 1e-9)
            there = (down[0] + 1) / 4 if len(down) else 2.0 * LEVEL
            ratios[v].append(LEVEL / there)
            gap = (curves - found[variants[0]])[:, [4 * m - 1 for m in marks]]
            apart[v].append(gap)
            shown = curves[:, [4 * m - 1 for m in marks]].mean(0)
            cells = " | ".join(f"{x:.3f}" for x in shown)
            rows.append(f"| {name} | {v} | {there:g} | {LEVEL / there:.2g} | {cells} |")
    rows.append("")
    for v in variants:
        gap = np.vstack(apart[v])
        error = gap.std(0, ddof=1) / math.sqrt(len(gap))
        shown = ", ".join(f"@{m} {x:+.3f} ± {e:.3f}" for m, x, e in zip(marks, gap.mean(0), error, strict=True))
        rows.append(f"- {v}: 20 / there, median {np.median(ratios[v]):.2g}; paired with {variants[0]} {shown}")
    return "\n".join(rows)


def main() -> None:
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    files = {name: given.out / f"{name}.jsonl" for name in given.tasks}
    if given.what == ["record"]:
        for name, file in files.items():
            record(name, file, given.wide, given.near, given.again)
        return
    tasks = [recorded(name, file) for name, file in files.items()]
    print(", ".join(f"{p} {version(p)}" for p in ("zeroin", "torch", "numpy", "scipy")), "\n")
    if given.what == ["bets"]:
        print(bets(tasks, given.lessons))
        return
    kept = given.out / "studies.json"
    runs = json.loads(kept.read_text()) if kept.exists() else {}
    for seed in range(given.seeds):
        for task in tasks:
            for variant in given.what:
                key = f"{variant}|{task.name}|{seed}"
                if key not in runs:
                    runs[key] = studied(task, seed, advice(task, variant, given.lessons)).round(5).tolist()
                    kept.write_text(json.dumps(runs))
    print(table(runs, given.tasks, given.what, range(given.seeds)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=("record", "bets", "none", "playbook", "best"))
    parser.add_argument("--tasks", nargs="+", default=("digits", "cells", "lending", "ames", "vowels"), choices=TASKS)
    parser.add_argument("--wide", type=int, default=112)
    parser.add_argument("--near", type=int, default=56)
    parser.add_argument("--again", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--lessons", type=Path, default=Path("playbook-live"), help="folder, of playbook_live.py")
    parser.add_argument("--out", type=Path, default=Path("recorded"), help="folder of curves and studies")
    return parser.parse_args()


if __name__ == "__main__":
    main()
