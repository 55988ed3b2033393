"""The coarse round: which trials it begins, which of them go on, and when it is over."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from zeroin.rng import generator
from zeroin.search import agreement, coarse, rungs
from zeroin.search.model import expected
from zeroin.search.view import View
from zeroin.space.scales import Array
from zeroin.types import Decision, Kind, Proposal, Region, Status, Suggestion, Trial
from zeroin.wording import counted

BEAT = "the default, on to the full budget: what others have to beat"
OVERTAKEN = 3  # the round waits no more for a job before which so many later ones ended; see `_overtaken`
CHECKS = 3  # fresh trials that come before what the playbook advises, so that a bad bet is seen to be one


def screen(view: View) -> Decision | None:
    """The screening round's next jobs; None where the model may fill the free slots."""
    history, wanted = view.history, _wanted(view)
    size = wanted[0]
    trials = rungs.screened(history, size)
    view = view.choosing(*_sure(view, trials)[: view.free])
    view = view.choosing(*_cut_short(view, trials)[: view.free - len(view.chosen)])
    if len(view.ladder) > 1 and advice_holds(view):
        return Decision(view.chosen) if view.chosen else None  # it is over: the model knows where to begin
    came_after = sum(job.kind in (Kind.ZOOM, Kind.EXPLORE) for job in history.jobs[view.screen : 5 * size])
    if came_after < view.screen:  # fewer may have begun while a late result was not waited for; more end the round
        sure = len(view.chosen)
        for index in range(len(trials), min(size, len(trials) + view.free - sure)):
            view = view.choosing(*_coarse(view, index))
        if len(view.chosen) > sure:
            return Decision(_filled(view).chosen, None if history.regions else _first_region(view))
    begun = [t for t in history.trials if t.kind.is_coarse and t.kind is not Kind.PLAYBOOK]  # advice takes no place
    busy = view.busy
    unseen = {t.number for t in begun if t.number in busy and not rungs.reached(t, view.steps)}
    waiting = unseen.intersection(t.number for t in trials) - _overtaken(view, size)
    rivals = [t for t in begun if t.number in waiting or t.number not in unseen]
    while not view.is_full and (step := rungs.promotion(history, rivals, view.busy, view.steps, wanted, view.ranks)):
        trial, rung, place = step
        after = view.steps[rung - 1]
        what = " by the end to expect" if view.foresees and after in view.ladder else ""
        why = f"{place}. of {size}{what} after {counted(after, 'epoch')}"
        view = view.choosing(Proposal(view.steps[rung], Kind.SCREEN, why, trial=trial.number))
    if waiting:
        view = _filled(view)
    return Decision(view.chosen) if waiting or view.chosen else None


def _filled(view: View) -> View:
    """Further points of the sequence in slots that would stand idle until the last ones of the round have ended."""
    coarse = sum(t.kind.is_coarse for t in view.history.trials) + len(view.begun)
    while not view.is_full and (further := _coarse(view, coarse)):
        view, coarse = view.choosing(*further), coarse + 1
    return view


def _overtaken(view: View, size: int) -> set[int]:
    """Trials under way that are slow, or lost with what trained them.

    Before each so many ended that were asked for later: half as many as there are slots, as those asked for at once
    end in any order, and no fewer than OVERTAKEN or a quarter of the round's `size`.
    """
    enough = max(OVERTAKEN, size // 4, view.slots // 2)
    late, ended = set(), 0
    for job in reversed(view.history.jobs):
        if job.status is not Status.RUNNING:
            ended += 1
        elif ended >= enough:
            late.add(job.trial)
    return late


def advice_holds(view: View) -> bool:
    """Whether all that the playbook advised was tried, and the middle one is ahead of what is fresh, all early."""
    if not view.history.advice:
        return False
    screened = rungs.screened(view.history, view.screen)
    advised, fresh = (_early(view, screened, kind) for kind in (Kind.PLAYBOOK, Kind.SCREEN))
    if len(advised) < len(view.history.advice):
        return False
    return advised[len(advised) // 2] < min(fresh, default=np.inf)  # one may be ahead by chance


def _early(view: View, trials: Sequence[Trial], kind: Kind) -> list[float]:
    """What ranks trials at the lowest rung, of those of a kind that came to it or failed, the lowest first."""
    low = view.ladder[0]
    return sorted(view.ranks(t, low) for t in trials if t.kind is kind and (t.epoch >= low or t.status.is_failure))


def _wanted(view: View) -> list[int]:
    """How many trials of the round come to each of the steps; one in four goes on from a first look."""
    size, settings = view.screen, view.settings
    keep, least = (settings.keep_known, 1) if view.foresees else (settings.keep, 2)
    fresh = max(1, size - len(view.history.advice))  # advice takes no place
    wanted = [size, *(rungs.survivors(fresh, keep, rung, least) for rung in range(1, len(view.ladder)))]
    if not view.glance:
        return wanted
    looks = settings.glances if view.listed is None else min(settings.glances, len(view.listed) - size)
    return [size + looks, size + looks // 4, *wanted[1:]]


def by_end(view: View) -> Callable[[Trial, int], float]:
    """What ranks trials after so many epochs where names tell: at a rung the end to expect, computed when asked for."""

    @cache
    def ends() -> dict[tuple[int, int], float]:
        return expected(view.memory.rows(view.space, view.history, view.ladder))

    def loss(trial: Trial, epoch: int) -> float:
        return ends().get((trial.number, epoch), np.inf) if epoch in view.ladder else rungs.loss_at(trial, epoch)

    return loss


def _sure(view: View, trials: Sequence[Trial]) -> list[Proposal]:
    """Jobs of those that go on to the full budget, first in line; each ends at a rung, so that a network is there soon.

    They are the default that somebody named, and the playbook's best bets where a short training speaks not against
    them. What that tells of configs that are all good is little; a bad one is worse than much that is fresh. Beside
    bets the default is one of them: it goes on where it is as good as the middle one of those tried so far.
    """
    named = [t for t in trials[:1] if t.kind is Kind.SCREEN and view.space.has_default]
    bets = [t for t in trials if t.kind is Kind.PLAYBOOK][: view.settings.sure]
    busy = view.busy
    idle = [t for t in (*named, *bets) if view.history.can_go_on(t) and t.number not in busy]
    if not idle:
        return []
    low = view.ladder[0]
    fresh, advised = (_early(view, trials, kind) for kind in (Kind.SCREEN, Kind.PLAYBOOK))
    middle = float(np.median(fresh)) if fresh else np.inf

    def holds(bet: Trial) -> bool:
        if bet.epoch > low:
            return view.history.jobs[bet.jobs[-1]].kind is Kind.PLAYBOOK
        return bet.epoch == low and view.ranks(bet, low) <= middle

    def stands(default: Trial) -> bool:
        if not view.history.advice:
            return True
        return bool(advised) and view.ranks(default, low) <= advised[len(advised) // 2]

    waiting = [t for t in idle if (holds(t) if t.kind is Kind.PLAYBOOK else stands(t))]
    after = f"after {counted(low, 'epoch')}"
    said = f"the default, not worse than half of the playbook's {after}: on to the full budget like them"
    why = {
        Kind.SCREEN: said if view.history.advice else BEAT,
        Kind.PLAYBOOK: f"a best bet, not worse than half of the fresh ones {after}",
    }
    return [rungs.further(view.ladder, t, t.kind, why[t.kind]) for t in waiting]


def _cut_short(view: View, trials: Sequence[Trial]) -> list[Proposal]:
    """Jobs of those of the round that ended before they could be compared, as time or epochs were over."""
    idle = [t for t in trials if not rungs.reached(t, view.steps) and t.number not in view.busy]
    waiting = filter(view.history.can_go_on, idle)
    return [rungs.further(view.steps, t, t.kind, f"cut short after {counted(t.epoch, 'epoch')}") for t in waiting]


def _coarse(view: View, index: int) -> tuple[Proposal, ...]:
    """The trial of this index: a few fresh points, what the playbook advises, then fresh points again.

    Of none where all configs were tried or are chosen.
    """
    started = sum(t.kind is Kind.START for t in view.history.trials[:index])
    order, looks = _order(view, started), index >= view.screen
    before = order[: index - started]
    given = order[len(before)] if len(before) < len(order) else None
    if given:
        config = view.space.config(np.clip(view.space.units(given.config), 0.0, 1.0))
        return (Proposal(view.ladder[0], Kind.PLAYBOOK, given.why, config=config),)
    index -= sum(each is not None for each in before)
    if index == 0:
        return (_default(view),)
    point = _placed(view, index)
    if view.has(point):
        found = view.untried(view.whole, generator(view.seed, "coarse", index))
        if found is None:
            return ()
        point = found
    wanted = _wanted(view)[0]
    why = f"point {index + 1} of {wanted} that cover the space evenly"
    if index >= wanted:
        why = "covers the space evenly with those of the coarse round, whose last ones are not through yet"
    why += ", a first look, as early losses tell much of later ones" if view.glance and looks else ""
    stop = view.steps[0] if looks else view.ladder[0]
    return (Proposal(stop, Kind.SCREEN, why, config=view.space.config(point)),)


def _order(view: View, started: int) -> list[Suggestion | None]:
    """What the playbook advises and, where it says None, the fresh points before and between that.

    The best bet stands right beside a default that somebody named: the better of the two goes on first.
    """
    advice: list[Suggestion | None] = list(view.history.advice)
    fresh: list[Suggestion | None] = [None] * CHECKS
    if view.space.has_default and not started:
        return [*fresh[:1], *advice[:1], *fresh[1:], *advice[1:]]
    return [*fresh, *advice]


def _placed(view: View, index: int) -> Array:
    """The point [D] of the sequence that covers the space evenly."""
    point = coarse.points(index, 1, len(view.space), view.seed)
    shape = coarse.points(max(1, index - index % agreement.SHARE), 1, len(view.space), view.seed)[0]
    point = np.where(view.together, shape, point)
    placed, anywhere = view.box.place(point)[0], view.whole.place(point)[0]
    return np.asarray(np.where(view.together | (index % 2 == 0), placed, anywhere))  # those that should agree still do


def _default(view: View) -> Proposal:
    """The default config, or the middle of every range."""
    config = view.space.config(view.space.units(view.space.default))
    why = BEAT if _begins_with_default(view) else "the default, or the middle of every range"
    return Proposal(view.ladder[0], Kind.SCREEN, why, config=config)


def _begins_with_default(view: View) -> bool:
    """Whether the default is trained in full, rung by rung: somebody named it, and no past study knows better."""
    return view.space.has_default and not view.history.advice


def _first_region(view: View) -> Region:
    return Region(0, 0, view.ranges, view.ranges, 1.0, "coarse round over the whole space")
