"""The picture of a comparison: an axis for each hyperparameter, with a bar for each study's good values."""

from collections.abc import Iterator
from html import escape

from zeroin.playbook.compare import Comparison, Row, place
from zeroin.report.ticks import across
from zeroin.space import SCALES, Choice, Hyperparameter, Int
from zeroin.space.choice import key
from zeroin.types import Range
from zeroin.wording import value_words

WIDTH, LINE, GAP, TOP = 520, 16, 46, 24  # pixels
LETTER, LONGEST = 7.4, 45  # the width of a letter; the letters of a name that are shown
BAR, BEST, BAND, INK, GRID = "#0072B2", "#D55E00", "#009E73", "#555", "#bbb"  # of the palette of Okabe and Ito
STYLE = "font: 12px system-ui, sans-serif"
LEGEND = "bar: where good configs lie, darker the more it mattered · dot: the best one · green: good in most"


def svg(comparison: Comparison) -> str:
    """The comparison as an SVG image; darker bars mean that the hyperparameter mattered more, dots are best values."""
    height = TOP + sum(_height(row) for row in comparison.rows)
    names = tuple(map(_short, comparison.names))
    left = 20 + LETTER * max(map(len, names))  # where the axes begin
    wide = max(left + WIDTH + 30, LETTER * len(LEGEND))
    size = f'width="{wide:.0f}" height="{height}" viewBox="0 0 {wide:.0f} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{STYLE}" role="img">',
        f"<title>Where the good configs of {escape(', '.join(comparison.names))} lie</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        _text(4, 16, LEGEND),
    ]
    y = float(TOP)
    for row in comparison.rows:
        parts += _panel(row, names, y, left)
        y += _height(row)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _height(row: Row) -> float:
    return GAP + LINE * sum(cell is not None for cell in row.cells)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST // 2]}…{name[-LONGEST // 2 + 1 :]}"


def _panel(row: Row, names: tuple[str, ...], top: float, axis: float) -> Iterator[str]:
    known = [(name, cell) for name, cell in zip(names, row.cells, strict=True) if cell]
    low, high = _view(row)
    bottom = top + 18 + LINE * len(known)

    def x(unit: float) -> float:
        return axis + WIDTH * (unit - low) / (high - low)

    yield _text(4, top + 12, f"{row.name}: {row.words('good ')}", bold=True)
    for a, b in _bars(row.param, row.common) if row.agrees else []:
        left, right = x(a) - 3, x(b) + 3  # so that a single value is seen, too
        yield (
            f'<rect x="{left:.1f}" y="{top + 18}" width="{right - left:.1f}" height="{LINE * len(known)}" '
            f'fill="{BAND}" opacity="0.25"/>'
        )
    for unit, label in _marks(row.param, low, high):
        yield f'<path d="M{x(unit):.1f} {top + 18}V{bottom}" stroke="{GRID}" stroke-width="0.7"/>'
        yield _text(x(unit), bottom + 13, label, anchor="middle")
    for i, (name, cell) in enumerate(known):
        y = top + 18 + LINE * (i + 0.5)
        yield _text(axis - 8, y + 4, name, anchor="end")
        opacity = 0.2 + 0.7 * min(1.0, cell.importance)
        for a, b in _bars(row.param, cell.good):
            left, right = x(a), max(x(b), x(a) + 2)
            yield (
                f'<rect x="{left:.1f}" y="{y - 5:.1f}" width="{right - left:.1f}" height="10" rx="2" fill="{BAR}" '
                f'opacity="{opacity:.2f}"><title>{escape(name)}: {escape(row.words_of(cell))}</title></rect>'
            )
        if cell.best is not None:
            at = min(max(row.param.unit(cell.best), low), high)
            yield f'<circle cx="{x(at):.1f}" cy="{y:.1f}" r="3.5" fill="{BEST}"/>'


def _view(row: Row) -> tuple[float, float]:
    """The part of the unit interval that is drawn: all good ranges, with a margin."""
    if isinstance(row.param, Choice):
        return 0.0, 1.0
    ends = [end for cell in row.cells if cell for end in place(row.param, cell.good)]
    ends += [min(max(row.param.unit(cell.best), 0.0), 1.0) for cell in row.cells if cell and cell.best is not None]
    room = 0.08 * max(max(ends) - min(ends), 0.05)
    return min(ends) - room, max(ends) + room


def _bars(param: Hyperparameter, good: Range) -> list[tuple[float, float]]:
    if not isinstance(param, Choice):
        return [place(param, good)]
    half = 0.3 / len(param.options)
    return [(param.unit(v) - half, param.unit(v) + half) for v in param.options if key(v) in map(key, good)]


def _marks(param: Hyperparameter, low: float, high: float) -> list[tuple[float, str]]:
    if isinstance(param, Choice):
        return [(param.unit(option), value_words(option)) for option in param.options]
    scale = SCALES[param.scale]
    values = [param.value(min(max(u, 0.0), 1.0)) for u in (low, high)]
    if values[0] == values[1]:
        return [(param.unit(values[0]), value_words(values[0]))]
    zero = param.unit(0.0)  # which, where it is exact, is beside the scale
    shown = [(zero, "0")] if not scale.allows(0.0) and low <= zero <= high else []
    ends = [float(scale.forward(v if scale.allows(v) else param.low)) for v in values]
    ticks = across(scale, *ends, whole=isinstance(param, Int)) if ends[0] < ends[1] else ()
    return [*shown, *((param.unit(float(scale.inverse(t.position))), t.label) for t in ticks)]


def _text(x: float, y: float, words: str, *, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}"{weight}>{escape(words)}</text>'
