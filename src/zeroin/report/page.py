"""The report as one self-contained HTML file, which opens offline and makes no requests."""

import json
from functools import cache
from importlib import resources
from typing import Any

import jinja2
import plotly.graph_objects as go
import plotly.offline
from markupsafe import Markup

from zeroin.goal import turned
from zeroin.report.charts import BEST, COLOURS, FAILED, LIKELY, axis_figure, curves_figure, progress_figure
from zeroin.report.curves import TO_THE_END
from zeroin.report.nextranges import is_of_command_line
from zeroin.report.summary import TOP, Row, Summary
from zeroin.report.words import STATUS_WORDS
from zeroin.wording import counted, duration, error_line, moment, percent, score_words, value_words

NONE = "–"  # of a hyperparameter that a config does not have, and of a score where there is none


def render(summary: Summary) -> str:
    """The page as text.

    Args:
        summary: what to tell.

    Returns:
        HTML with the pictures' data and plotly.js inside, the same for the same summary and plotly.
    """
    files = resources.files("zeroin.report")
    return _template().render(
        s=summary,
        figures=_shared(_figures(summary)),
        plotly=Markup(plotly.offline.get_plotlyjs()),
        script=Markup(files.joinpath("page.js").read_text("utf-8")),
        style=Markup(files.joinpath("page.css").read_text("utf-8")),
        looks={"colours": COLOURS, "best": BEST, "failed": FAILED, "likely": LIKELY},
        status_words=STATUS_WORDS,
        paste=repr(dict(summary.best.config)) if summary.best else "",  # as Python
        drawn=_drawn(summary),
        on_command_line=is_of_command_line(plan.command) if (plan := summary.header.plan) else False,
        columns=_columns(summary),
        most=TOP,
        top=[_cells(row, summary) for row in summary.table],
        rows=[_cells(row, summary) for row in sorted(summary.rows.values(), key=lambda row: _rank(row, summary))],
        table_script=Markup(files.joinpath("table.js").read_text("utf-8")),
    )


@cache
def _template() -> jinja2.Template:
    """The page with its places for numbers and words; to compile it takes as long as to fill it in."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {
        "show": value_words,
        "score": score_words,
        "duration": duration,
        "counted": counted,
        "data": _data,
        "percent": percent,
        "moment": moment,
    }
    return environment.from_string(resources.files("zeroin.report").joinpath("page.html").read_text("utf-8"))


def _figures(summary: Summary) -> dict[str, go.Figure]:
    figures = {f"axis-{i}": axis_figure(plot, summary) for i, plot in enumerate(summary.axes) if plot.points}
    if summary.curves.curves:
        figures["curves"] = curves_figure(summary)
    if summary.progress.steps:
        figures["progress"] = progress_figure(summary)
    return figures


def _shared(figures: dict[str, go.Figure]) -> dict[str, Any]:
    """The figures as plain data. Each hover text is stored once, and traces refer to it by number."""
    texts: dict[str, int] = {}
    plain = {}
    for name, figure in figures.items():
        plain[name] = json.loads(figure.to_json())
        for trace in plain[name]["data"]:
            if "text" in trace:
                trace["text"] = [texts.setdefault(text, len(texts)) for text in trace["text"]]
    return {"figures": plain, "texts": list(texts)}


def _data(value: object) -> Markup:
    """JSON for a script element, escaped so that nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _drawn(summary: Summary) -> set[str]:
    """What the legend of the axis plots has to explain: kinds of trials, and whether any "failed" or is "likely"."""
    points = [p for plot in summary.axes for p in plot.points]
    drawn = {str(p.kind) if p.score is not None else "failed" for p in points}
    return drawn | ({"likely"} if any(plot.likely for plot in summary.axes) else set())


def _columns(summary: Summary) -> list[tuple[str, str]]:
    """The columns of the table of trials: name and CSS class."""
    out = [
        "trial",
        summary.header.score_name,
        *(["epochs"] if summary.header.max_epochs > 1 else []),
        *_hyperparameters(summary),
    ]
    return [(name, "number") for name in out] + [("why it was tried, and how it ended", "text")]


def _cells(row: Row, summary: Summary) -> list[str]:
    """A trial in the table, in words."""
    values = [value_words(row.config[n]) if n in row.config else NONE for n in _hyperparameters(summary)]
    ended = f"; {row.ending}" if row.ending != TO_THE_END else ""
    why = f"{row.why}{ended}{f': {error_line(row.note)}' if row.note else ''}"
    score = NONE if row.score is None else score_words(row.score)
    return [str(row.trial), score, *([str(row.epoch)] if summary.header.max_epochs > 1 else []), *values, why]


def _rank(row: Row, summary: Summary) -> tuple[bool, float, int, int]:
    """The order of the table: as `the_best` has it, then those without a score."""
    loss = 0.0 if row.score is None else turned(summary.header.goal, row.score)
    return row.score is None, loss, -row.epoch, row.trial


def _hyperparameters(summary: Summary) -> list[str]:
    return [plot.name for plot in summary.axes]
