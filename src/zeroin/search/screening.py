"""The coarse round: which trials it starts, which of them are carried on, and when it is over."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from zeroin.rng import generator
from zeroin.search import agreement, coarse, hindsight, rungs
from zeroin.search.targets import expected
from zeroin.search.view import View
from zeroin.space.scales import Array
from zeroin.types import Bet, Decision, Kind, Proposal, Region, Trial
from zeroin.wording import counted

BEAT = "the default, on to the full budget: what others have to beat"
OVERTAKEN = 3  # the round stops waiting for a job when so many later ones have ended; see `_overtaken`
FRESH_FIRST = 3  # so many fresh trials come before those of the playbook, so that bad advice is recognised


def screen(view: View) -> Decision | None:
    """The next jobs of the coarse round; None if the model may fill the free slots."""
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
            first = Region(0, 0, view.ranges, view.ranges, 1.0, "coarse round over the whole space")
            return Decision(_filled(view).chosen, None if history.regions else first)
    return _halving(view, trials, wanted)


def _halving(view: View, trials: Sequence[Trial], wanted: Sequence[int]) -> Decision | None:
    """The trials of the round that go on, once all have begun; None if the model may fill the free slots."""
    history, busy = view.history, view.busy
    begun = [t for t in history.trials if t.kind.is_coarse and t.kind is not Kind.PLAYBOOK]  # advice takes no place
    unseen = {t.number for t in begun if t.number in busy and not rungs.reached(t, view.steps)}
    waiting = unseen.intersection(t.number for t in trials) - _overtaken(view, wanted[0])
    rivals = [t for t in begun if t.number in waiting or t.number not in unseen]
    if not waiting and (checked := hindsight.check(view)):
        view = view.choosing(checked)
    while not view.is_full and (proposal := _promotion(view, rivals, wanted)):
        view = view.choosing(proposal)
    waits = bool(waiting) and not view.given_up  # the model knows enough to go on while trials are compared anew
    if waits:
        view = _filled(view)
    return Decision(view.chosen) if waits or view.chosen else None


def _promotion(view: View, rivals: Sequence[Trial], wanted: Sequence[int]) -> Proposal | None:
    """Successive halving: from each step those of the lowest loss go on, until as many as `wanted` have got further.

    None if it depends on trials that are being trained, or nothing is left to do.
    """
    history, steps, busy = view.history, view.steps, view.busy
    checks = {p.trial for p in view.chosen if p.kind is Kind.EXPLORE}
    checks |= {job.trial for job in history.running if job.kind is Kind.EXPLORE}
    awaited = busy - checks  # for a check nobody waits
    come = {t.number: rungs.reached(t, steps) for t in rivals}
    for rung, (after, want) in enumerate(zip(steps[:-1], wanted[1:], strict=True), start=1):
        if sum(n > rung or (n == rung and number in busy) for number, n in come.items()) >= want:
            continue
        if any(n < rung and number in awaited for number, n in come.items()):
            return None
        idle = [t for t in rivals if come[t.number] == rung and t.number not in busy and history.can_go_on(t)]
        if idle:
            ranked = sorted(rivals, key=lambda trial: view.ranks(trial, after))
            best = min(idle, key=lambda trial: view.ranks(trial, after))
            what = " by the end to expect" if view.foresees and after in view.ladder else ""
            why = f"{ranked.index(best) + 1}. of {wanted[0]}{what} after {counted(after, 'epoch')}"
            return Proposal(steps[rung], Kind.SCREEN, why, trial=best.number)
    return None


def _filled(view: View) -> View:
    """Further points of the sequence, for slots that would be idle until the last trials of the round have ended."""
    coarse = sum(t.kind.is_coarse for t in view.history.trials) + len(view.begun)
    while not view.is_full and (further := _coarse(view, coarse)):
        view, coarse = view.choosing(*further), coarse + 1
    return view


def _overtaken(view: View, size: int) -> set[int]:
    """Running trials that are slow, or were lost together with the worker that trained them.

    A trial counts as such once enough jobs have ended that were asked for later: half as many as there are slots,
    because jobs asked for at once end in any order, but no fewer than OVERTAKEN or a quarter of the round's `size`.
    """
    enough = max(OVERTAKEN, size // 4, view.slots // 2)
    running, asked = view.history.running, len(view.history.jobs)
    later = [asked - job.number - (len(running) - at) for at, job in enumerate(running)]  # that have ended
    return {job.trial for job, ended in zip(running, later, strict=True) if ended >= enough}


def advice_holds(view: View) -> bool:
    """Whether the playbook's advice is good: all of it was tried, and early on its median beats every fresh trial."""
    if not view.history.advice:
        return False
    screened = rungs.screened(view.history, view.screen)
    advised, fresh = (_early(view, screened, kind) for kind in (Kind.PLAYBOOK, Kind.SCREEN))
    if len(advised) < len(view.history.advice):
        return False
    return advised[len(advised) // 2] < min(fresh, default=np.inf)  # one may be ahead by chance


def _early(view: View, trials: Sequence[Trial], kind: Kind) -> list[float]:
    """The ranking losses, in ascending order, of the trials of a kind that have reached the lowest rung or failed."""
    low = view.ladder[0]
    return sorted(view.ranks(t, low) for t in trials if t.kind is kind and (t.epoch >= low or t.status.is_failure))


def _wanted(view: View) -> list[int]:
    """How many trials of the round are to reach each step; from a first look, one in four goes on."""
    size, settings = view.screen, view.settings
    keep, least = (settings.keep_known, 1) if view.foresees else (settings.keep, 2)
    fresh = max(1, size - len(view.history.advice))  # advice takes no place
    further = [-(-fresh // keep**rung) for rung in range(1, len(view.ladder))]
    wanted = [size, *(min(fresh, max(least, count)) for count in further)]
    if not view.glance:
        return wanted
    looks = settings.glances if view.listed is None else min(settings.glances, len(view.listed) - size)
    return [size + looks, size + looks // 4, *wanted[1:]]


def by_end(view: View) -> Callable[[Trial, int], float]:
    """The loss that ranks trials where the outlook applies: at a rung, the loss expected at the full budget."""

    @cache
    def ends() -> dict[tuple[int, int], float]:
        return expected(view.memory.rows())

    def loss(trial: Trial, epoch: int) -> float:
        known = epoch in view.ladder
        return ends().get((trial.number, epoch), np.inf) if known else rungs.loss_at(view.history, trial, epoch)

    return loss


def _sure(view: View, trials: Sequence[Trial]) -> list[Proposal]:
    """Jobs of the trials that go on to the full budget before all others, so that there is a good network soon.

    These are the default config, if the user named one, and the playbook's best bets, unless a short training speaks
    against them. A short training says little about which of several good configs is best, but a bad config is worse
    than most fresh ones. Where there is advice, the default goes on only if it is as good as the median of the advice
    tried so far; and beside a default, which somebody chose, only the best of the bets goes on, once all were tried.
    """
    named = [t for t in trials[:1] if t.kind is Kind.SCREEN and view.space.has_default]
    bets = [t for t in trials if t.kind is Kind.PLAYBOOK][: view.settings.sure]
    busy = view.busy
    idle = [t for t in (*named, *bets) if view.history.can_go_on(t) and t.number not in busy]
    if not idle:
        return []
    low = view.ladder[0]
    fresh, advised = (_early(view, trials, kind) for kind in (Kind.SCREEN, Kind.PLAYBOOK))
    enough = float(np.median(fresh)) if fresh else np.inf
    if named and advised:
        enough = min(enough, advised[0]) if len(advised) == len(view.history.advice) else -np.inf

    def holds(bet: Trial) -> bool:
        if bet.epoch > low:
            return view.history.jobs[bet.jobs[-1]].kind is Kind.PLAYBOOK
        return bet.epoch == low and view.ranks(bet, low) <= enough

    def stands(default: Trial) -> bool:
        if not view.history.advice:
            return True
        return bool(advised) and view.ranks(default, low) <= advised[len(advised) // 2]

    waiting = [t for t in idle if (holds(t) if t.kind is Kind.PLAYBOOK else stands(t))]
    after = f"after {counted(low, 'epoch')}"
    said = f"the default, not worse than half of the playbook's {after}: on to the full budget like them"
    why = {
        Kind.SCREEN: said if view.history.advice else BEAT,
        Kind.PLAYBOOK: f"{'the best bet' if named else 'a best bet, not worse than half of the fresh ones'} {after}",
    }
    return [rungs.further(view.ladder, t, t.kind, why[t.kind]) for t in waiting]


def _cut_short(view: View, trials: Sequence[Trial]) -> list[Proposal]:
    """Jobs of trials of the round that ended before they could be compared, because time or epochs ran out."""
    idle = [t for t in trials if not rungs.reached(t, view.steps) and t.number not in view.busy]
    waiting = filter(view.history.can_go_on, idle)
    return [rungs.further(view.steps, t, t.kind, _why_further(view, t)) for t in waiting]


def _why_further(view: View, trial: Trial) -> str:
    """Why a trial that was not compared goes on: its job was stopped, or the rung it had come to has been given up."""
    after = f"after {counted(trial.epoch, 'epoch')}"
    if view.history.jobs[trial.jobs[-1]].stop > trial.epoch:
        return f"cut short {after}"
    return f"losses {after} mislead: compared after {counted(view.steps[0], 'epoch')}"


def _coarse(view: View, index: int) -> tuple[Proposal, ...]:
    """The trial of this index: a few fresh points come first, then what the playbook advises, then fresh points again.

    Empty if all configs were tried or are chosen.
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


def _order(view: View, started: int) -> list[Bet | None]:
    """The order in which the round begins: the playbook's bets, and None for a fresh point.

    If the user named a default, the best bet comes right after it, and the better of the two goes on first.
    """
    advice: list[Bet | None] = list(view.history.advice)
    fresh: list[Bet | None] = [None] * FRESH_FIRST
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
    named = view.space.has_default and not view.history.advice  # and no past study knows better
    why = BEAT if named else "the default, or the middle of every range"
    return Proposal(view.ladder[0], Kind.SCREEN, why, config=config)
