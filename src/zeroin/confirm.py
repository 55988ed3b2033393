"""After the search: the best configs, and the default config, are trained again with fresh seeds and compared.

A lucky draw looks like a good config. So up to three contenders race over fresh seeds. One that falls behind by more
than chance explains (Student's t, because seeds are few) drops out, and its remaining trainings go to those that are
still close. The default config, none of them, is trained with as many seeds, and wins if its mean is lower.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from zeroin.history import History, incumbent
from zeroin.space import Space
from zeroin.space.plain import config_key
from zeroin.types import Config, Decision, Kind, Proposal, Status, Trial
from zeroin.winner import by_config

CONTENDERS = 3
RESERVE = 1 / 3  # of the whole budget is spent on it, at most
BEHIND = 0.975  # a contender that is behind by more standard errors than this quantile of Student's t drops out


@dataclass(frozen=True, slots=True)
class Confirm:
    """A searcher that trains contenders with `seeds` fresh seeds each, then the default config with as many.

    Args:
        seeds: how many fresh seeds the winner and the default config get.
        contenders: how many of the best configs take part.
        configs: which ones; not known before the search is over.
    """

    seeds: int
    contenders: int = CONTENDERS
    configs: tuple[Config, ...] = ()

    @staticmethod
    def within(trainings: float, seeds: int) -> "Confirm":
        """As many seeds and contenders as a third of a budget of full trainings pays for."""
        return Confirm.of(int(trainings * RESERVE), seeds)

    @staticmethod
    def of(runs: int, seeds: int) -> "Confirm":
        """As many seeds and contenders as this many full trainings pay for."""
        seeds = min(seeds, runs // 2)  # the best and the default
        return Confirm(seeds, min(CONTENDERS, max(1, runs // seeds - 1)) if seeds else 0)

    @property
    def most(self) -> int:
        """How many trainings it takes at most."""
        return self.seeds * (self.contenders + 1)

    def decide(self, space: Space, history: History, free: int, *, max_epochs: int, seed: int) -> Decision:
        """The next trainings; see `zeroin.protocols.Searcher`."""
        del seed  # nothing is drawn
        asked = self._race(history, free) or self._default(space, history)
        return Decision(tuple(Proposal(max_epochs, kind, why, config=config) for kind, config, why in asked[:free]))

    def _race(self, history: History, free: int) -> list[tuple[Kind, Config, str]]:
        """One seed for each contender in turn; if slots are left, seeds of the next turns as well."""
        known = by_config(history, Kind.CONFIRM)
        runs = [known.get(config_key(c), []) for c in self.configs]
        racing = self._survivors(runs)
        counts, names = [len(r) for r in runs], "the best" if len(runs) == 1 else f"the {len(runs)} best"
        asked: list[tuple[Kind, Config, str]] = []
        while len(asked) < free:
            turn = min((counts[i] for i in racing), default=0)
            due = [i for i in racing if counts[i] == turn]
            left = self.seeds * self.contenders - sum(counts)
            if not due or left < len(due) or (turn >= self.seeds and len(racing) < 2):
                break  # the budget is spent, or the best is separated
            which = f"fresh seed {turn + 1} of {self.seeds}" if turn < self.seeds else f"further fresh seed {turn + 1}"
            asked += [(Kind.CONFIRM, self.configs[i], f"{which} for {names}") for i in due]
            counts = [c + (i in due) for i, c in enumerate(counts)]
        return asked

    def _survivors(self, runs: Sequence[Sequence[Trial]]) -> list[int]:
        """The contenders that Student's t does not tell from the best, with the variance pooled over contenders.

        A normal quantile would not do: with two seeds each the variance is hardly known, and equally good configs are
        often two standard errors apart.
        """
        losses = [
            [math.inf if t.loss is None else t.loss for t in some if t.status is not Status.RUNNING] for some in runs
        ]
        tried = [i for i, some in enumerate(losses) if len(some) >= 2]
        if len(tried) < 2:
            return list(range(len(runs)))
        means = {i: float(np.mean(losses[i])) for i in tried}
        best = min(tried, key=lambda i: means[i])
        finite = [losses[i] for i in tried if math.isfinite(means[i])]
        freedom = sum(len(some) - 1 for some in finite)
        square = sum(float(np.var(some)) * len(some) for some in finite) / max(1, freedom)
        chance = stdtrit(max(1, freedom), BEHIND) * math.sqrt(square)
        gone = set()
        for i in tried:
            error = chance * math.sqrt(1 / len(losses[i]) + 1 / len(losses[best]))
            if i != best and (not math.isfinite(means[i]) or means[i] - means[best] > error):
                gone.add(i)
        return [i for i in range(len(runs)) if i not in gone]

    def _default(self, space: Space, history: History) -> list[tuple[Kind, Config, str]]:
        if any(job.kind is Kind.CONFIRM for job in history.running) or incumbent(history) is None:
            return []
        done = len(by_config(history, Kind.DEFAULT).get(config_key(space.default), ()))  # it may have been another
        return [
            (Kind.DEFAULT, space.default, f"fresh seed {i + 1} of {self.seeds} for the default config")
            for i in range(done, self.seeds)
        ]


@dataclass(frozen=True, slots=True)
class Finish:
    """A searcher that carries the best trial on to its last epoch, for studies too small for fresh seeds.

    Without it, the network that is exported could be one that was paused after two epochs.
    """

    def decide(self, space: Space, history: History, free: int, *, max_epochs: int, seed: int) -> Decision:
        """The rest of the best trial's training; nothing once that is done."""
        del space, free, seed
        best = incumbent(history)
        if best is None or history.running or not history.can_go_on(best):
            return Decision()
        why = "the best when the search was over, carried on to the end"
        return Decision((Proposal(max_epochs, Kind.ZOOM, why, trial=best.number),))
