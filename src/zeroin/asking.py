"""From a searcher's proposals to jobs: numbered, seeded, and within the budget."""

import math
from collections import Counter
from collections.abc import Sequence

from zeroin.budget import Budget
from zeroin.history import History
from zeroin.rng import seed_of
from zeroin.space.plain import config_key
from zeroin.types import Config, Job, Kind, Proposal


def jobs_of(proposals: Sequence[Proposal], history: History, *, seed: int, budget: Budget) -> tuple[Job, ...]:
    """The jobs that carry out proposals, in the same order, as far as the budget goes; the last may be shortened.

    Args:
        proposals: what a searcher wants trained.
        history: of the study; numbers of jobs and trials continue from it.
        seed: of the study.
        budget: of the search; its limits in minutes are not looked at here.

    >>> at = {"x": 0.5}
    >>> proposals = [Proposal(8, Kind.SCREEN, "why", config=at)] * 2
    >>> [(job.trial, job.start, job.stop) for job in jobs_of(proposals, History(8), seed=0, budget=Budget(epochs=10))]
    [(0, 0, 8), (1, 0, 2)]
    """
    jobs: list[Job] = []
    epochs = math.inf if budget.epochs is None else budget.epochs - promised(history)
    trials = math.inf if budget.trials is None else budget.trials - history.searched
    new = 0
    for proposal in proposals:
        known = None if proposal.trial is None else history.trials[proposal.trial]
        start = known.epoch if known else 0
        stop = int(min(proposal.stop, start + epochs))
        if stop <= start or (known is None and new >= trials):
            break
        if known:
            which, config, own_seed = known.number, known.config, known.seed
        else:
            assert proposal.config is not None
            which = len(history.trials) + new
            config, own_seed = proposal.config, seed_of(seed, "trial", which)
            new += 1
        number = len(history.jobs) + len(jobs)
        jobs.append(Job(number, which, dict(config), own_seed, start, stop, proposal.kind, proposal.why))
        epochs -= stop - start
    return tuple(jobs)


def promised(history: History) -> int:
    """Epochs that the search has spent, and those that its running jobs still have to train."""
    return history.spent + sum(
        job.stop - history.trials[job.trial].epoch for job in history.running if job.kind.is_search
    )


def to_start_with(configs: Sequence[Config], history: History) -> list[Proposal]:
    """A full training for each config that the user asked to try first and that was not tried yet."""
    tried = Counter(config_key(t.config) for t in history.trials if t.kind is Kind.START) if configs else Counter()
    left = []
    for config in configs:
        key = config_key(config)
        if tried[key]:
            tried[key] -= 1
        else:
            left.append(Proposal(history.max_epochs, Kind.START, "you asked for it", config=config))
    return left
