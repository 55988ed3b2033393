"""What the scripts in `peers/` share: studies described on the command line, their accounts written as lines of JSON.

numpy only. A peer hands over `search(ledger, setting)`, which trains through the ledger until it raises `BudgetSpent`.
How a peer sees a space: a float, or an int on a log scale, is a float in [0, 1] measured on its right scale; a linear
int and a choice stay what they are.
"""

import argparse
import json
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from families import Config, Dim, Value, load
from ledger import BudgetSpent, Ledger, Training

ETA = 3  # Hyperband's factor, for all that use it
RUNGS = 3  # promotions below a full training: the shortest is max_epochs / 3**RUNGS


def shortest(max_epochs: int) -> int:
    """The smallest budget of multi-fidelity peers.

    max_epochs / 9 instead is worse for DEHB (after 30 trainings LCBench 0.303 against 0.282, TaskSet 0.268 against
    0.186), and looked worse for SMAC and PriorBand in the five runs tried.
    """
    return max(1, int(max_epochs / ETA**RUNGS))


def config_of(dims: Sequence[Dim], raw: Mapping[str, Any]) -> dict[str, Value]:
    """A peer's values -> config."""
    return {d.name: _value(d, raw[d.name]) for d in dims}


def _value(dim: Dim, raw: Any) -> Value:
    if dim.kind == "choice":
        return str(raw)
    return int(raw) if dim.is_plain_int else dim.value(min(max(float(raw), 0.0), 1.0))


class Resumable:
    """Trainings found again by their config, for peers that promote a config without naming the trial it came from."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._trainings: dict[tuple[tuple[str, Value], ...], Training] = {}

    def train(self, config: Config, until: int) -> float:
        """Loss at epoch `until`; epochs this config already has are not trained again."""
        key = tuple(config.items())
        if key not in self._trainings:
            self._trainings[key] = self._ledger.open(config)
        return self.told(self._trainings[key], until)

    def told(self, training: Training, until: int) -> float:
        """Like `Ledger.told`, and right for a budget the training has already passed."""
        if until > training.epochs:
            return self._ledger.told(training, until)
        return self._ledger.tellable(float(training.losses[until - 1]))


def seed_of(study: str) -> int:
    """The seed of a study: the same for all methods, another for each task, so that no two share their first draws."""
    return zlib.crc32(study.encode()) >> 1


def run_peer(search: Callable[[Ledger, str], None]) -> None:
    """Reads the studies from the command line, runs them one by one, and writes a line of JSON after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", required=True)
    parser.add_argument("--studies", nargs="+", required=True, help="task@seed")
    parser.add_argument("--trainings", type=int, required=True)
    parser.add_argument("--setting", default="", help="which variant of the peer")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    tasks = {t.name: t for t in load(given.family, given.data, given.cache)}
    for study in given.studies:
        ledger = Ledger.of(tasks[study.rsplit("@", 1)[0]], seed_of(study), given.trainings)
        began = time.process_time()
        with suppress(BudgetSpent):
            search(ledger, given.setting)
        seconds = time.process_time() - began
        with given.out.open("a") as file:
            file.write(json.dumps({"study": study, "observed": ledger.observed, "seconds": seconds}) + "\n")
