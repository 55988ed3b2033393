"""How long the default searcher takes for a decision, and for a whole study; parts of overhead.py."""

import os
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import zeroin as zi
from families import load
from peers.zeroin_search import complete, parameter
from zeroin.history import History
from zeroin.search import Settings, Zoom, rungs
from zeroin.search.model import fit_size
from zeroin.search.rows import Memory
from zeroin.types import Asked, Ended, Job, Kind, Observation, Observed, Status

SPACE = zi.Space(
    lr=zi.Float(1e-5, 1, scale="log"),
    momentum=zi.Float(0.5, 0.999, scale="one_minus_log"),
    weight_decay=zi.Float(1e-6, 1e-1, scale="log"),
    batch_size=zi.Int(16, 512, scale="log2"),
    layers=zi.Int(1, 6),
    units=zi.Int(16, 1024, scale="log"),
    optimizer=zi.Choice("sgd", "adamw"),
)
BEST = 0.37  # of each hyperparameter, in the unit cube
WEIGHTS = np.array([5, 2, 1, 1, 1, 1, 0.5])
SIZES = (50, 250, 1_000, 5_000)
DECISIONS = 40


def loss(config: Mapping[str, Any], epoch: int) -> float:
    """A bowl that is lower with every epoch."""
    return float(0.1 + ((SPACE.units(config) - BEST) ** 2 * WEIGHTS).sum() + 1 / (epoch + 1))


def grow(history: History, observations: int, ladder: Sequence[int], rng: np.random.Generator) -> None:
    """A history like a zooming search's: ever closer to the best, each trial trained to some rung."""
    seen = 0
    while seen < observations:
        number = len(history.trials)
        spread = max(0.05, 0.35 * np.exp(-number / 300))
        point = SPACE.snap(np.clip(BEST + spread * rng.standard_normal((1, len(SPACE))), 0.001, 0.999))[0]
        rung = int(rng.integers(0, len(ladder)))
        kind = Kind.SCREEN if number < 12 else Kind.ZOOM
        train(history, Job(len(history.jobs), number, SPACE.config(point), number, 0, ladder[rung], kind, ""), rng)
        seen += rung + 1


def train(history: History, job: Job, rng: np.random.Generator) -> None:
    """A job's events."""
    history.apply(Asked((job,)))
    for epoch in range(job.start + 1, job.stop + 1):
        value = loss(job.config, epoch) + 0.01 * float(rng.standard_normal())
        history.apply(Observed(job.number, Observation(epoch, value)))
    history.apply(Ended(job.number, Status.DONE))


def timed(observations: int, max_epochs: int, seed: int) -> tuple[list[float], list[float]]:
    """CPU seconds of decisions in a row: those that keep the model's hyperparameters, those that fit them anew."""
    ladder, rng = rungs.ladder(max_epochs), np.random.default_rng(seed)
    history = History(max_epochs)
    searcher = Zoom(Settings(glances=0))  # made-up losses rank alike at any epoch: first looks alone would be timed
    grow(history, observations, ladder, rng)
    kept: list[float] = []
    refitted: list[float] = []
    fitted = 0
    while len(kept) + len(refitted) <= DECISIONS:
        began = time.process_time()
        decision = searcher.decide(SPACE, history, 1, max_epochs=max_epochs, seed=seed)
        seconds = time.process_time() - began
        size = fit_size(len(Memory(SPACE, history, ladder).rows().loss))
        (kept if size == fitted else refitted).append(seconds)
        fitted = size
        history.apply(Asked((), decision.region, decision.paused))
        for p in decision.proposals:
            known = None if p.trial is None else history.trials[p.trial]
            config = known.config if known else p.config
            assert config is not None
            number, start = (known.number, known.epoch) if known else (len(history.trials), 0)
            train(history, Job(len(history.jobs), number, config, number, start, p.stop, p.kind, p.why), rng)
    return kept, refitted[1:]  # the very first one reads the whole history


def decisions(repeats: int) -> None:
    """A table of decision times."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(f"{len(SPACE)} hyperparameters, {DECISIONS} decisions in a row for each of {repeats} seeds; ms of cpu\n")
    print("| mode | observations | median | p95 | highest | of refits: share, median |\n|---|---|---|---|---|---|")
    for mode, max_epochs in (("full-length", 1), ("multi-fidelity", 52)):
        for size in SIZES:
            runs = [timed(size, max_epochs, seed) for seed in range(repeats)]
            refitted = [1e3 * s for run in runs for s in run[1]]
            times = sorted([1e3 * s for run in runs for s in run[0]] + refitted)
            p95 = times[int(0.95 * len(times))]
            refits = f"{len(refitted) / len(times):.0%}" + (f", {statistics.median(refitted):.0f}" if refitted else "")
            print(f"| {mode} | {size:,} | {statistics.median(times):.1f} | {p95:.1f} | {times[-1]:.1f} | {refits} |")


def study(repeats: int, data: Path, cache: Path) -> None:
    """CPU seconds of whole studies: 30 full trainings' worth of epochs, curves from a table."""
    task = next(iter(load("lcbench", data, cache)))
    space = zi.Space(**{d.name: parameter(d) for d in task.dims})
    whole, trained, trials = [], [], []
    for seed in range(repeats):
        curves: dict[tuple[Any, ...], Any] = {}
        training = 0.0

        def objective(config: Mapping[str, Any], run: Any, curves: dict[tuple[Any, ...], Any] = curves) -> None:
            nonlocal training
            began = time.process_time()
            key = tuple(config.items())
            if key not in curves:
                curves[key] = task.curve(complete(task, config), 0)
            training += time.process_time() - began
            for epoch in run.epochs():
                run.report(float(curves[key][epoch]))

        began = time.process_time()
        epochs = 30 * task.max_epochs
        found = zi.tune(
            objective, space, max_epochs=task.max_epochs, epochs=epochs, store=None, playbook=False, seed=seed
        )
        whole.append(time.process_time() - began)
        trained.append(training)
        trials.append(len(found.trials))
    print(f"{task.family} {task.name}, 30 x {task.max_epochs} epochs, seeds 0..{repeats - 1}: trials {trials}")
    print(f"cpu s: {[round(s, 2) for s in whole]}, of which the table itself {[round(s, 2) for s in trained]}")
