"""Verbs that read a store or the catalogue: status, watch, report, export, catalogue."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from zeroin import catalogue as known
from zeroin import exports
from zeroin.cli.options import JSON, NAME, STORE, print_file, print_table, write, writing
from zeroin.data import install
from zeroin.errors import StudyError
from zeroin.executors.checkpoint import trial_folder
from zeroin.goal import shown, turned
from zeroin.header import Header
from zeroin.report.compare import groups, passed_over
from zeroin.reporting import report_of, write_report
from zeroin.store import files_of, is_written, list_studies, read_study
from zeroin.tasks import TASKS
from zeroin.types import Kind, Trial
from zeroin.watching import watch as watched
from zeroin.winner import chosen, scores
from zeroin.wording import config_words, counted, moment, score_words

NOWHERE = "# task is the Task that was tuned"  # a line of Python where no file defines it


@click.command(short_help="List the studies in a store, or show one.")
@NAME
@JSON
@STORE
def status(name: str | None, store: Path, as_json: bool) -> None:
    """List the studies in a store, or show one in more detail."""
    studies = [study for study in list_studies(store) if name in (None, study.name)]
    if not studies:
        raise StudyError(f"a study must be in the store; {store} has no {name!r}: see `zeroin status --store {store}`.")
    scores = [None if study.best is None else turned(study.goal, study.best) for study in studies]
    if as_json:
        rows = [asdict(study) | {"best": score} for study, score in zip(studies, scores, strict=True)]
        if name:
            rows[0] |= _best_of(store, name)
        click.echo(json.dumps(exports.finite(rows), indent=1))
        return
    for study, score in zip(studies, scores, strict=True):
        best = "none yet" if score is None else score_words(score)
        failures = f", {study.failures} failed" if study.failures else ""
        open_jobs = f", {study.running} open" if study.running else ""
        if open_jobs and not is_written(store, study.name):
            open_jobs += ", its process is gone: the same command goes on"
        epochs = f", {counted(study.epochs, 'epoch')}" if study.max_epochs > 1 else ""
        click.echo(
            f"{study.name}: {counted(study.trials, 'trial')}{epochs}, best {best} ({study.goal})"
            f"{failures}{open_jobs}; since {moment(study.created)}"
        )
    if name:
        _status_of(store, name)


@click.command(short_help="Watch a study that runs in another process.")
@NAME
@STORE
def watch(name: str | None, store: Path) -> None:
    """Watch a study that runs in another process until it ends; the newest if none is named.

    Writes nothing. Ctrl-C stops watching, not the study.
    """
    from zeroin.display import Display, show_result, terminal

    console = terminal()
    with Display(console) as display:
        seen = watched(store, name, display)
    best = chosen(seen.history)
    if seen.history.running:
        console.print(f"{seen.name} was cut short: its process is gone; the same command goes on", markup=False)
    if best is None or best.loss is None:
        console.print(f"{seen.name} has ended; none of its {len(seen.history.trials)} trials has a score", markup=False)
        return
    show_result(console, seen, shown(seen.goal, best))


@click.command(short_help="Write the report of a study, one HTML file.")
@NAME
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="HTML file to write, among the study's files by default; - for standard output.",
)
@STORE
def report(name: str | None, output: Path | None, store: Path) -> None:
    """Write the report of a study as one HTML file that opens offline; the newest study if none is named."""
    header, history = read_study(store, name)
    folder = files_of(store, header.name)
    text = report_of(header, history, folder)
    if str(output) == "-":
        print_file(text)
    else:
        click.echo(str(write_report(output or folder / "report.html", text)))


@click.command(short_help="Export results as CSV or JSON, or the best model.")
@NAME
@click.option(
    "--csv", "csv_file", type=click.Path(path_type=Path), help="File for a line per trial; - for standard output."
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="File for everything as JSON; - for standard output."
)
@click.option(
    "--model", "model_file", type=click.Path(path_type=Path), help="File for the best model's weights and config."
)
@STORE
def export(
    name: str | None, csv_file: Path | None, json_file: Path | None, model_file: Path | None, store: Path
) -> None:
    """Export results: as CSV, as JSON, or the best model's weights with its config."""
    if not (csv_file or json_file or model_file):
        raise StudyError(
            "an export goes to a file; none was named: add --csv trials.csv, --json study.json or --model best.pt."
        )
    header, history = read_study(store, name)
    if csv_file:
        write(csv_file, exports.as_csv(header, history), "an export goes to")
    if json_file:
        write(json_file, exports.as_json(header, history), "an export goes to")
    if model_file:
        trial = exports.trial_with_weights(history, files_of(store, header.name))
        with writing(model_file, "an export goes to"):
            said = _weights(header, trial, trial_folder(files_of(store, header.name), trial.number), model_file)
        click.echo(f"{said}\n{_scores_of(header, trial)}")


@click.command(short_help="List the usual hyperparameters, or show one.")
@NAME
def catalogue(name: str | None) -> None:
    """List the usual hyperparameters: symbol, default, range, scale, limits; or show one in full."""
    if name:
        click.echo(known.describe(name))
    else:
        print_table(known.COLUMNS, known.rows(), 200)


def _best_of(store: Path, name: str) -> dict[str, Any]:
    """The best trial's score, of all the search's epochs, and its config: after fresh seeds not that of the lowest."""
    header, history = read_study(store, name)
    best = chosen(history)
    found = best and shown(header.goal, best)
    return {"best": found and found.loss, "config": found and found.config}


def _status_of(store: Path, name: str) -> None:
    header, history = read_study(store, name)
    best = chosen(history)
    if best and best.loss is not None:
        afresh = any(score.kind is Kind.CONFIRM for score in scores(history))
        what = "the best config over fresh seeds, in the search" if afresh else "best"
        score = score_words(turned(header.goal, best.loss))
        click.echo(f"{what} {score}: {config_words(best.config)} (trial {best.number}: {best.why})")
        if passed := afresh and passed_over(header, history, groups(header, history)):
            click.echo(passed)
    if header.plan and history.running:
        click.echo(header.plan.words())
    for region in history.regions[-3:]:
        click.echo(f"round {region.round}: {region.why}")
    for job in history.running[:8]:
        click.echo(f"open: trial {job.trial}, epochs {job.start + 1}..{job.stop}, {job.why}")


def _scores_of(header: Header, trial: Trial) -> str:
    """What this very network reached; the table at the end of a study has the mean of several."""
    assert trial.loss is not None
    test = trial.best_metrics.get("test")
    of = "of the search" if trial.kind.is_search else "with a fresh seed"
    known = "" if test is None else f", test {score_words(test)}"
    return f"# trial {trial.number}, {of}: validation {score_words(turned(header.goal, trial.loss))}{known}"


def _weights(header: Header, trial: Trial, folder: Path, target: Path) -> str:
    """Write the weights; what to do with them."""
    try:
        from zeroin.nn.export import export as write_weights
    except ImportError as error:
        raise StudyError(
            f"weights are read with PyTorch; {error.name or error} is not installed: run {install.line('torch')}"
        ) from error
    if header.task in TASKS:  # of which the study may have another name
        return write_weights(header.task, folder, trial.config, target)
    file = (header.task or _script(header)).replace("\\", "/")
    source = f'from zeroin.targets import find; task = find("{file}").objective' if file else NOWHERE
    return write_weights(header.name, folder, trial.config, target, source)


def _script(header: Header) -> str:
    """The file of a study that was begun in Python; empty where that was a notebook or a prompt."""
    words = shlex.split(header.plan.command) if header.plan else []
    return next((word for word in words if word.endswith(".py")), "")
