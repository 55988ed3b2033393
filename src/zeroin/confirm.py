"""After the search: the best configs, and the default config, are trained again with fresh seeds and compared.

A lucky draw looks like a good config. So up to three contenders race over fresh seeds. One that falls behind by more
than chance explains (Student's t, because seeds are few) drops out, and its remaining trainings go to those that are
still close. The default config, none of them, is trained with as many seeds, and wins if its mean is lower.
"""

import math
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from zeroin.history import History, incumbent, rank
from zeroin.space import Space
from zeroin.space.plain import config_key, same_config
from zeroin.types import Config, Decision, Kind, Proposal, Status, Trial

CONTENDERS = 3
RESERVE = 1 / 3  # of the whole budget is spent on it, at most
BEHIND = 0.975  # a contender that is behind by more standard errors than this quantile of Student's t drops out


@dataclass(frozen=True, slots=True)
class Score:
    """A config's results over fresh seeds.

    Args:
        kind: CONFIRM for a contender, DEFAULT for the default config.
        config: the hyperparameters by name.
        losses: the best loss of each seed.
        tests: the test metric of each seed at that epoch; empty if none was reported.
        failures: how many seeds failed.
    """

    kind: Kind
    config: Config
    losses: tuple[float, ...]
    tests: tuple[float, ...]
    failures: int

    @property
    def mean(self) -> float:
        """Mean loss; infinite if a seed failed."""
        return float(np.mean(self.losses)) if self.losses and not self.failures else math.inf


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
        losses = [[math.inf if t.loss is None else t.loss for t in some if _over(t)] for some in runs]
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


def contenders(history: History, most: int, but: Config) -> list[Config]:
    """The best `most` configs of the search, all different and none of them `but`, the best first."""
    worked = sorted((t for t in history.trials if t.kind.is_search and t.loss is not None), key=rank)
    configs = {config_key(t.config): t.config for t in worked if not same_config(t.config, but)}
    return list(configs.values())[:most]


def by_config(history: History, kind: Kind) -> dict[str, list[Trial]]:
    """The trials of a kind, by config."""
    found: dict[str, list[Trial]] = {}
    for trial in history.trials:
        if trial.kind is kind:
            found.setdefault(config_key(trial.config), []).append(trial)
    return found


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % confidence interval of the mean, by Student's t; None for fewer than two values.

    >>> [round(end, 2) for end in interval([1.0, 2.0, 3.0])]
    [-0.48, 4.48]
    """
    n = len(values)
    if n < 2:
        return None
    mean, half = float(np.mean(values)), float(stdtrit(n - 1, 0.975) * np.std(values, ddof=1) / math.sqrt(n))
    return mean - half, mean + half


def scores(history: History) -> list[Score]:
    """Results over fresh seeds: contenders from the best to the worst, then the default config, then former ones.

    Of a study that went on after its comparison there are several: those who were ahead in one are compared with those
    of the others by their means, whose seeds may be fewer, but not a single one where others have several.
    """
    searched = [trial.number for trial in history.trials if trial.kind.is_search]
    found = [
        (_score(kind, runs), bisect(searched, runs[-1].number))  # and which comparison that was
        for kind in (Kind.CONFIRM, Kind.DEFAULT)
        for runs in by_config(history, kind).values()
    ]
    most: dict[int, int] = {}
    for score, race in found:
        if score.kind is Kind.CONFIRM:
            most[race] = max(len(score.losses), most.get(race, 0))
    several = min(2, max(most.values(), default=0))

    def place(one: tuple[Score, int]) -> tuple[int, bool, float]:
        score, seeds = one[0], most.get(one[1], 0)
        # A race may end within a turn, so that some of the contenders that are still close have one seed fewer.
        behind = seeds < several or len(score.losses) < seeds - 1
        return 0 if score.kind is Kind.CONFIRM else len(searched) + 1 - one[1], behind, score.mean

    return [score for score, _ in sorted(found, key=place)]


def winner(history: History) -> Config | None:
    """The config of the lowest mean over fresh seeds; before there are any, that of the best trial.

    The default config wins if its mean is lower: a config that was seen to be worse is not recommended.
    """
    found = scores(history)
    confirmed = [s for s in found if s.kind is Kind.CONFIRM]
    if confirmed:
        seeds = min(2, len(confirmed[0].losses))  # a single seed of a default that was cut short may be luck
        defaults = (s for s in found if s.kind is Kind.DEFAULT and len(s.losses) >= seeds)
        return min([confirmed[0], *defaults], key=lambda s: s.mean).config
    best = incumbent(history)
    return best.config if best else None


def chosen(history: History) -> Trial | None:
    """The trial to show as the best: that in which the search found the winner; before confirmation the incumbent."""
    if not any(trial.kind is Kind.CONFIRM and _over(trial) for trial in history.trials):
        return incumbent(history)
    won = winner(history) or {}
    found = [t for t in history.trials if t.loss is not None and same_config(t.config, won)]
    return min(found, key=lambda t: (not t.kind.is_search, rank(t)), default=None)


def _score(kind: Kind, runs: Sequence[Trial]) -> Score:
    over = [t for t in runs if _over(t)]
    good = [t for t in over if t.loss is not None]
    tests = (t.best_metrics.get("test") for t in good)
    return Score(
        kind,
        runs[0].config,
        tuple(t.loss for t in good if t.loss is not None),
        tuple(v for v in tests if v is not None and math.isfinite(v)),
        len(over) - len(good),
    )


def _over(trial: Trial) -> bool:
    return trial.status is not Status.RUNNING
