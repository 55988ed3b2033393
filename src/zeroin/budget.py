"""What a study may spend."""

import math
from dataclasses import dataclass, replace
from numbers import Real

from zeroin.errors import StudyError

TRAININGS = 60  # the default budget, in full trainings
# How many configs a full training pays for where trials are paused at rungs. An estimate: it was 3.1 to 3.9 on LCBench
# and 5.2 on digits; 4 to 6 where the outlook applies (`search/outlook.py`), 5 to 9 with as few as six trainings; and up
# to 13 (TaskSet) where first looks are worthwhile, which only the study itself can tell.
CONFIGS_PER_TRAINING = 4


@dataclass(frozen=True, slots=True)
class Budget:
    """What a study may spend; the limit that is reached first ends the search. None: no limit.

    Args:
        epochs: of the search and of the confirmation after it.
        trials: configs of the search.
        minutes: of the whole call.
        trial_minutes: of one trial of the search, which then ends as timed out.
    """

    epochs: int | None = None
    trials: int | None = None
    minutes: float | None = None
    trial_minutes: float | None = None

    def without(self, epochs: int) -> "Budget":
        """The same budget without some epochs, which are reserved for later."""
        return replace(self, epochs=None if self.epochs is None else self.epochs - epochs)

    def trainings(self, max_epochs: int) -> float:
        """How many full trainings of `max_epochs` it pays for, as far as that is known beforehand."""
        known = [self.epochs / max_epochs] if self.epochs else []
        if self.trials:
            known.append(self.trials / (CONFIGS_PER_TRAINING if max_epochs > 1 else 1))
        return min(known, default=float(TRAININGS))


def budget_of(
    epochs: int | None, trials: int | None, minutes: float | None, trial_minutes: float | None = None
) -> Budget:
    """The limits that a user gave, as a budget.

    Raises:
        StudyError: one of them is not a positive number, or epochs or trials are not whole.
    """
    asked = {"epochs": epochs, "trials": trials, "minutes": minutes, "trial_minutes": trial_minutes}
    for name, value in asked.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < math.inf:
            such_as = 10 if name == "trial_minutes" else 100
            raise StudyError(f"a budget is positive; {name}={value!r}: use {name}={such_as}, or leave it out.")
        if name in ("epochs", "trials") and value != int(value):
            raise StudyError(f"{name} are counted in whole numbers; {name}={value!r}: use {name}={max(1, int(value))}.")
    return Budget(
        epochs and int(epochs),
        trials and int(trials),
        minutes and float(minutes),
        trial_minutes and float(trial_minutes),
    )
