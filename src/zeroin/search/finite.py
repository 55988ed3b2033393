"""Small spaces: their configs are listed, so that none is tried twice while another was not tried at all."""

from collections.abc import Mapping, Set
from itertools import islice

import numpy as np

from zeroin.space import Space
from zeroin.space.scales import Array
from zeroin.types import Range

LISTED = 1024  # spaces of more configs are not listed: a search would not come to their end


def over(configs: int) -> str:
    """The end of a search that has tried all configs, in words."""
    return f"all {configs} configs of the space were tried, so the search is over"


def count(space: Space, ranges: Mapping[str, Range], most: int = LISTED) -> int | None:
    """How many configs the ranges have; None for more than `most`, or for just one, if everything is held.

    >>> from zeroin.space import Choice, Float
    >>> count(Space(o=Choice(1, 2, 3)), {"o": (1, 2, 3)}), count(Space(x=Float(0, 1)), {"x": (0.0, 1.0)})
    (3, None)
    """
    configs = space.configs(ranges)
    found = most + 1 if configs is None else sum(1 for _ in islice(configs, most + 1))
    return found if 1 < found <= most else None


def listed(space: Space, ranges: Mapping[str, Range]) -> Array | None:
    """The points [n, D] of all configs of the ranges; None where `count` has none."""
    configs = space.configs(ranges) if count(space, ranges) else None
    return None if configs is None else np.array([space.units(config) for config in configs])


def key(point: Array) -> bytes:
    """A key of a point [D] that is equal for points of the same config."""
    return (point.round(9) + 0.0).tobytes()  # no zero is negative


def among(points: Array, keys: Set[bytes]) -> np.ndarray:
    """A mask [n] of the points [n, D] whose key is among `keys`."""
    return np.array([key(point) in keys for point in points], bool)
