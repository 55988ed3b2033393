"""The direction of a study's score. Scores to maximise are negated once on the way in and once on the way out."""

import math
from collections.abc import Mapping
from dataclasses import replace

from zeroin.errors import StudyError
from zeroin.types import Observation, Trial, Value

GOALS = ("minimize", "maximize")
ANY = (-math.inf, math.inf)
# The lowest and highest possible score of a Task, by the name of its metric, or of its loss if that is the metric.
BOUNDS = {
    **dict.fromkeys(("accuracy", "balanced_accuracy", "roc_auc"), (0.0, 1.0)),
    **dict.fromkeys(("mae", "mse", "rmse", "cross_entropy"), (0.0, math.inf)),
    "r2": (-math.inf, 1.0),
}


def bounds(measure: Mapping[str, Value]) -> tuple[float, float]:
    """The lowest and highest possible score, in the user's own sense; infinite where that is not known.

    >>> bounds({"metric": "accuracy"}), bounds({"metric": "loss", "loss": "mse"}), bounds({})
    ((0.0, 1.0), (0.0, inf), (-inf, inf))
    """
    metric = measure.get("metric")
    return BOUNDS.get(str(measure.get("loss") if metric == "loss" else metric), ANY)


def check(goal: str) -> str:
    """The goal, if it is one.

    Raises:
        StudyError: it is neither "minimize" nor "maximize".
    """
    if goal not in GOALS:
        remedy = "goal='maximize'" if str(goal).lower().startswith("max") else "goal='minimize' for a loss"
        raise StudyError(f"a goal is 'minimize' or 'maximize'; goal={goal!r}: use {remedy}.")
    return goal


def turned(goal: str, value: float) -> float:
    """A user's score as a loss, or a loss as the user's score; never -0.0, which would be printed with its sign.

    >>> turned("maximize", 0.9), turned("maximize", 0.0)
    (-0.9, 0.0)
    """
    return 0.0 - value if goal == "maximize" else value


def as_loss(goal: str, seen: Observation) -> Observation:
    """An observation that a user reported, as it is inside zeroin: lower is better."""
    if goal == "minimize":
        return seen
    return replace(seen, loss=turned(goal, seen.loss))


def shown(goal: str, trial: Trial) -> Trial:
    """A trial as it is shown to the user, with losses in their own sense and a config that is theirs to change."""
    losses = trial.losses if goal == "minimize" else tuple(turned(goal, loss) for loss in trial.losses)
    return replace(trial, config=dict(trial.config), losses=losses, goal=goal)
