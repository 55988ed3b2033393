"""The pictures of a summary: plotly figures that draw its numbers and compute nothing."""

import html
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import plotly.graph_objects as go

from zeroin.report.axes import AxisPlot, Interval, Point
from zeroin.report.curves import Curve
from zeroin.report.scores import ScoreAxis
from zeroin.report.summary import Row, Summary
from zeroin.report.ticks import Tick, beside
from zeroin.types import Kind
from zeroin.wording import counted, score_words, value_words

# Of the palette of Okabe and Ito, told apart with any colour vision; shapes say the same once more.
COLOURS = {
    Kind.SCREEN: "#8f8f8f",
    Kind.EXPLORE: "#009E73",
    Kind.ZOOM: "#0072B2",
    Kind.START: "#CC79A7",
    Kind.PLAYBOOK: "#E69F00",
}
SYMBOLS = {
    Kind.SCREEN: "circle",
    Kind.EXPLORE: "square",
    Kind.ZOOM: "diamond",
    Kind.START: "triangle-left",
    Kind.PLAYBOOK: "pentagon",
}
BEST, FAILED, LIKELY, SEARCHED = "#D55E00", "#8f8f8f", "#0072B2", "rgba(128,128,128,0.35)"
GRID = "rgba(128,128,128,0.18)"
FEW = 8  # counts that have a tick each


def axis_figure(plot: AxisPlot, summary: Summary) -> go.Figure:
    """Scores against one hyperparameter; below it what each round searched, and where it saw the best.

    Args:
        plot: one of `summary.axes`.
        summary: whose trials it tells of.
    """
    rounds = sorted({i.round for i in (*plot.searched, *plot.likely)}) if plot.likely else []
    top = min(0.5, 0.12 + 0.035 * len(rounds)) if rounds else 0.0
    figure = _figure(265 + 12 * len(rounds))
    for kind in COLOURS:
        scored = [p for p in plot.points if p.kind is kind and p.score is not None]
        figure.add_trace(_points(scored, kind, summary))
    figure.add_trace(_crosses([p for p in plot.points if p.score is None], summary))
    if summary.best:
        figure.add_trace(_star([p for p in plot.points if p.trial == summary.best.trial], summary))
    angle = 0 if beside(plot.ticks, plot.low, plot.high) else None  # long names: as they fit
    figure.update_layout(
        xaxis=_ticked(plot.ticks)
        | {
            "range": [plot.low, plot.high],
            "anchor": "y2" if rounds else "y",
            "tickangle": angle,
            "tickfont": {"size": 11},
        },
        yaxis=_score_axis(summary.scores, summary.header.score_name) | {"domain": [top, 1], "anchor": "x"},
        shapes=_bands(plot, rounds),
    )
    if rounds:
        names = ["asked" if r < 0 else f"round {r}" for r in rounds]
        told = [0, len(rounds) - 1] if len(rounds) > 3 else list(range(len(rounds)))
        figure.update_layout(
            yaxis2={
                "domain": [0, top - 0.06],
                "range": [len(rounds) - 0.4, -0.6],
                "tickvals": told,
                "ticktext": [names[i] for i in told],
                "fixedrange": True,
                "automargin": True,
                "showgrid": False,
                "zeroline": False,
            }
        )
        figure.add_trace(go.Scatter(x=[], y=[], yaxis="y2", hoverinfo="skip"))
    return figure


def curves_figure(summary: Summary) -> go.Figure:
    """Learning curves, one line for each trial, with the best one on top."""
    figure = _figure(360)
    curves = summary.curves.curves
    for kind, colour in COLOURS.items():
        figure.add_trace(_lines([c for c in curves if c.kind is kind and not c.best], colour, 1.3, 0.55, summary))
    figure.add_trace(_lines([c for c in curves if c.best], BEST, 3.5, 1.0, summary))
    figure.update_layout(
        xaxis=_counts("epoch", summary.header.max_epochs) | {"rangemode": "tozero"},
        yaxis=_score_axis(summary.curves.axis, summary.header.score_name),
    )
    return figure


def progress_figure(summary: Summary) -> go.Figure:
    """The best score so far against the epochs the search has spent."""
    figure = _figure(360)
    progress = summary.progress
    unit = "epochs" if summary.header.max_epochs > 1 else "trials"
    if progress.steps:
        last = progress.steps[-1]
        figure.add_trace(
            go.Scatter(
                x=[*(s.spent for s in progress.steps), progress.spent],
                y=[*(s.height for s in progress.steps), last.height],
                text=[*_texts((s.trial for s in progress.steps), summary), _hover(summary.rows[last.trial], summary)],
                mode="lines+markers",
                line={"shape": "hv", "color": BEST, "width": 2.5},
                marker={"size": [*(7 for _ in progress.steps), 1]},
                hovertemplate=f"after %{{x}} {unit}<br>%{{text}}<extra></extra>",
            )
        )
    figure.update_layout(
        xaxis=_counts(f"{unit} of the search", progress.spent),
        yaxis=_score_axis(progress.axis, f"best {summary.header.score_name} so far"),
    )
    return figure


def _figure(height: int) -> go.Figure:
    return go.Figure(
        layout={
            "template": go.layout.Template(),
            "height": height,
            "margin": {"l": 58, "r": 14, "t": 10, "b": 26},
            "showlegend": False,
            "hovermode": "closest",
            "dragmode": False,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#444"},
            "hoverlabel": {"align": "left", "font": {"size": 12}},
        }
    )


def _points(points: Sequence[Point], kind: Kind, summary: Summary) -> go.Scatter:
    over = "triangle-up" if summary.scores.down else "triangle-down"
    marker = {
        "color": COLOURS[kind],
        "symbol": [over if p.beyond else SYMBOLS[kind] for p in points],
        "size": [4.5 + 6 * (p.epoch / summary.header.max_epochs) ** 0.5 for p in points],
        "opacity": 0.75,
        "line": {"width": 0.5, "color": "rgba(255,255,255,0.7)"},
    }
    return _marks(points, marker, kind.value, summary)


def _crosses(points: Sequence[Point], summary: Summary) -> go.Scatter:
    marker = {"color": FAILED, "symbol": "x-thin-open", "size": 7, "line": {"width": 1.4}}
    return _marks(points, marker, "failed", summary).update(cliponaxis=False)  # they lie in the gutter


def _star(points: Sequence[Point], summary: Summary) -> go.Scatter:
    marker = {"color": BEST, "symbol": "star", "size": 17, "line": {"width": 1, "color": "white"}}
    return _marks(points, marker, "best", summary)


def _marks(points: Sequence[Point], marker: dict[str, Any], name: str, summary: Summary) -> go.Scatter:
    return go.Scatter(
        x=[p.position for p in points],
        y=[p.height for p in points],
        text=_texts((p.trial for p in points), summary),
        mode="markers",
        marker=marker,
        hovertemplate="%{text}<extra></extra>",
        name=name,
    )


def _lines(curves: Sequence[Curve], colour: str, width: float, opacity: float, summary: Summary) -> go.Scatter:
    """All curves that look alike as one trace, with gaps between them."""
    x: list[int | None] = []
    y: list[float | None] = []
    text: list[str] = []
    for curve in curves:
        told = _hover(summary.rows[curve.trial], summary)
        x += [*curve.epochs, None]
        y += [*curve.heights, None]
        text += [told] * (len(curve.epochs) + 1)
    return go.Scatter(
        x=x,
        y=y,
        text=text,
        mode="lines+markers",
        opacity=opacity,
        line={"color": colour, "width": width},
        marker={"size": width + 1.7},
        hovertemplate="epoch %{x}<br>%{text}<extra></extra>",
    )


def _bands(plot: AxisPlot, rounds: Sequence[int]) -> list[dict[str, Any]]:
    """Where the last round saw the best, behind the points; a bar for each round below them."""
    thin = 0.004 * (plot.high - plot.low)  # a region of one value is still seen

    def box(i: Interval, y0: float, y1: float, yref: str, colour: str, opacity: float) -> dict[str, Any]:
        sides = {"x0": i.low - thin, "x1": i.high + thin, "y0": y0, "y1": y1}
        look = {"fillcolor": colour, "opacity": opacity, "line": {"width": 0}, "layer": "below"}
        return {"type": "rect", "xref": "x", "yref": yref, **sides, **look}

    row = {r: i for i, r in enumerate(rounds)}
    last = rounds[-1] if rounds else None  # in which the best may be likely without this hyperparameter
    shapes = [box(i, 0, 1, "y domain", LIKELY, 0.1) for i in plot.likely if i.round == last]
    if rounds:
        shapes += [box(i, row[i.round] - 0.12, row[i.round] + 0.12, "y2", SEARCHED, 1.0) for i in plot.searched]
        shapes += [box(i, row[i.round] - 0.34, row[i.round] + 0.34, "y2", LIKELY, 0.75) for i in plot.likely]
    return shapes


def _ticked(ticks: Sequence[Tick]) -> dict[str, Any]:
    return {
        "tickvals": [t.position for t in ticks],
        "ticktext": [_plain(t.label) for t in ticks],
        "gridcolor": GRID,
        "zeroline": False,
        "fixedrange": True,
        "automargin": True,
    }


def _counts(title: str, most: int) -> dict[str, Any]:
    """An axis of whole numbers: no tick lies between two of them."""
    ticks = {"dtick": 1} if most < FEW else {}
    return {"title": {"text": title}, "automargin": True, "gridcolor": GRID, "zeroline": False} | ticks


def _score_axis(axis: ScoreAxis, title: str) -> dict[str, Any]:
    ends = [min(axis.low, axis.gutter), max(axis.high, axis.gutter)]
    return _ticked(axis.ticks) | {"range": ends, "title": {"text": _plain(title), "standoff": 6}}


def _texts(trials: Iterable[int], summary: Summary) -> list[str]:
    return [_hover(summary.rows[n], summary) for n in trials]


def _hover(row: Row, summary: Summary) -> str:
    at, depth, score = "", "", row.ending
    if summary.header.max_epochs > 1:
        at, depth = f" at epoch {row.best_epoch}", f" · {row.ending}, {counted(row.epoch, 'epoch')}"
    if row.score is not None:
        score = f"{_plain(summary.header.score_name)} {score_words(row.score)}{at}"
    lines = [f"<b>trial {row.trial}</b> · {row.kind}{depth}", score]
    lines += [_plain(f"{name} = {value_words(value)}") for name, value in row.config.items()]
    for sentence in (row.why, row.note):
        lines += [f"<i>{_plain(part)}</i>" for part in textwrap.wrap(sentence[:300], 56)]
    return "<br>".join(lines)


def _plain(text: str) -> str:
    """Text escaped for plotly, which interprets some HTML."""
    return html.escape(text, quote=False)
