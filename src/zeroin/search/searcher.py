"""The default searcher, a pure function of the history. It screens, zooms and explores:

1. Screen: quasi-random trials are trained to the lowest rung; the best third goes on, rung by rung.
2. Zoom: a model of (config, budget) proposes configs where improvement is most likely. A trial is carried on to its
   next rung unless it is hopeless; a paused trial is carried on when it promises more than any new config.
3. Explore: a share of the epochs goes where the model would not look; the worse the model predicts, the larger.

With a single rung (an objective without epochs) each trial is a full training, and the same code applies.
"""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from zeroin.history import History
from zeroin.search import edges, exploring, finite, hindsight, region, rungs, screening
from zeroin.search.box import Box
from zeroin.search.carrying import carry_on
from zeroin.search.model import build
from zeroin.search.outlook import Outlook, shipped
from zeroin.search.rows import Memory
from zeroin.search.settings import Settings
from zeroin.search.surrogate import one_blas_thread
from zeroin.search.view import View
from zeroin.search.zoom import zoom_in
from zeroin.space import Space
from zeroin.types import Decision, Kind, Proposal, Region


@dataclass(slots=True)
class Zoom:
    """The default searcher: screen, zoom, explore.

    Args:
        settings: its constants.
        together: hyperparameters in which configs that are trained at once should agree, if that costs little.
        outlook: how much losses still fall, if hyperparameters have known names; None: that is not used.

    >>> from zeroin.space import Float
    >>> Zoom().decide(Space(x=Float(0, 1)), History(), 1, max_epochs=1, seed=0).proposals[0].kind
    <Kind.SCREEN: 'screen'>
    """

    settings: Settings = field(default_factory=Settings)
    together: tuple[str, ...] = ()
    outlook: Outlook | None = field(default_factory=shipped)
    _memory: Memory | None = field(default=None, repr=False, compare=False)

    @one_blas_thread
    @np.errstate(over="ignore")  # losses may be as large as floats can be; an overflow to infinity does no harm
    def decide(self, space: Space, history: History, free: int, *, max_epochs: int, seed: int) -> Decision:
        """At most `free` jobs; see `zeroin.protocols.Searcher`."""
        if free < 1:
            return Decision()
        view = self._view(space, history, free, max_epochs, seed)
        decision = screening.screen(view)
        return _after_screening(view) if decision is None else decision

    def _view(self, space: Space, history: History, free: int, max_epochs: int, seed: int) -> View:
        ladder = hindsight.trusted(space, history, self.settings)
        ranges = dict(history.regions[-1].ranges) if history.regions else space.ranges
        view = View(
            settings=self.settings,
            space=space,
            history=history,
            free=free,
            ladder=ladder,
            given_up=self.settings.ladder(max_epochs)[: -len(ladder)],
            seed=seed,
            memory=self._remembered(space, history, ladder),
            screen=self.settings.coarse(space, ladder, len(history.advice)),
            glance=0,
            ranges=ranges,
            box=Box.of(space, ranges),
            together=np.array([name in self.together for name in space]),
            ranks=partial(rungs.loss_at, history),
        )
        if view.foresees:
            view = replace(view, ranks=screening.by_end(view))
        screened = rungs.screened(history, view.screen) if self.settings.glances and len(ladder) > 1 else []
        if len(screened) < view.screen or screening.advice_holds(view):
            return view
        return replace(view, glance=rungs.glance(history, ladder[0], screened, self.settings.alike))

    def _remembered(self, space: Space, history: History, ladder: tuple[int, ...]) -> Memory:
        """The cache for this history, space and ladder; a new one if the last call was for others."""
        last = self._memory
        if last is None or last.history is not history or (last.space, last.ladder) != (space, ladder):
            last = self._memory = Memory(space, history, ladder, self.outlook)
        return last


def _after_screening(view: View) -> Decision:
    """Fill the free slots: first carry trials on, then explore, then zoom."""
    rows = view.memory.rows()
    if len(np.unique(rows.trial)) < 2 or not np.isfinite(rows.loss).any():
        return _uniform(view)
    model = build(rows, view.memory)
    moved = edges.moved(view, model)
    if checked := hindsight.check(view):
        view = view.choosing(checked)
    view, paused = carry_on(view.within({**view.ranges, **moved}), model)
    while not view.is_full and exploring.is_due(view, model) and (proposal := exploring.explore(view, model)):
        view = view.choosing(proposal)
    view, pool = zoom_in(view, model)
    goes_on = {proposal.trial for proposal in view.chosen}
    still = {number: why for number, why in paused.items() if number not in goes_on}
    return Decision(view.chosen, region.told(view, model, moved, pool), still)


def _uniform(view: View) -> Decision:
    """New random configs, while too few trials have worked for a model."""
    for index in range(view.free):
        point = view.untried(view.box, view.rng("uniform", index))
        if point is None:
            break
        why = "too few trials worked for a model"
        view = view.choosing(Proposal(view.ladder[0], Kind.SCREEN, why, config=view.space.config(point)))
    everything = region.exhausted(view)
    if everything is None:
        return Decision(view.chosen)
    history, why = view.history, finite.over(len(everything))
    number = history.regions[-1].round + 1 if history.regions else 0
    return Decision(region=Region(number, len(history.jobs), view.ranges, view.ranges, 1.0, why, over=True))
