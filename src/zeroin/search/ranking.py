"""The best configs by the model, which is less easily fooled by lucky draws than the lowest loss is."""

import numpy as np

from zeroin.history import History
from zeroin.search import hindsight
from zeroin.search.model import build
from zeroin.search.rows import Memory, Rows
from zeroin.search.rungs import loss_at
from zeroin.search.surrogate import one_blas_thread
from zeroin.space import Space
from zeroin.space.plain import config_key, same_config
from zeroin.space.scales import Array
from zeroin.types import Config

LEAST = 5  # trials that worked, for a model
LUCKY = 4.0  # standard deviations that a trial may be better than the others predict
ROUNDS = 3  # of setting lucky trials aside: each one hides the next


@one_blas_thread
def best_configs(space: Space, history: History, most: int) -> list[Config]:
    """The configs with the lowest posterior mean at the full budget, among those that the search trained in full.

    If these are too few, trials that were stopped early count as well, although the model can only guess at their end.

    A lucky result also lowers the mean of its neighbours. So trials that are far better than the others predict are set
    aside first. The config of the lowest loss still gets the last place, because it may be right. The default config is
    none of them, as it is trained with fresh seeds anyway.

    Args:
        space: the hyperparameters.
        history: what the search saw; trainings after it do not count.
        most: how many at most.

    Returns:
        Different configs, the best first; none if fewer than five such trials worked, which are too few for a model.

    >>> from zeroin.space import Float
    >>> best_configs(Space(x=Float(0, 1)), History(), 3)
    []
    """
    memory = Memory(space, history, hindsight.trusted(space, history))
    rows = memory.rows()
    tried = ((int(n), history.trials[n]) for n in np.unique(rows.trial))
    worked = [n for n, t in tried if t.loss is not None and not same_config(t.config, space.default)]
    if len(worked) < LEAST:
        return []
    lowest = min(worked, key=lambda n: (loss_at(history, history.trials[n], history.trials[n].epoch), n))
    whole = [n for n in worked if history.trials[n].epoch >= history.max_epochs]
    worked = whole if len(whole) >= most else worked
    mean = _means(rows, memory, worked)
    found: dict[str, Config] = {}
    for number in [*(worked[i] for i in np.argsort(mean, kind="stable")), lowest]:
        config = history.trials[number].config
        found.setdefault(config_key(config), config)
    best, luckiest = list(found)[:most], config_key(history.trials[lowest].config)
    if luckiest not in best and most > 1:
        best[-1] = luckiest
    return [found[key] for key in best]


def _means(rows: Rows, memory: Memory, trials: list[int]) -> Array:
    """Posterior means of trials, once those far better than the others predict are set aside."""
    model = build(rows, memory)
    for _ in range(ROUNDS):
        seen, predicted, sd = model.posterior.left_out(model.owners)
        lucky = np.unique(model.owners)[seen < predicted - LUCKY * sd]
        if not len(lucky) or len(model.tried) - len(lucky) < LEAST:
            break
        stay = ~np.isin(rows.trial, lucky)
        rows = rows.part(stay)
        model = build(rows, memory)
    return model.expected(rows.units[trials])
