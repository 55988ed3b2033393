"""The picture of an effect, as SVG: shares with intervals, and where the draws that work lie."""

import html
import math
from collections.abc import Iterator, Sequence

from zeroin.nn.effects.volume import Comparison, Draw, Goal, Volume, works

# Of the palette of Okabe and Ito, told apart with any colour vision; shape and order say the same once more.
COLOURS = ("#8f8f8f", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, SOFT, FAINT = "#1d1f23", "#5f646d", "#d9d9d6"
ROW, GAP, TOP = 30, 16, 74  # heights: of an arm, between settings, above the first
LEFT, BARS, STRIP, WIDTH = 250, (262, 502), (592, 882), 910  # where the columns are


def draw(title: str, comparisons: Sequence[Comparison], goal: Goal) -> str:
    """The picture.

    Args:
        title: above it.
        comparisons: one of each setting.
        goal: what counts as working.
    """
    steps = [d.step for c in comparisons for v in c.volumes for d in v.draws if d.step]
    ends = (math.floor(math.log10(min(steps))), math.ceil(math.log10(max(steps)))) if steps else None
    rows = [(c, v, i) for c in comparisons for i, v in enumerate(c.volumes)]
    height = TOP + ROW * len(rows) + GAP * len(comparisons) + 34
    parts = [*_frame(title, goal, ends, height)]
    y = float(TOP)
    for comparison in comparisons:
        words = ", ".join(f"{name} {value}" for name, value in comparison.setting.items())
        for i, volume in enumerate(comparison.volumes):
            parts += _row(volume, y, COLOURS[i % len(COLOURS)], words if i == 0 else "", ends, goal)
            y += ROW
        y += GAP
    return "\n".join([*parts, "</svg>", ""])


def _frame(title: str, goal: Goal, ends: tuple[int, int] | None, height: float) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" '
        f'height="{height:g}" font-family="system-ui, sans-serif" font-size="13">'
    )
    yield f'<rect width="{WIDTH}" height="{height:g}" fill="#ffffff"/>'
    yield _text(20, 26, title, INK, size=17, weight=600)
    sign = "≥" if goal.up else "≤"
    yield _text(BARS[0], 56, f"share that ends {sign} {goal.target:g}, with 95 % interval", SOFT)
    for i in range(5):
        yield from _tick(BARS[0] + (BARS[1] - BARS[0]) * i / 4, f"{i / 4:g}", height)
    if ends is not None:
        yield _text(STRIP[0], 56, "lr/(1 − momentum) of each draw; large dots work", SOFT)
        for power in range(ends[0], ends[1] + 1):
            x = STRIP[0] + (STRIP[1] - STRIP[0]) * (power - ends[0]) / max(1, ends[1] - ends[0])
            yield from _tick(x, f"{10.0**power:g}", height)


def _tick(x: float, label: str, height: float) -> Iterator[str]:
    yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{height - 30:g}" stroke="{FAINT}"/>'
    yield _text(x, height - 12, label, SOFT, anchor="middle")


def _row(
    volume: Volume, y: float, colour: str, setting: str, ends: tuple[int, int] | None, goal: Goal
) -> Iterator[str]:
    middle = y + ROW / 2
    if setting:
        yield _text(20, middle + 4, setting, INK, weight=600)
    yield _text(LEFT - 2, middle + 4, volume.arm, colour if colour != COLOURS[0] else SOFT, anchor="end", weight=600)
    wide = BARS[1] - BARS[0]
    low, high = (BARS[0] + wide * v for v in volume.works.interval)
    end = BARS[0] + wide * volume.works.value
    yield f'<rect x="{BARS[0]}" y="{y + 5:g}" width="{end - BARS[0]:.1f}" height="{ROW - 10}" fill="{colour}" rx="2"/>'
    whisker = f"M{low:.1f} {middle:g}H{high:.1f}M{low:.1f} {middle - 4:g}v8M{high:.1f} {middle - 4:g}v8"
    yield f'<path d="{whisker}" stroke="{INK}"/>'
    yield _text(BARS[1] + 12, middle + 4, f"{volume.works.value:.2f}", INK, weight=600)
    if ends is not None:
        yield from _dots(volume.draws, y, colour, ends, goal)


def _dots(draws: Sequence[Draw], y: float, colour: str, ends: tuple[int, int], goal: Goal) -> Iterator[str]:
    """One path for all that work and one for the rest: a dot is a line of no length with round ends."""
    paths: dict[bool, list[str]] = {False: [], True: []}
    for number, one in enumerate(draws):
        if one.step:
            x = STRIP[0] + (STRIP[1] - STRIP[0]) * (math.log10(one.step) - ends[0]) / max(1, ends[1] - ends[0])
            high = y + 4 + (ROW - 8) * (number * 0.618034 % 1)  # spread evenly, whatever the number
            paths[works(one, goal)].append(f"M{x:.1f} {high:.1f}h0")
    for good, look in (
        (False, f'stroke="{SOFT}" stroke-opacity="0.45" stroke-width="2.4"'),
        (True, f'stroke="{colour}" stroke-width="5.2"'),
    ):
        yield f'<path d="{"".join(paths[good])}" {look} stroke-linecap="round"/>'


def _text(
    x: float, y: float, words: str, colour: str, *, size: int = 13, weight: int = 400, anchor: str = "start"
) -> str:
    look = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:g}" {look}>{html.escape(words)}</text>'
