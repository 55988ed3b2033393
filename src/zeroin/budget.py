"""What a study may spend."""

from dataclasses import dataclass, replace

TRAININGS = 60  # the usual budget, in full trainings
# A guess where trials are paused at rungs: 3.1 to 3.9 on LCBench, 5.2 on digits; 4 to 6 where names tell, 5 to 9 of as
# few as six trainings; up to 13 (TaskSet) where first looks are worth it, which only the study itself can tell.
CONFIGS_PER_TRAINING = 4


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent; the first limit reached ends the search. None: no limit.

    `epochs` are those of the search and of the confirmation after it; `trials` the configs of the search alone. A trial
    of the search that is not through after `trial_minutes` ends as timed out.
    """

    epochs: int | None = None
    trials: int | None = None
    minutes: float | None = None
    trial_minutes: float | None = None

    def without(self, epochs: int) -> "Budget":
        """The same without epochs that are kept for later."""
        return replace(self, epochs=None if self.epochs is None else self.epochs - epochs)

    def trainings(self, max_epochs: int) -> float:
        """Full trainings it pays for, as far as that is known beforehand."""
        known = [self.epochs / max_epochs] if self.epochs else []
        if self.trials:
            known.append(self.trials / (CONFIGS_PER_TRAINING if max_epochs > 1 else 1))
        return min(known, default=float(TRAININGS))
