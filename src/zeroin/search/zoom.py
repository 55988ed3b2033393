"""Zooming in: new configs where most improvement is expected, or paused trials if these promise more."""

from dataclasses import dataclass

import numpy as np

from zeroin.search import agreement, carrying, rungs
from zeroin.search.box import Box
from zeroin.search.model import Model
from zeroin.search.view import View
from zeroin.space.scales import Array
from zeroin.types import Kind, Proposal, Trial
from zeroin.wording import percent

CANDIDATES = 300
REFINED = 50  # mutations of the best candidates, for each of the steps
STEPS = (0.1, 0.05, 0.03, 0.01)


@dataclass(slots=True)
class Pool:
    """The candidates for one target.

    Args:
        points: of new configs [m, D].
        score: their log expected improvement [m], lowered near configs that are being trained.
        drawn: so many of them, the first ones, were drawn with `rng`; the others were moved to agree with running ones.
        rng: the random stream.
        resting: paused trials with their log expected improvement, the most promising first.
    """

    points: Array
    score: Array
    drawn: int
    rng: np.random.Generator
    resting: list[tuple[float, Trial]]


def zoom_in(view: View, model: Model) -> tuple[View, Pool | None]:
    """Fill the slots, with the best loss and a leap below it as targets in turn; also returns the last pool used."""
    fresh = sum(job.start == 0 and job.kind is Kind.ZOOM for job in view.history.jobs)
    pools: dict[bool, Pool] = {}
    while not view.is_full:
        leap = fresh % 2 == 1 and len(view.ladder) > 1  # a gamble: only if a short training exposes a bad one
        if leap not in pools:
            pools[leap] = _pool(view, model, leap)
        proposal = _best_of(pools[leap], view, model, ", tried as a leap" if leap else "")
        if proposal is None:
            break
        view = view.choosing(proposal)
        if proposal.config is not None:
            fresh += 1
            for pool in pools.values():
                pool.score = pool.score + penalty(model, pool.points, view.begun[-1])
    return view, list(pools.values())[-1] if pools else None


def _pool(view: View, model: Model, leap: bool) -> Pool:
    """Candidates that aim at the best loss, or, with `leap`, at a target that lies `Settings.leap` below it."""
    rng = view.rng("leap" if leap else "zoom")
    if leap:
        model = model.aiming(view.settings.leap)
    if view.listed is None:
        points, score = candidates(model, view.box, view.memory.leads, rng, view.free)
    else:
        points, score = view.listed, model.log_ei(view.listed)
    drawn = len(points)
    more = agreement.agreeing(view.space, (points, score), view.shapes, view.together)
    if len(more):
        points, score = np.vstack([points, more]), np.append(score, model.log_ei(more))
    for centre in (*view.running, *view.begun):
        score = score + penalty(model, points, centre)
    return Pool(points, score, drawn, rng, carrying.resting(view, model))


def _best_of(pool: Pool, view: View, model: Model, aim: str) -> Proposal | None:
    """The most promising new config or paused trial; None if all configs were tried and no trial can be carried on."""
    resting = next((pair for pair in pool.resting if pair[1].number not in view.busy), None)
    while True:
        best = agreement.best(pool.points, pool.score, view.shapes, view.together, view.settings.agree)
        score = pool.score[best]
        none_left = not np.isfinite(score)
        if none_left and view.listed is not None:
            left = carrying.by_promise(view, model, view.history.trials)
            why = "every config was tried; this one promises most"
            return rungs.further(view.ladder, left[0][1], Kind.ZOOM, why) if left else None
        if resting and resting[0] >= score:
            return rungs.further(view.ladder, resting[1], Kind.ZOOM, "promises more than any new config")
        point = view.box.uniform(1, view.rng("anywhere", len(view.chosen)))[0] if none_left else pool.points[best]
        pool.score[best] = -np.inf
        if none_left or not view.has(point):
            why = f"{percent(model.chance(point))} chance to beat the best, by the model{aim}"
            return Proposal(view.ladder[0], Kind.ZOOM, why, config=view.space.config(point))


def candidates(model: Model, box: Box, leads: Array, rng: np.random.Generator, free: int) -> tuple[Array, Array]:
    """Points [m, D] where the expected improvement may be highest, `leads` [k, D] among them; and its log [m]."""
    order = np.argsort(model.mean, kind="stable")
    top = model.units[order[: max(5, min(16, free // 2))]]
    times = 1 if free == 1 else 2  # a batch takes several of them
    many = times * CANDIDATES
    points = np.vstack(
        [
            box.uniform(many, rng),
            box.space.snap(box.clip(leads)),
            box.mutate(top, many // 3, 0.2, rng),
            box.mutate(top, many // 3, 0.05, rng),
            box.mutate(top[:2], many // 3, 0.01, rng),
        ]
    )
    score = model.log_ei(points)
    for step in STEPS:
        best = points[np.argsort(-score, kind="stable")[: times * 8]]
        finer = box.mutate(best, times * REFINED, step, rng)
        points, score = np.vstack([points, finer]), np.append(score, model.log_ei(finer))
    return points, score


def penalty(model: Model, points: Array, centre: Array) -> Array:
    """How much a point at `centre` [D] that is being trained lowers log EI at points [m, D]; 0 beyond a length scale.

    Source: González et al. 2016, "Batch Bayesian Optimization via Local Penalization", with the distance itself
    instead of a bound from the function's slope.
    """
    distance = np.sqrt(((model.scaled(points) - model.scaled(centre[None])) ** 2).sum(1))
    return np.asarray(np.log(np.clip(distance, 1e-9, 1.0)))
