"""The numbers of a report, computed separately from its pictures: plain data that can be tested without a browser."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zeroin.goal import turned
from zeroin.header import Header
from zeroin.history import History
from zeroin.report.advice import Advice, advice
from zeroin.report.axes import AxisPlot, axis_plot
from zeroin.report.compare import Group, groups, passed_over, verdict
from zeroin.report.curves import Curves, Progress, ending, learning_curves, progress
from zeroin.report.nextsteps import Next, next_steps
from zeroin.report.scores import ScoreAxis, score_axis
from zeroin.report.thin import (
    BEST_CURVES,
    BEST_TRIALS,
    CURVES,
    LINES,
    ROUNDS,
    TRIALS,
    evenly,
    the_best,
    thinned,
)
from zeroin.report.words import Line, events
from zeroin.space.plain import same_config
from zeroin.types import Config, Importance, Kind, Status, Trial
from zeroin.winner import chosen
from zeroin.wording import counted, value_words

TOP = 10
LEFT_OUT = (  # what is told of how many of how many are shown
    f"The axis plots draw {{:,}} of {{:,}} trials: the best {BEST_TRIALS}, and evenly the others.",
    f"{{:,}} of {{:,}} learning curves are drawn: the best {BEST_CURVES}, and evenly the others.",
    "{:,} of {:,} rounds are drawn below each axis plot.",
    "{:,} of {:,} events are told: ranges that moved and failures first, and evenly the others.",
)


@dataclass(frozen=True, slots=True)
class Row:
    """A trial as it is reported; `score` is the best of any epoch, first reached at `best_epoch`."""

    trial: int
    score: float | None
    best_epoch: int
    epoch: int
    kind: Kind
    ending: str
    config: Config
    why: str
    note: str  # why it was paused, or what happened where it failed


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a study; `trainings` is the search's epochs in full trainings."""

    epochs: int
    trainings: float
    trials: int
    seconds: float
    paused: int
    running: int
    failures: Mapping[Status, int]
    after_trials: int
    after_epochs: int


@dataclass(frozen=True, slots=True)
class Summary:
    """All that a report shows. Scores are in the user's own direction."""

    header: Header
    plan: str
    trained: str  # how, in words; empty where that is not known
    best: Row | None
    afresh: Group | None  # the best config, trained again after the search
    verdict: str
    passed_over: str  # why the highest score of the search is not the best config's, in a sentence
    scores: ScoreAxis
    axes: tuple[AxisPlot, ...]  # what matters most first
    fixed: tuple[tuple[str, str], ...]
    curves: Curves
    progress: Progress
    table: tuple[Row, ...]  # the `TOP` best, and the best config's where fresh seeds or the model prefer another
    comparison: tuple[Group, ...]
    events: tuple[Line, ...]
    cost: Cost
    playbook: Advice | None
    next: Next
    space: str  # as Python to paste
    importance: tuple[Importance, ...]
    rows: Mapping[int, Row]  # of each trial that is drawn
    thinned: tuple[str, ...]  # what was left out, in sentences


def trained_as(folder: Path) -> str:
    """How a study was trained, in words, as its folder says; empty where it does not."""
    kept = folder / "training.json"  # of `zeroin.nn.stacking.calibration`, which needs torch
    return str(json.loads(kept.read_text())["words"]) if kept.is_file() else ""


def summarise(header: Header, history: History, trained: str = "", importance: Sequence[Importance] = ()) -> Summary:
    """The numbers of a study's report.

    Args:
        header: what the study is.
        history: what it has seen; may be empty.
        trained: how, in words.
        importance: of the hyperparameters, by the model; the largest first.

    Returns:
        Plain data, equal for equal histories.

    >>> from zeroin.space import Space
    >>> space = Space.from_json({"x": {"type": "float", "low": 0, "high": 1}})
    >>> summarise(Header("empty", "minimize", 1, 0, space), History()).best is None
    True
    """
    space, goal, deepest = header.space, header.goal, header.max_epochs
    search = [t for t in history.trials if t.kind.is_search]
    drawable = [t for t in search if t.status.is_failure or t.losses]
    drawn = thinned(drawable, TRIALS, BEST_TRIALS)
    curves = [t for t in search if t.losses] if deepest > 1 else []
    curved = thinned(curves, CURVES, BEST_CURVES)
    rounds = evenly(history.regions, ROUNDS)
    lines = events(space, search, history.regions)
    told = _told(lines)
    axis = score_axis([turned(goal, loss) for t in search if (loss := t.loss) is not None], goal)
    best = chosen(history)
    steps = progress(history, goal)
    compared = groups(header, history)
    said = verdict(header, compared)
    passed = passed_over(header, history, compared)
    if passed and best and best.kind.is_search:  # else it is none of the trials listed
        passed += " In bold: the best config."
    shares = {i.name: i.mean for i in importance}
    free = {k: p for k, p in space.params.items() if not p.held or _varies(k, drawn)}
    top = the_best(search, TOP)
    top += [best] if best and best.kind.is_search and best not in top else []
    shown = {t.number: t for t in [*drawn, *curved, *top, *(history.trials[s.trial] for s in steps.steps)]}
    counts = (
        (len(drawn), len(drawable)),
        (len(curved), len(curves)),
        (len(rounds), len(history.regions)),
        (len(told), len(lines)),
    )
    return Summary(
        header=header,
        plan=_plan(header, len(free)),
        trained=trained,
        best=_row(header, best) if best else None,
        afresh=next((g for g in compared if best and same_config(g.config, best.config) and g.score), None),
        verdict=said,
        passed_over=passed,
        scores=axis,
        axes=tuple(
            axis_plot(k, p, drawn, rounds, axis) for k, p in sorted(free.items(), key=lambda kp: -shares.get(kp[0], 0))
        ),
        fixed=tuple((k, value_words(p.start)) for k, p in space.params.items() if k not in free),
        curves=learning_curves(curved, goal, deepest, best.number if best else None),
        progress=steps,
        table=tuple(_row(header, t) for t in top),
        comparison=compared,
        events=tuple(told),
        cost=_cost(history, deepest),
        playbook=advice(history, goal),
        next=next_steps(header, history, best, importance, steps, said),
        space=repr(space),
        importance=tuple(importance),
        rows={n: _row(header, t) for n, t in sorted(shown.items())},
        thinned=tuple(words.format(*n) for words, n in zip(LEFT_OUT, counts, strict=True) if n[0] < n[1]),
    )


def _row(header: Header, trial: Trial) -> Row:
    loss = trial.loss
    return Row(
        trial=trial.number,
        score=None if loss is None else turned(header.goal, loss),
        best_epoch=trial.best_epoch or 0,
        epoch=trial.epoch,
        kind=trial.kind,
        ending=ending(trial, header.max_epochs),
        config=dict(trial.config),
        why=trial.why,
        note=trial.note if trial.status.is_failure else trial.paused,
    )


def _told(lines: Sequence[Line]) -> list[Line]:
    """At most `LINES` events: those of ranges and failures first, of the others evenly spaced ones."""
    rare = evenly([i for i, line in enumerate(lines) if line.kind in ("range", "failed")], LINES // 2)
    rest = evenly([i for i in range(len(lines)) if i not in set(rare)], LINES - len(rare))
    return [lines[i] for i in sorted([*rare, *rest])]


def _varies(name: str, trials: Sequence[Trial]) -> bool:
    return len({t.config[name] for t in trials if name in t.config}) > 1


def _plan(header: Header, dimensions: int) -> str:
    aim = f"the {'lowest' if header.goal == 'minimize' else 'highest'} {header.score_name}"
    depth = f", each trial trained for at most {counted(header.max_epochs, 'epoch')}" if header.max_epochs > 1 else ""
    return f"Find the setting of {counted(dimensions, 'hyperparameter')} with {aim}{depth}."


def _cost(history: History, max_epochs: int) -> Cost:
    search = [t for t in history.trials if t.kind.is_search]
    after = [t for t in history.trials if not t.kind.is_search]
    failures = Counter(t.status for t in history.trials if t.status.is_failure)
    return Cost(
        epochs=history.spent,
        trainings=history.spent / max_epochs,
        trials=len(search),
        seconds=history.seconds,
        paused=sum(bool(t.paused) and not t.status.is_failure for t in search),
        running=sum(t.status is Status.RUNNING for t in history.trials),
        failures=dict(sorted(failures.items())),
        after_trials=len(after),
        after_epochs=history.epochs.total() - history.spent,
    )
