"""How soon does a study have a good network, with a playbook and without? The first five trainings of ready-made tasks.

    python benchmarks/playbook_early.py --tasks digits --seeds 4        # 3 min

The best validation score seen by so many full trainings' epochs, mean over the seeds; the playbook holds the lessons of
all other ready-made tasks. What `playbook_live.py` asks after 1, 2, 5, ... trainings, by what configs are truly worth,
this asks in between, by what a person who waits would see.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

import zeroin as zi
from adaptor import seed_of
from playbook_live import CHEAP_FIRST, LIVE, VARIANTS, without
from zeroin.goal import turned
from zeroin.tasks import load
from zeroin.types import Observed

TRAININGS = 5
MARKS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0)


def seen(name: str, seed: int, folder: Path | None) -> list[float]:
    """The best validation score by each of the marks, with the playbook of the others where a folder is given."""
    task = load(name)
    losses: list[float] = []

    def hear(_: zi.Study, event: Any) -> None:
        if isinstance(event, Observed):
            loss = event.observation.loss
            losses.append(np.inf if loss is None else loss)

    zi.tune(
        task,
        task.space_for(LIVE),
        epochs=TRAININGS * task.max_epochs,
        store=None,
        seed=seed_of(f"{name}@{seed}"),
        playbook=without(folder, name) if folder else False,
        confirm=0,
        listen=hear,
    )
    return [turned(task.goal, min(losses[: max(1, round(mark * task.max_epochs))])) for mark in MARKS]


def main() -> None:
    given = arguments()
    torch.set_num_threads(1)
    print(f"| task | | {' | '.join(f'@{mark:g}' for mark in MARKS)} |\n{'|---' * (2 + len(MARKS))}|")
    for name in given.tasks:
        for variant in VARIANTS:
            folder = given.out if variant == "playbook" else None
            rows = [seen(name, seed, folder) for seed in range(1, given.seeds + 1)]
            print(f"| {name} | {variant} | {' | '.join(f'{x:.4f}' for x in np.mean(rows, axis=0))} |", flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=CHEAP_FIRST, choices=CHEAP_FIRST)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("playbook-live"), help="folder of playbook_live.py's lessons")
    return parser.parse_args()


if __name__ == "__main__":
    main()
