"""What the search gains by knowing how losses still fall, each task's own curves left out of what it knows.

    python benchmarks/outlook.py --seeds 0 1 2 3 4 --out outlook.jsonl       # LCBench, about 5 s a task and seed
    python benchmarks/outlook.py --family lcbench-cross-entropy --seeds 0 1 --known inverted unknown

Pairs of studies from the same seed: `known` with the weights learned from the family's other tasks, `unknown` as where
no hyperparameter's name is known, `inverted` with those weights' signs turned, as bad as experience can be. Studies
already in `--out` are not run again.
"""

import argparse
import json
from contextlib import suppress
from pathlib import Path

import numpy as np

import zeroin as zi
from adaptor import seed_of
from families import FAMILIES, Array, Task, load, places
from ledger import BudgetSpent, Ledger, regret_curve
from make_outlook import per_task
from peers.zeroin_search import in_batches, parameter
from zeroin.search import Zoom
from zeroin.search.outlook import Outlook, shipped

HOW = ("known", "unknown", "inverted")
AT = (5, 10, 20, 30)


def regrets(task: Task, seed: int, trainings: int, slots: int, known: Outlook | None) -> Array:
    """Regret after 1, 2, ... full trainings of one study."""
    ledger = Ledger.of(task, seed_of(f"{task.name}@{seed}"), trainings)
    with suppress(BudgetSpent):
        in_batches(ledger, zi.Space(**{d.name: parameter(d) for d in task.dims}), slots, Zoom(outlook=known))
    return regret_curve(task, ledger.observed, trainings)


def left_out(how: str, task: str, weights: dict[str, Array]) -> Outlook | None:
    """What the search knows of the other tasks: as it is, with its signs turned, or nothing."""
    if how == "unknown":
        return None
    others = np.mean([w for name, w in weights.items() if name != task], axis=0)
    return Outlook(shipped().learned, others if how == "known" else -others)


def report(rows: list[tuple[str, str, int, list[float]]]) -> None:
    """Means, and the differences to `unknown` study by study with their standard errors."""
    found = {(how, task, seed): np.array(curve) for how, task, seed, curve in rows}
    print("| names | studies |", " | ".join(f"@{k}" for k in AT), "|")
    for how in HOW:
        mine = {key[1:]: curve for key, curve in found.items() if key[0] == how}
        paired = [key for key in mine if ("unknown", *key) in found]
        if not paired:
            continue
        curves = np.array([mine[key] for key in paired])
        gain = curves - np.array([found["unknown", *key] for key in paired])
        cells = []
        for k in [k for k in AT if k <= curves.shape[1]]:
            mean, error = gain[:, k - 1].mean(), gain[:, k - 1].std(ddof=1) / len(paired) ** 0.5
            cells.append(f"{curves[:, k - 1].mean():.3f} ({mean:+.3f} ± {error:.3f})")
        print(f"| {how} | {len(paired)} |", " | ".join(cells), "|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="lcbench", choices=[name for name in FAMILIES if "lcbench" in name])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--trainings", type=int, default=30)
    parser.add_argument("--slots", type=int, default=1, help="jobs asked for at once (one --out for each)")
    parser.add_argument("--known", nargs="+", default=["known", "unknown"], choices=HOW, metavar="HOW")
    parser.add_argument("--out", type=Path, default=Path("outlook.jsonl"))
    places(parser)
    given = parser.parse_args()
    rows = [tuple(json.loads(line)) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    weights = per_task(load("lcbench", given.data, given.cache))
    for seed in given.seeds:
        for task in load(given.family, given.data, given.cache):
            for how in given.known:
                if (how, task.name, seed) in {row[:3] for row in rows}:
                    continue
                known = left_out(how, task.name, weights)
                curve = regrets(task, seed, given.trainings, given.slots, known)
                rows.append((how, task.name, seed, curve.round(5).tolist()))
                with given.out.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    report(rows)


if __name__ == "__main__":
    main()
