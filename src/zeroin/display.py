"""What is shown while a study runs: the plan, new regions in words, the best so far, the time that is left."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TypeAlias

from rich.console import Console, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from zeroin.goal import turned
from zeroin.history import History, incumbent
from zeroin.plan import Plan
from zeroin.report.compare import Group, groups, passed_over
from zeroin.report.words import STATUS_WORDS
from zeroin.space import Choice, Hyperparameter
from zeroin.space.plain import same_config
from zeroin.space.words import range_words
from zeroin.study import Study
from zeroin.types import Asked, Ended, Event, Job, Kind, Range, Trial
from zeroin.winner import winner
from zeroin.wording import config_words, counted, duration, error_line, percent, score_words

Told: TypeAlias = Event | Plan
SECONDS_BETWEEN_LINES = 10.0  # of progress, if the output is not a terminal
BAR, SHORTEST_BAR = 24, 4  # characters
TOLD = 3  # hyperparameters of a round whose likely ranges are told; the report has all


def terminal(*, stderr: bool = False) -> Console:
    """A console on standard output or error that neither wraps lines nor interprets what users wrote, such as `:x:`."""
    return Console(stderr=stderr, soft_wrap=True, highlight=False, emoji=False)


class Display:
    """A listener for `tune(listen=...)`: a live display in a terminal, plain lines elsewhere.

    >>> with Display(Console(quiet=True)) as display:
    ...     study = None  # zi.tune(objective, space, listen=display)
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or terminal()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._plan: Plan | None = None
        self._best: float | None = None
        self._began = self._last_line = time.monotonic()
        self._share_before = 0.0  # of the budget, when the plan was told

    def __enter__(self) -> "Display":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def __call__(self, study: Study, told: Told) -> None:
        """Show an event, or the plan."""
        match told:
            case Plan():
                self._plan, self._began = told, time.monotonic()
                self._share_before = self._share(study) or 0.0
                self._console.print(escape(told.words()))
            case Asked(jobs, region, _):
                if region:
                    words = region.why + _likely(study, region.likely)
                    self._console.print(f"[cyan]round {region.round}[/] {escape(words)}")
                if _ends_search(study.history, jobs):
                    self._console.print("search over; the best again with fresh seeds")
            case Ended():
                self._ended(study, told)
            case _:
                self._refresh(study)

    def _ended(self, study: Study, told: Ended) -> None:
        trial = study.history.trials[study.history.jobs[told.job].trial]
        if told.status.is_failure:
            happened = f"[yellow]trial {trial.number} {STATUS_WORDS[told.status]}[/]"
            self._console.print(f"{happened} {escape(error_line(told.note))}")
        best = incumbent(study.history)
        before, self._best = self._best, best.loss if best else None  # worse, where the best has failed since
        if best and best.loss is not None and best.loss != before:
            score = turned(study.goal, best.loss)
            depth = f" at epoch {best.best_epoch}" if study.max_epochs > 1 else ""
            self._console.print(
                f"[green]best {score_words(score)}[/] trial {best.number}{depth}: {escape(config_words(best.config))}"
            )
        self._refresh(study)

    def _refresh(self, study: Study) -> None:
        if self._console.is_terminal:
            self._live.update(self._progress(study), refresh=True)
        elif time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            self._console.print(self._words(study))

    def _share(self, study: Study) -> float | None:
        """The share of the budget that is spent, from 0 to 1; None if that is not known."""
        plan, shares = self._plan, []
        if plan and plan.trainings is not None:
            shares.append(study.history.epochs.total() / (plan.trainings * study.max_epochs))
        if plan and plan.budget.minutes is not None:
            shares.append((time.time() - plan.began) / (60 * plan.budget.minutes))
        return min(1.0, max(shares)) if shares else None

    def _words(self, study: Study) -> str:
        share = self._share(study)
        history = study.history
        out = counted(len(history.trials), "trial")
        out += f", {counted(history.spent, 'epoch')}" if study.max_epochs > 1 else ""
        if share is not None:
            out += f", {percent(share)} of the budget"
        if self._best is not None:
            out += f", best {score_words(turned(study.goal, self._best))}"
        elapsed = time.monotonic() - self._began
        if share is not None and self._share_before < share < 1:
            left = elapsed * (1 - share) / (share - self._share_before)
            out += f", about {duration(max(1.0, left))} left"
        return out

    def _progress(self, study: Study) -> RenderableType:
        """One line however narrow the terminal: the bar has what the words leave."""
        words = Text(self._words(study), no_wrap=True, overflow="ellipsis")
        room = min(BAR, self._console.width - 1 - len(words))
        if room < SHORTEST_BAR:
            return words
        grid = Table.grid(padding=(0, 1))
        grid.add_row(ProgressBar(total=1.0, completed=self._share(study) or 0.0, width=room), words)
        return grid


def show_result(console: Console, study: Study, best: Trial) -> None:
    """Print the result of a study: its best config, its score in the search, and the comparison over fresh seeds.

    Args:
        console: to print on.
        study: that has ended.
        best: its best trial, with losses in the user's own sense.
    """
    depth = f" at epoch {best.best_epoch}" if study.max_epochs > 1 else ""
    score = f"{study.header.score_name} {score_words(best.loss or 0.0)}"
    console.print(f"\nbest config: [bold]{escape(config_words(best.config))}[/]")
    console.print(f"in the search: {escape(score)}{depth} (trial {best.number}, {escape(best.why)})")
    compared = groups(study.header, study.history)
    if passed := passed_over(study.header, study.history, compared):
        console.print(escape(passed))
    if any(not trial.kind.is_search for trial in study.history.trials):
        console.print(_result_table(study, compared))
        console.print(f"default config: {escape(config_words(study.space.default))}")


def _result_table(study: Study, compared: Sequence[Group]) -> Table:
    """The best config beside the default over fresh seeds: mean ± sd, and the 95 % interval of the mean."""
    table = Table(box=None, pad_edge=False)
    score_column = "validation" if "metric" in study.header.measure else study.header.score_name
    for column in ("", score_column, "mean with 95 %", "test", "seeds"):
        table.add_column(column)
    best = winner(study.history) or {}
    for group in compared:
        name = group.label.removeprefix("config of ").removesuffix(" config")
        name = f"best: {name}" if same_config(group.config, best) else name
        score, test = (stat.words if stat else "-" for stat in (group.score, group.test))
        within = (group.score.within if group.score else "") or "-"
        table.add_row(name, score, within, test, str(group.trained - group.failed))
    return table


def _ends_search(history: History, jobs: Sequence[Job]) -> bool:
    """Whether these jobs are the first with fresh seeds."""
    earlier = history.trials[: jobs[0].trial] if jobs else []
    return any(job.kind is Kind.CONFIRM for job in jobs) and all(t.kind is not Kind.CONFIRM for t in earlier)


def _likely(study: Study, likely: Mapping[str, Range]) -> str:
    """Where the best likely lies, in words, for the hyperparameters for which that is the least of their range."""
    known = [name for name, found in likely.items() if set(found) != set(study.space[name].range)]
    least = sorted(known, key=lambda name: _share_of(study.space[name], likely[name]))[:TOLD]
    parts = [f"{name} {range_words(study.space[name], likely[name], 3)}" for name in known if name in least]
    more = f" and {len(known) - TOLD} more" if len(known) > TOLD else ""
    return f"; best likely within {', '.join(parts)}{more}" if parts else ""


def _share_of(param: Hyperparameter, found: Range) -> float:
    """How much of its declared range a hyperparameter's likely range is, on its scale."""
    if isinstance(param, Choice):
        return len(found) / len(param.range)
    (low, high), (first, last) = param.span(found), param.span(param.range)
    return (high - low) / (last - first) if last > first else 1.0
