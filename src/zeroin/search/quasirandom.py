"""Quasi-random search: a coarse round that never ends, each trial trained in full. A baseline."""

from dataclasses import dataclass, field

from zeroin.history import History
from zeroin.search import coarse
from zeroin.space import Space
from zeroin.space.scales import Array
from zeroin.types import Decision, Kind, Proposal


@dataclass(slots=True)
class QuasiRandom:
    """A searcher that covers the space evenly and takes no notice of results.

    >>> from zeroin.space import Float
    >>> len(QuasiRandom().decide(Space(x=Float(0, 1)), History(), 3, max_epochs=1, seed=0).proposals)
    3
    """

    _last: tuple[Space, Array] | None = field(default=None, repr=False, compare=False)  # a space and its span

    def decide(self, space: Space, history: History, free: int, *, max_epochs: int, seed: int) -> Decision:
        """The next `free` points, each trained to `max_epochs`."""
        first = len(history.trials)
        low, high = self._span(space).T
        placed = low + coarse.points(first, free, len(space), seed) * (high - low)
        return Decision(
            tuple(Proposal(max_epochs, Kind.SCREEN, "covers the space evenly", config=space.config(u)) for u in placed)
        )

    def _span(self, space: Space) -> Array:
        """The span of a space, computed once: it takes longer than all else here."""
        if self._last is None or self._last[0] is not space:
            self._last = space, space.span(space.ranges)
        return self._last[1]
