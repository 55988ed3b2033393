"""What past studies advise where half of them are mostly luck, and whether it helps that lessons say so.

    python benchmarks/playbook_luck.py --data DATA          # every second of LCBench's development tasks, 2 min
    python benchmarks/playbook_luck.py --other --data DATA  # those between them

Of each task two past studies of 30 trainings: one as it is, and one in which the losses of a trial are off by a normal
draw of its seed, whose standard deviation is half the distance from the best config to a median random one. Each task
in turn is left out; of the others half, drawn four times, teach by the lucky study. The three configs that are advised
are looked up: the regret of the best of them, trained in full, and of all three.

`silent`: lessons that do not say what is luck, all of which count alike. `told`: as they are. `without`: of the tasks
whose study was not lucky alone.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from families import Config, Task, load, places
from playbook import space_of, studied
from zeroin.catalogue import common
from zeroin.playbook import Lesson, lesson_of, scenario_of
from zeroin.playbook.portfolio import advised
from zeroin.search import hindsight
from zeroin.search.rows import Memory

TRAININGS, LUCK, DRAWS = 30, 0.5, 4
ARMS = ("silent", "told", "without")


def lesson(task: Task, luck: float) -> Lesson:
    """What a past study of a task teaches, of which so much is luck."""
    study, _ = studied(task, f"{task.name}@past", TRAININGS, luck=luck)
    scenario = scenario_of(None, study.space, task.max_epochs) | {"task": study.name}
    ladder = hindsight.trusted(study.space, study.history)
    memory = Memory(study.space, study.history, ladder, outlook=None)
    return lesson_of(replace(study.header, scenario=scenario), study.history, memory)


def regrets(task: Task, configs: Sequence[Config]) -> list[float]:
    """Of configs trained in full."""
    curve, theirs = task.open(), {common(d.name): d.name for d in task.dims}
    curves = [curve({theirs[name]: v for name, v in c.items()}, i) for i, c in enumerate(configs)]
    return [task.regret(float(np.min(losses[np.isfinite(losses)], initial=task.median_random))) for losses in curves]


def main() -> None:
    given = arguments()
    tasks = load("lcbench", given.data, given.cache)[given.other :: 2]
    sure, lucky = ([lesson(task, luck) for task in tasks] for luck in (0.0, LUCK))
    for name, lessons in (("as they are", sure), ("lucky", lucky)):
        low, middle, high = np.quantile([x.luck for x in lessons if x.luck is not None], [0.0, 0.5, 1.0])
        print(f"luck that lessons tell, {name}: {low:.2f} {middle:.2f} {high:.2f} (least, median, most)")
    found: dict[str, list[tuple[float, float]]] = {arm: [] for arm in ARMS}
    rng = np.random.default_rng(0)
    for _ in range(DRAWS):
        mark = rng.permutation(len(tasks)) % 2
        for i, task in enumerate(tasks):
            others = [j for j in range(len(tasks)) if j != i]
            told = [(lucky if mark[j] else sure)[j] for j in others]
            silent = [replace(each, luck=None) for each in told]
            without = [replace(sure[j], luck=None) for j in others if not mark[j]]
            space = space_of(task)
            scenario = scenario_of(None, space, task.max_epochs) | {"task": "new"}
            for arm, lessons in zip(ARMS, (silent, told, without), strict=True):
                known = regrets(task, [s.config for s in advised(space, scenario, lessons).bets])
                found[arm].append((min(known), float(np.mean(known))))
    base = np.array(found["silent"])
    for arm, pairs in found.items():
        best, mean = np.mean(pairs, axis=0)
        gap = np.array(pairs) - base
        by, error = gap.mean(0), gap.std(0, ddof=1) / math.sqrt(len(gap))
        print(
            f"{arm}: best of three {best:.3f} ({by[0]:+.3f} ± {error[0]:.3f}), "
            f"mean of three {mean:.3f} ({by[1]:+.3f} ± {error[1]:.3f})"
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", action="store_const", const=1, default=0, help="the tasks between")
    places(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
