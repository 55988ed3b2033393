"""Trivial trials with zeroin, in the current environment; writes one line of JSON. See overhead.py."""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zeroin as zi
from zeroin.search import QuasiRandom

SPACE = zi.Space(x=zi.Float(0, 1), lr=zi.Float(1e-5, 1, scale="log"))
EVERY = 100  # trials between looks at how fast the processor is just now


def spin() -> float:
    """CPU seconds of a fixed piece of work."""
    began = time.thread_time()
    sum(i * i for i in range(5_000))
    return time.thread_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--detail", action="store_true", help="also the CPU of each trial, and that of the spins")
    given = parser.parse_args()
    trials: list[float] = []
    spins: list[float] = []
    last = 0.0

    def trivial(config: Mapping[str, Any]) -> float:
        return float(config["x"])

    def watched(config: Mapping[str, Any]) -> float:
        nonlocal last
        now = time.thread_time()
        trials.append(now - last)
        if len(trials) % EVERY == 0:
            spins.append(spin())
        last = time.thread_time()
        return trivial(config)

    began, before = time.perf_counter(), time.process_time()
    study = zi.tune(
        watched if given.detail else trivial,
        SPACE,
        trials=given.trials,
        searcher=QuasiRandom(),
        store=given.folder / "zeroin.db",
        name="overhead",
        seed=given.seed,
        playbook=False,
    )
    wall, after = time.perf_counter() - began, time.process_time()
    assert len(study.trials) == given.trials
    print(json.dumps({"wall": wall, "cpu": after - before, "trials": trials[1:], "spins": spins}))


if __name__ == "__main__":
    main()
