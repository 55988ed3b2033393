"""What a study may spend."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

TRAININGS = 60  # the usual budget, in full trainings


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

    def trainings(self, max_epochs: int) -> float:
        """Full trainings it pays for, as far as that is known beforehand."""
        known = [self.epochs / max_epochs] if self.epochs else []
        if self.trials:  # with several rungs the usual trial takes a quarter of a training
            known.append(self.trials / (4 if max_epochs > 1 else 1))
        return min(known, default=float(TRAININGS))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a study is about to do: told before anything runs.

    `ladder` are the rungs in epochs; `trainings` the whole budget in full trainings, None where it is in minutes alone;
    `confirm` the trainings kept for the end: the comparison, or the best carried on where `seeds` is 0; of the fresh
    seeds that were `asked` for the budget pays for so many; `seconds` of an epoch, None where not measured; `known`
    trials and `spent` epochs of the search are those that an earlier run left; the coarse round begins with `advised`
    configs of the playbook; `began` in seconds since 1970.
    """

    name: str
    hyperparameters: tuple[str, ...]
    ladder: tuple[int, ...]
    screen: int
    budget: Budget
    trainings: float | None
    confirm: int
    seeds: int
    asked: int
    seconds: float | None
    known: int
    spent: int = 0
    advised: int = 0
    began: float = 0.0

    @staticmethod
    def from_json(kept: Mapping[str, Any]) -> "Plan":
        """A plan that was kept as the JSON of its fields."""
        known = {field.name: kept[field.name] for field in fields(Plan) if field.name in kept}
        lists = {name: tuple(known[name]) for name in ("hyperparameters", "ladder")}
        return Plan(**(known | lists | {"budget": Budget(**known["budget"])}))

    def words(self) -> str:
        """The plan in a few sentences."""
        depth = self.ladder[-1]
        many = f"{len(self.hyperparameters)} hyperparameter" + "s" * (len(self.hyperparameters) != 1)
        out = [f"{self.name}: {many} ({', '.join(self.hyperparameters)})."]
        if not self.hyperparameters:
            out = [f"{self.name}: every hyperparameter is held; trials differ by their seeds alone."]
        if self.known:
            out.append(f"Goes on: {self.known:,} trials known, {self.spent:,} epochs spent.")
            if self._is_spent():
                return " ".join([*out, "The search has spent its budget; a larger one goes on."])
        search = self.trainings - self.confirm if self.trainings is not None else None
        if depth > 1 and self.budget.trials and self.budget.trials <= self.screen:
            out.append(f"Coarse round alone: {self.budget.trials} configs to epoch {self.ladder[0]}.")
        elif depth > 1:
            count = self.budget.trials or (max(self.screen, round(4 * search)) if search is not None else None)
            all_ = "more" if count is None else f"{'about ' * (self.budget.trials is None)}{count} configs in all"
            first = f"Coarse round of {self.screen} configs to epoch {self.ladder[0]}, then {all_}"
            later = ", ".join(map(str, self.ladder[1:]))
            out.append(
                f"{first if self.known < self.screen else all_.capitalize()}, the promising ones carried on to "
                f"epoch {later}."
            )
        elif self.budget.trials and self.budget.trials <= self.screen:
            out.append(f"Coarse round alone: {self.budget.trials} configs.")
        elif search is not None:
            count = self.budget.trials or round(search)
            first = f"Coarse round of {self.screen} configs, then the" if self.known < self.screen else "The"
            out.append(f"{first} model's choice, {count} in all.")
        if self.advised and not self.known:
            plural = "s" * (self.advised != 1)
            out.append(f"Begins with {self.advised} config{plural} of the playbook, which did well in past studies.")
        if self.confirm and not self.seeds:
            out.append("Then the best is carried on to the end.")
        elif self.confirm:
            out.append(
                f"Then up to {self.confirm} trainings: the best and the default with {self.seeds} fresh "
                f"seed{'s' * (self.seeds != 1)}."
            )
        if self.asked > self.seeds:
            out.append(f"A third of this budget pays for {self.seeds or 'none'} of {self.asked} fresh seeds.")
        if self.trainings is not None:
            about = "" if self.budget.epochs else "about "
            out.append(f"{about}{round(self.trainings * depth):,} epochs{self._duration()}.".capitalize())
        if self.budget.minutes is not None:
            out.append(f"At most {self.budget.minutes:g} minutes.")
        if self.budget.trial_minutes is not None:
            out.append(f"A trial of the search takes at most {self.budget.trial_minutes:g} minutes.")
        return " ".join(out)

    def _is_spent(self) -> bool:
        epochs, trials = self.budget.epochs, self.budget.trials
        by_epochs = epochs is not None and self.spent >= epochs - self.confirm * self.ladder[-1]
        return by_epochs or (trials is not None and self.known >= trials)

    def _duration(self) -> str:
        if self.seconds is None or self.trainings is None:
            return "; how long is seen after the first trials"
        return f", about {duration(self.seconds * self.trainings * self.ladder[-1])}"


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> duration(3.2), duration(75), duration(7300)
    ('3 s', '1 min 15 s', '2 h 02 min')
    """
    whole, minutes = round(seconds), round(seconds / 60)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
