"""The default searcher: screen, zoom, carry on. A pure function of the history.

1. Screen: quasi-random trials to the lowest rung; the best third goes on, rung by rung.
2. Zoom: a model of (config, budget) proposes where improvement is likeliest, and carries a trial on to its next
   rung unless it is hopeless; trials paused earlier are thawed when they promise more than anything new.
3. Explore: a share of the epochs goes where the model does not look, the larger the worse it predicts.

With one rung (an objective without epochs, or full-length mode) the same code searches full trainings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import ndtr

from zeroin.history import History
from zeroin.rng import generator
from zeroin.search import edges, finite, rungs, screening, together, zoom
from zeroin.search.model import Features, Memory, Model, Rows, build
from zeroin.search.settings import Settings
from zeroin.search.surrogate import one_blas_thread
from zeroin.search.view import View
from zeroin.search.zoom import Box
from zeroin.space import Space
from zeroin.types import Decision, Kind, Proposal, Region, Trial
from zeroin.wording import counted, part


@dataclass(slots=True)
class Zoom:
    """Screen, zoom, carry on.

    Args:
        settings: constants.
        together: hyperparameters in which configs under way at once should agree, where that costs nothing.

    >>> from zeroin.space import Float
    >>> Zoom().decide(Space(x=Float(0, 1)), History(), 1, max_epochs=1, seed=0).proposals[0].kind
    <Kind.SCREEN: 'screen'>
    """

    settings: Settings = field(default_factory=Settings)
    together: tuple[str, ...] = ()
    _last: tuple[Space, History, Memory] | None = field(default=None, repr=False, compare=False)

    @one_blas_thread
    @np.errstate(over="ignore")  # losses as large as numbers can be; what overflows is as good as infinite
    def decide(self, space: Space, history: History, free: int, *, max_epochs: int, seed: int) -> Decision:
        """At most `free` jobs; see `zeroin.protocols.Searcher`."""
        if free < 1:
            return Decision()
        view = self._view(space, history, max_epochs, seed)
        decision = screening.screen(view, free)
        return _zoom(view, free) if decision is None else decision

    def _view(self, space: Space, history: History, max_epochs: int, seed: int) -> View:
        ladder = self.ladder(max_epochs)
        memory = self._memory(space, history)
        ranges = dict(history.regions[-1].ranges) if history.regions else space.ranges
        screen, box = self.screening(space, ladder, len(history.advice)), Box.of(space, ranges)
        agree = np.array([name in self.together for name in space])
        view = View(self.settings, space, history, ladder, seed, memory, screen, 0, ranges, box, agree)
        screened = rungs.screened(history, screen) if self.settings.glances and len(ladder) > 1 else []
        if len(screened) < screen or view.advice_holds:
            return view
        return replace(view, glance=rungs.glance(max_epochs, ladder[0], screened, self.settings.alike))

    def ladder(self, max_epochs: int) -> tuple[int, ...]:
        """The rungs, the lowest first."""
        return rungs.ladder(max_epochs, self.settings.rungs, self.settings.eta)

    def screening(self, space: Space, ladder: Sequence[int], advised: int = 0) -> int:
        """Trials of the screening round; at least half as many as without advice are fresh, lest a bad one mislead."""
        size = self.settings.screen if len(ladder) > 1 else int(np.clip(len(space) + 1, 6, 12))
        size = max(size, advised + (size + 1) // 2) if advised else size
        return finite.count(space, space.ranges, size) or size

    def _memory(self, space: Space, history: History) -> Memory:
        """What was computed of this history and space before; a new one for others. It decides nothing."""
        if self._last is None or self._last[0] != space or self._last[1] is not history:
            self._last = space, history, Memory()
        return self._last[2]


def _zoom(view: View, free: int) -> Decision:
    """Everything after the screening round."""
    rows = view.memory.rows(view.space, view.history, view.ladder)
    if len(np.unique(rows.trial)) < 2 or not np.isfinite(rows.loss).any():
        return _uniform(view, free)
    model = build(rows, Features.of(view.space, view.ladder), view.memory)
    moved = edges.extended(view, model)
    if moved:
        ranges = dict(moved.ranges)
        view = replace(view, ranges=ranges, box=Box.of(view.space, ranges))
    return _Choosing(view, rows, model, free, moved).decision()


@dataclass(slots=True)
class _Pool:
    """Candidates `points` [m, D] by `score` [m], and paused trials by theirs, the best first."""

    points: np.ndarray
    score: np.ndarray
    resting: list[tuple[float, Trial]]


class _Choosing:
    """One decision under way: fills the free slots in order of urgency."""

    def __init__(self, view: View, rows: Rows, model: Model, free: int, moved: Region | None) -> None:
        self.view, self.rows, self.model, self.free = view, rows, model, free
        self.region = self.moved = moved
        self.busy = view.busy
        self.chosen: list[Proposal] = []
        self.centres = [view.memory.units[number] for number in sorted(self.busy)]
        self.paused: dict[int, str] = {}

    def decision(self) -> Decision:
        self._carry_on()
        while len(self.chosen) < self.free and self._explore_next() and (proposal := self._explore()):
            self.chosen.append(proposal)
        if len(self.chosen) < self.free:
            self._zoom_in()
        if self.moved and self.region is self.moved:  # where the best lies there was not looked for yet
            points = zoom.candidates(self.model, self.view.box, self.view.leads, self.view.rng("moved"), self.free)[0]
            self.region = self._region(points, self.view.rng("moved"), self.moved.why)
        if not self.chosen and not self.busy:
            self._end()
        return Decision(tuple(self.chosen), self.region, self.paused)

    def _carry_on(self) -> None:
        """Trials whose job just ended go on unless they are hopeless."""
        view = self.view
        for trial in view.history.undecided:
            if not rungs.can_go_on(trial, view.ladder[-1]):
                continue
            if trial.kind is Kind.ZOOM or self._last_kind(trial) is Kind.ZOOM:
                chance = self._chance(trial)
                if chance >= view.settings.hopeless and len(self.chosen) < self.free:
                    self._go_on(trial, Kind.ZOOM, f"{chance:.0%} chance to beat the best")
                elif chance < view.settings.hopeless:
                    self.paused[trial.number] = f"{chance:.0%} chance to beat the best"
            else:
                left = "exploring" if self._last_kind(trial) is Kind.EXPLORE else "the coarse round"
                self.paused[trial.number] = f"{left} left it here; it goes on if it promises most"

    def _last_kind(self, trial: Trial) -> Kind:
        return self.view.history.jobs[trial.jobs[-1]].kind

    def _chance(self, trial: Trial) -> float:
        mean, sd = self.model.predict(self.view.memory.units[[trial.number]])
        return float(ndtr((self.model.best - mean[0]) / sd[0]))

    def _go_on(self, trial: Trial, kind: Kind, why: str) -> None:
        self.chosen.append(Proposal(rungs.next_rung(self.view.ladder, trial), kind, why, trial=trial.number))
        self.busy.add(trial.number)
        self.paused.pop(trial.number, None)

    def _explore_next(self) -> bool:
        """Whether exploring has had less than its share of the epochs since screening."""
        view = self.view
        explored, all_epochs = view.history.epochs_after_screening
        for p in self.chosen:
            begun = 0 if p.trial is None else view.history.trials[p.trial].epoch
            all_epochs += p.stop - begun
            explored += (p.stop - begun) * (p.kind is Kind.EXPLORE)
        return explored < view.share(self.model.trust) * all_epochs

    def _explore(self) -> Proposal | None:
        """Successive halving over everything seen; where nothing is to be promoted, a new trial, if any is left."""
        view = self.view
        rng = generator(view.seed, "explore", len(view.history.jobs), len(self.chosen))
        if promoted := self._promote():
            return promoted
        draw = rng.random()
        if draw < 1 / 3:
            point, why = view.whole.uniform(1, rng)[0], "exploring: anywhere"
        elif draw < 2 / 3:
            point = self._agreeing(zoom.density(self.model, view.box, rng))
            why = "exploring: where good configs are dense"
        else:
            best = self.model.units[np.argsort(self.model.mean, kind="stable")[: max(3, len(self.model.mean) // 5)]]
            point = self._agreeing(view.box.mutate(best, 1, 0.2, rng)[0])
            why = "exploring: around a good config"
        if self._tried(point):  # where the best lies in a corner, many draws do
            found, why = view.untried(view.whole, self._fresh(), rng), "exploring: anywhere"
            if found is None:
                return None
            point = found
        return Proposal(view.steps[0], Kind.EXPLORE, why, config=view.space.config(point))

    def _promote(self) -> Proposal | None:
        rows, view = self.rows, self.view
        for step in view.steps[-2::-1]:
            trials, losses = self._seen_at(step)
            third = len(trials) // 3
            if not third:
                continue
            above = rows.trial[np.array(view.ladder)[rows.rung] > step]
            further = np.isin(trials, above) | np.isin(trials, sorted(self.busy))
            if further.sum() >= third:
                continue
            for i in np.argsort(losses, kind="stable")[:third]:
                trial = view.history.trials[trials[i]]
                if not further[i] and rungs.can_go_on(trial, view.ladder[-1]):
                    self._go_on(trial, Kind.EXPLORE, f"exploring: in the best third after {counted(step, 'epoch')}")
                    return self.chosen.pop()
        return None

    def _seen_at(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Trials that came to a step, and their losses there."""
        rows, view = self.rows, self.view
        if step in view.ladder:
            at = rows.rung == view.ladder.index(step)
            return rows.trial[at], rows.loss[at]
        seen = [t for t in view.history.trials if t.kind.is_search and t.epoch >= step]
        return np.array([t.number for t in seen]), np.array([rungs.loss_at(t, step) for t in seen])

    def _zoom_in(self) -> None:
        """New configs, aimed at the best and at a leap below it in turn; paused trials where they promise more."""
        view = self.view
        fresh = sum(job.start == 0 and job.kind is Kind.ZOOM for job in view.history.jobs)
        pools: dict[bool, _Pool] = {}
        while len(self.chosen) < self.free:
            leap = fresh % 2 == 1 and len(view.ladder) > 1  # a gamble: only where a short training tells it off
            if leap not in pools:
                pools[leap] = self._pool(leap)
            pool = pools[leap]
            best = together.best(pool.points, pool.score, self._shapes(), view.together, view.settings.agree)
            while pool.resting and pool.resting[0][1].number in self.busy:
                pool.resting.pop(0)
            new = bool(np.isfinite(pool.score[best]))
            if not new and view.listed is not None:
                left = self._by_promise(self.model, view.history.trials)
                if not left:
                    return
                self._go_on(left[0][1], Kind.ZOOM, "every config was tried; this one promises most")
            elif pool.resting and pool.resting[0][0] >= pool.score[best]:
                self._go_on(pool.resting[0][1], Kind.ZOOM, "promises more than any new config")
            elif new and self._tried(pool.points[best]):
                pool.score[best] = -np.inf
            else:
                point = pool.points[best] if new else self._anywhere()
                self._start(point, leap)
                for each in pools.values():
                    each.score += zoom.penalty(self.model, each.points, point)
                pool.score[best] = -np.inf
                fresh += 1

    def _pool(self, leap: bool) -> "_Pool":
        """Candidates where the best loss is the target, or one that lies `Settings.leap` below it."""
        view = self.view
        rng = generator(view.seed, "leap" if leap else "zoom", len(view.history.jobs))
        model = self.model.aiming(view.settings.leap) if leap else self.model
        if view.listed is None:
            points, score = zoom.candidates(model, view.box, view.leads, rng, self.free)
        else:
            points, score = view.listed, model.log_ei(view.listed)
        self._draw_region(points, rng)
        more = together.agreeing(view.space, (points, score), self._shapes(), view.together)
        if len(more):
            points, score = np.vstack([points, more]), np.append(score, model.log_ei(more))
        for centre in self.centres + self._fresh():
            score = score + zoom.penalty(model, points, centre)
        return _Pool(points, score, self._resting(model))

    def _shapes(self) -> np.ndarray:
        """Points [k, D] under way or chosen now that differ in `together`, the latest first."""
        memory, space = self.view.memory, self.view.space
        chosen = [memory.units[p.trial] if p.config is None else space.units(p.config) for p in self.chosen]
        return together.shapes([*chosen[::-1], *self.centres[::-1]], self.view.together)

    def _agreeing(self, point: np.ndarray) -> np.ndarray:
        """The point, moved to agree with the latest one under way."""
        found = self._shapes()
        return together.moved(self.view.space, point[None], found[0], self.view.together)[0] if len(found) else point

    def _fresh(self) -> list[np.ndarray]:
        """Points of the new configs chosen so far."""
        return [self.view.space.units(p.config) for p in self.chosen if p.config]

    def _anywhere(self) -> np.ndarray:
        view = self.view
        rng = generator(view.seed, "anywhere", len(view.history.jobs), len(self.chosen))
        return np.asarray(view.box.uniform(1, rng)[0])

    def _start(self, point: np.ndarray, leap: bool) -> None:
        why = self._words(point) + (", tried as a leap" if leap else "")
        config = self.view.space.config(point)
        self.chosen.append(Proposal(self.view.ladder[0], Kind.ZOOM, why, config=config))

    def _resting(self, model: Model) -> list[tuple[float, Trial]]:
        """Paused trials by log expected improvement, the most promising first."""
        rows, view = self.rows, self.view
        if len(view.ladder) == 1:
            return []
        complete = rows.trial[(rows.rung == len(view.ladder) - 1) | ~np.isfinite(rows.loss)]
        return self._by_promise(model, [view.history.trials[n] for n in np.setdiff1d(model.tried, complete)])

    def _by_promise(self, model: Model, trials: Sequence[Trial]) -> list[tuple[float, Trial]]:
        """Those of the trials that can go on now, by log expected improvement."""
        last = self.view.ladder[-1]
        idle = [t for t in trials if t.number not in self.busy and t.kind.is_search and rungs.can_go_on(t, last)]
        if not idle:
            return []
        score = model.log_ei(self.view.tried[[t.number for t in idle]])
        return sorted(zip(score.tolist(), idle, strict=True), key=lambda pair: -pair[0])

    def _tried(self, point: np.ndarray) -> bool:
        """Whether a point was tried, or is chosen now."""
        return bool((np.abs(np.vstack([self.view.tried, *self._fresh()]) - point).max(1) < 1e-9).any())

    def _words(self, point: np.ndarray) -> str:
        mean, sd = self.model.predict(point[None])
        return f"{float(ndtr((self.model.best - mean[0]) / sd[0])):.0%} chance to beat the best, by the model"

    def _draw_region(self, points: np.ndarray, rng: np.random.Generator) -> None:
        view, regions = self.view, self.view.history.regions
        since = sum(job.kind is Kind.ZOOM for job in view.history.jobs[regions[-1].after if regions else 0 :])
        if self.region is None and regions and regions[-1].round > 0 and since < view.settings.region_every:
            return
        why = self.region.why if self.region else ""
        self.region = self._region(points, rng, why)

    def _region(self, points: np.ndarray, rng: np.random.Generator, why: str) -> Region:
        """Where the best lies by the model now; in what words, unless `why` says more."""
        view, regions = self.view, self.view.history.regions
        order = np.argsort(self.model.predict(points)[0], kind="stable")
        likely, share = zoom.likely(self.model, points, order, view.box, view.ranges, rng)
        why = why or _zoom_words(regions[-1] if regions else None, share)
        number = regions[-1].round + 1 if regions else 1
        return Region(number, len(view.history.jobs), view.ranges, likely, share, why)

    def _end(self) -> None:
        """Nothing is left to try: said once."""
        listed, why = self.view.listed, self.view.end
        if listed is not None and why:
            self.region = self._region(listed, self.view.rng("zoom"), why)


def _zoom_words(before: Region | None, share: float) -> str:
    if before is None or before.volume <= 0:
        return f"zoom: the best lies in {part(share)} of the searched volume"
    if share < 0.5 * before.volume:
        return f"zoom: {part(share / before.volume)} of the previous volume"
    return f"region drawn anew: {part(share)} of the searched volume"


def _uniform(view: View, free: int) -> Decision:
    """New configs without a model."""
    chosen: list[np.ndarray] = []
    for index in range(free):
        rng = generator(view.seed, "uniform", len(view.history.jobs), index)
        if (point := view.untried(view.box, chosen, rng)) is None:
            break
        chosen.append(point)
    why, stop = "too few trials worked for a model", view.ladder[0]
    proposals = tuple(Proposal(stop, Kind.SCREEN, why, config=view.space.config(point)) for point in chosen)
    if proposals or view.busy or not view.end:
        return Decision(proposals)
    regions = view.history.regions
    place = regions[-1].round + 1 if regions else 0
    return Decision(region=Region(place, len(view.history.jobs), view.ranges, view.ranges, 1.0, view.end))
