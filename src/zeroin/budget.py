"""What a study may spend."""

from dataclasses import dataclass, replace

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
