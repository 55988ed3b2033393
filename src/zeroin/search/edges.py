"""Ranges that move: where the best trials crowd an edge, and the legal limits allow."""

from collections.abc import Mapping, Sequence

import numpy as np

from zeroin.search.model import Rows
from zeroin.search.view import View
from zeroin.search.zoom import Box, in_values
from zeroin.space import Choice, Int, Space
from zeroin.space.scales import Array
from zeroin.types import Range, Region

GROWTH = 2.0  # widths by which a range grows at an edge


def extended(view: View, rows: Rows) -> Region | None:
    """The region with ranges moved, where the best trials crowd an edge and the legal limits allow."""
    seen = np.unique(rows.trial)
    regions = view.history.regions
    last = max((r.after for r in regions if r.why.startswith("range")), default=0)
    trials_then = sum(1 for j in view.history.jobs[:last] if j.start == 0) if last else view.screen
    if len(seen) - trials_then < view.settings.edge_every:
        return None
    final = np.full(len(view.history.trials), np.inf)
    final[rows.trial] = rows.loss  # rows come in order: the last one of a trial is its deepest
    best = seen[np.argsort(final[seen], kind="stable")[: max(3, len(seen) // 8)]]
    moved = _at_edges(view.space, view.memory.units[best], view.box)
    if not moved:
        return None
    box = np.stack([view.box.low, view.box.high], axis=1)
    ranges = dict(view.ranges)
    for name, (low, high) in moved.items():
        param = view.space[name]
        ranges[name] = (param.value(low), param.value(high))
    number = regions[-1].round + 1 if regions else 1
    why = "range moved, the best lie at its edge: " + _words(ranges, list(moved))
    return Region(number, len(view.history.jobs), ranges, in_values(view.space, box, ranges), 1.0, why)


def _at_edges(space: Space, best: Array, box: Box) -> dict[str, tuple[float, float]]:
    """Numbers whose range should move: it leaves the best point out, or crowds the best at an edge.

    They crowd where at least 60 % of the best points [k, D], sorted, lie within a tenth of one edge.

    Returns:
        By name, the new interval of the unit line: wider by `GROWTH` widths at that edge, within the legal limits.
    """
    moved: dict[str, tuple[float, float]] = {}
    for j, (name, param) in enumerate(space.params.items()):
        low, high = float(box.low[j]), float(box.high[j])
        if isinstance(param, Choice) or param.fixed is not None or high <= low:
            continue
        place = (best[:, j] - low) / (high - low)
        if isinstance(param, Int):  # the end of a few whole numbers is the last of them
            values = np.array([param.value(u) for u in best[:, j]])
            place[values == param.value(low + 1e-9)], place[values == param.value(high - 1e-9)] = 0.0, 1.0
        if ((place < 0.1).mean() >= 0.6 or place[0] < 0.0) and low > 1e-9:
            moved[name] = (max(0.0, low - GROWTH * (high - low)), high)
        elif ((place > 0.9).mean() >= 0.6 or place[0] > 1.0) and high < 1 - 1e-9:
            moved[name] = (low, min(1.0, high + GROWTH * (high - low)))
    return moved


def _words(ranges: Mapping[str, Range], names: Sequence[str]) -> str:
    """Ranges in a sentence: `lr 0.001..0.1, momentum 0.9..0.99`."""
    return ", ".join(f"{name} {ranges[name][0]:.3g}..{ranges[name][1]:.3g}" for name in names)
