"""What a study is about to do, in numbers and in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zeroin.budget import CONFIGS_PER_TRAINING, Budget
from zeroin.wording import counted, duration, minutes


@dataclass(frozen=True, slots=True)
class Plan:
    """What a study is about to do, told before anything runs.

    Args:
        name: of the study.
        hyperparameters: the names of those that are searched.
        ladder: the rungs in epochs, the lowest first.
        screen: how many trials the coarse round has.
        budget: what may be spent.
        trainings: the whole budget in full trainings; None if it is given in minutes alone.
        confirm: how many full trainings are reserved for the end.
        seeds: how many fresh seeds the budget pays for; with 0 the best trial is carried on instead.
        asked: how many fresh seeds the user asked for.
        seconds: of an epoch; None if not measured.
        known, spent: trials and epochs of the search that earlier runs have done.
        advised: how many configs of the playbook the coarse round begins with.
        began: when, in seconds since 1970.
        configs: how many configs the space has in all; None for very many.
        command: that began the run, as far as known.
        versions: of what computes.
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
    configs: int | None = None
    command: str = ""
    versions: str = ""

    @staticmethod
    def from_json(kept: Mapping[str, Any]) -> "Plan":
        """The plan whose fields were stored as JSON."""
        lists = {name: tuple(kept[name]) for name in ("hyperparameters", "ladder")}
        return Plan(**{**kept, **lists, "budget": Budget(**kept["budget"])})

    def words(self) -> str:
        """The plan in a few sentences."""
        out = [self._space()]
        if self.known:
            spent = f", {counted(self.spent, 'epoch')} spent" if self.ladder[-1] > 1 else ""
            out.append(f"Goes on: {counted(self.known, 'trial')} known{spent}.")
        if self.known and self._is_spent():
            return " ".join([*out, "The search has spent its budget; a larger one goes on."])
        return " ".join([*out, *self._search(), *self._end(), *self._cost()])

    def _space(self) -> str:
        if not self.hyperparameters:
            return f"{self.name}: every hyperparameter is held; trials differ by their seeds alone."
        count = counted(len(self.hyperparameters), "hyperparameter")
        they = "It has" if len(self.hyperparameters) == 1 else "They have"
        few = f" {they} {self.configs} configs in all." if self.configs else ""
        return f"{self.name}: {count} ({', '.join(self.hyperparameters)}).{few}"

    def _search(self) -> Iterator[str]:
        trials, (lowest, *later) = self._most(self.budget.trials), self.ladder
        begins = self.known < self.screen
        if (alone := self._alone()) is not None:
            yield f"Coarse round alone: {counted(alone, 'config')}{f' to epoch {lowest}' if later else ''}."
        elif later:
            count = self._in_all()
            first = f"Coarse round of {self.screen} configs to epoch {lowest}, then {count}"
            rungs = ", ".join(map(str, later))
            yield f"{first if begins else count.capitalize()}, the promising ones carried on to epoch {rungs}."
        elif self.trainings is not None:
            first = f"Coarse round of {self.screen} configs, then the" if begins else "The"
            yield f"{first} model's choice, {trials or self._most(round(self.trainings - self.confirm))} in all."
        if self.advised and not self.known:
            begun = min(self.advised, trials or self.advised)
            yield f"Begins with {counted(begun, 'config')} of the playbook, which did well in past studies."

    def _in_all(self) -> str:
        """How many configs there will be, in words, where there are several rungs."""
        if trials := self._most(self.budget.trials):
            return f"{trials} configs in all"
        if self.trainings is None:
            return "more"
        each = 1 / CONFIGS_PER_TRAINING
        if self.spent and self.known > self.screen:  # before, all trials are short
            each = self.spent / (self.known * self.ladder[-1])
        return f"about {self._most(max(self.screen, round((self.trainings - self.confirm) / each)))} configs in all"

    def _alone(self) -> int | None:
        """How many configs a budget pays for that ends within the coarse round; None if it lasts longer."""
        trials, epochs = self._most(self.budget.trials), self.budget.epochs
        paid = [] if trials is None else [trials]
        if epochs is not None:
            paid.append(max(0, epochs - self.confirm * self.ladder[-1]) // self.ladder[0])
        most = min(paid, default=self.screen + 1)
        return most if most <= self.screen else None

    def _most(self, configs: int | None) -> int | None:
        """That number of configs, or as many as the space has."""
        return configs if configs is None or self.configs is None else min(configs, self.configs)

    def _end(self) -> Iterator[str]:
        if self.confirm and not self.seeds:
            yield "Then the best, if it is not there yet, is carried on to the end."
        elif self.confirm:
            seeds = counted(self.seeds, "fresh seed")
            within = ", in at most a third of the time" if self.budget.minutes is not None else ""
            yield f"Then up to {self.confirm} trainings{within}: the best and the default with {seeds}."
        if self.asked > self.seeds:
            yield f"A third of this budget pays for {self.seeds or 'none'} of {self.asked} fresh seeds."

    def _cost(self) -> Iterator[str]:
        if self.trainings is not None:
            carried = self.ladder[-1] - self.ladder[0] if self.confirm and not self.seeds else 0
            epochs = max(self.trainings * self.ladder[-1], (self._alone() or 0) * self.ladder[0] + carried)
            spent = counted(round(epochs), "epoch" if self.ladder[-1] > 1 else "trial")
            took = "; how long is seen after the first trials"
            if self.seconds is not None:
                seconds = self.seconds * epochs
                took = f", about {duration(seconds)}" if seconds >= 1 else ", less than a second"
            yield f"{'' if self.budget.epochs else 'About '}{spent}{took}."
        if self.budget.minutes is not None:
            yield f"At most {minutes(self.budget.minutes)} in all."
        if self.budget.trial_minutes is not None:
            yield f"A trial of the search takes at most {minutes(self.budget.trial_minutes)}."

    def _is_spent(self) -> bool:
        epochs, trials = self.budget.epochs, self.budget.trials
        by_epochs = epochs is not None and self.spent >= epochs - self.confirm * self.ladder[-1]
        return by_epochs or (trials is not None and self.known >= trials)
