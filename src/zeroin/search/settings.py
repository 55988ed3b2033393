"""The searcher's constants, and what follows from them for a space and a depth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zeroin.search import finite, rungs
from zeroin.space import Space


@dataclass(frozen=True, slots=True)
class Settings:
    """The constants of `Zoom`; each was chosen by measurement (docs/search-experiments.md)."""

    rungs: int = 3  # below the full budget; 0: full-length mode
    eta: int = 2  # ratio of neighbouring rungs
    screen: int = 12  # fresh trials of the coarse round, if there are several rungs
    sure: int = 3  # so many configs of the playbook go on to the full budget unless they begin badly
    keep: int = 3  # in the coarse round, one in so many trials goes on from each rung, and two at least
    keep_known: int = 6  # the same where the outlook applies, and one at least
    glances: int = 24  # further trials of the coarse round that get a first look of T/32, if that tells enough; 0: none
    alike: float = 0.7  # it tells enough from this rank correlation with the losses at the lowest rung on
    held: float = 0.3  # factor of the shares below if the playbook's advice proved better than fresh configs
    hopeless: float = 0.2  # a trial is paused if its probability to beat the best is lower than this
    share: float = 0.15  # of the epochs after the coarse round is for exploring, if the model is trusted
    trust: float = 0.8  # it is trusted from this correlation between left-out trials and their predictions on
    doubt: float = 0.6  # the share for exploring if it is not trusted
    leap: float = 1.0  # every second new trial aims so many standard deviations of the losses below the best
    region_every: int = 8  # a region lasts for so many jobs of zooming at least
    agree: float = 0.5  # a config that agrees with running ones is preferred from this share of the best's EI on

    def ladder(self, max_epochs: int) -> tuple[int, ...]:
        """The rungs in epochs, the lowest first."""
        return rungs.ladder(max_epochs, self.rungs, self.eta)

    def coarse(self, space: Space, ladder: Sequence[int], advised: int = 0) -> int:
        """How many trials the coarse round has, `advised` ones of the playbook included.

        The number of fresh trials is the same with and without advice, so that bad advice does not mislead the search;
        but where each trial is a full training, half of them suffice beside the advice.
        """
        if len(ladder) > 1:
            size = advised + self.screen
        else:
            size = int(np.clip(len(space) + 1, 6, 12))
            size = max(size, advised + (size + 1) // 2)
        return finite.count(space, space.ranges, size) or size
