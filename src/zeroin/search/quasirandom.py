"""Quasi-random search: the coarse round without end, each trial trained in full. A baseline."""

from dataclasses import dataclass

from zeroin.history import History
from zeroin.search import coarse
from zeroin.search.zoom import Box
from zeroin.space import Space
from zeroin.types import Decision, Kind, Proposal


@dataclass(frozen=True, slots=True)
class QuasiRandom:
    """Points that cover the space evenly, whatever was seen.

    >>> from zeroin.space import Float
    >>> len(QuasiRandom().decide(Space(x=Float(0, 1)), History(), 3, max_epochs=1, seed=0).proposals)
    3
    """

    def decide(self, space: Space, history: History, free: int, *, max_epochs: int, seed: int) -> Decision:
        """The next `free` points, each trained to `max_epochs`."""
        first = len(history.trials)
        placed = Box.of(space, space.ranges).place(coarse.points(first, free, len(space), seed))
        return Decision(
            tuple(Proposal(max_epochs, Kind.SCREEN, "covers the space evenly", config=space.config(u)) for u in placed)
        )
