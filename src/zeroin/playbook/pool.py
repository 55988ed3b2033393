"""Several studies of the same task, pooled into one lesson, because a model of all their configs knows more."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from zeroin.playbook.learning import goods, kept
from zeroin.playbook.lesson import WORST, Lesson

MOST = 8  # so many studies of a task are pooled, the newest; older ones add little
KEPT_BEST, KEPT_OTHERS = 40, 24  # so many of all their configs are kept


def pooled(lessons: Sequence[Lesson]) -> list[Lesson]:
    """Lessons, with those of the same task pooled into one.

    Studies are of the same task if their scenarios (which name the task) and their spaces are equal and their losses
    overlap. If they do not, something else was measured under the same name.
    """
    groups: list[list[Lesson]] = []
    for lesson in lessons:
        mine = next((group for group in groups if _one_task(group[-1], lesson)), None)
        if mine is None:
            groups.append([lesson])
        else:
            mine.append(lesson)
    return [pool(group[-MOST:]) for group in groups]


def pool(lessons: Sequence[Lesson]) -> Lesson:
    """Lessons of the same task as one, with the name of the last; all have `levels`, unless there is only one."""
    *_, last = lessons
    if len(lessons) == 1:
        return last
    lows, highs = np.array([lesson.levels for lesson in lessons]).T
    level = np.concatenate([a + (b - a) * np.array(x.scores) for x, a, b in zip(lessons, lows, highs, strict=True)])
    low, high = float(level.min()), float(highs.mean())
    scores = np.clip((level - low) / (high - low), 0.0, WORST)
    order = kept(scores, KEPT_BEST, KEPT_OTHERS)
    configs = [config for lesson in lessons for config in lesson.configs]
    best = [configs[i] for i in order[: len(order) // 2]]  # half of what a lesson keeps are its best
    lucks = [lesson.luck for lesson in lessons if lesson.luck is not None]
    return replace(
        last,
        trainings=round(sum(lesson.trainings for lesson in lessons), 2),
        configs=tuple(configs[i] for i in order),
        scores=tuple(round(float(scores[i]), 4) for i in order),
        lengths={n: float(np.exp(np.mean([np.log(x.lengths[n]) for x in lessons]))) for n in last.lengths},
        signal=float(np.mean([lesson.signal for lesson in lessons])),
        importance={n: float(np.mean([x.importance.get(n, 0.0) for x in lessons])) for n in last.importance},
        good=goods(last.space, best),
        luck=float(np.mean(lucks)) if lucks else None,
        levels=(low, high),
    )


def _one_task(a: Lesson, b: Lesson) -> bool:
    if a.levels is None or b.levels is None or a.scenario.get("task") is None or a.scenario != b.scenario:
        return False
    overlap = a.levels[0] < b.levels[1] and b.levels[0] < a.levels[1]
    return overlap and a.space == b.space
