"""The command line: each verb imports what it needs, so that reading a store stays quick."""

import json
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import click

from zeroin.errors import SpaceError, StudyError, ZeroinError
from zeroin.space import Choice, Int, Space
from zeroin.types import Value

STORE = click.option(
    "--store",
    type=click.Path(path_type=Path),
    default=Path("zeroin.db"),
    show_default=True,
    help="The file that keeps everything.",
)
NAME = click.argument("name", required=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="zeroin")
def cli() -> None:
    """Find good hyperparameters for a neural network."""


@cli.command()
@click.argument("target")
@click.option("--epochs", type=int, help="The whole budget in epochs; 60 full trainings by default.")
@click.option("--trials", type=int, help="The whole budget in configs.")
@click.option("--minutes", type=float, help="The whole budget in minutes of this call.")
@click.option("--max-epochs", type=int, help="The deepest budget of one trial; the task's by default.")
@click.option("--confirm", type=int, help="Fresh seeds for the best and the default at the end.")
@click.option("--workers", type=int, default=1, show_default=True, help="Processes on this machine.")
@click.option("--name", help="The study's name; the same name goes on where it stopped. The target's by default.")
@click.option("--seed", type=int, default=0, show_default=True, help="Decides every draw.")
@click.option("--set", "ranges", multiple=True, metavar="NAME=LOW..HIGH", help="Another range, or options a,b,c.")
@click.option("--fix", "fixed", multiple=True, metavar="NAME=VALUE", help="Hold a hyperparameter at a value.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for programs.")
@STORE
def tune(
    target: str,
    max_epochs: int | None,
    workers: int,
    store: Path,
    name: str | None,
    seed: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Tune TARGET: a ready-made task's name, or path/to/file.py[:name] with a Task or an objective and its space."""
    from rich.console import Console

    from zeroin import tuning
    from zeroin.display import Display
    from zeroin.targets import find

    signal.signal(signal.SIGTERM, lambda *_: _interrupt())
    found = find(target)
    name = found.name if name is None else name
    changes, budgets = _changes(options.pop("ranges"), options.pop("fixed")), options
    space = _changed_space(found, changes, budgets | {"max_epochs": max_epochs})
    console = Console(stderr=as_json, soft_wrap=True, highlight=False)
    warnings.showwarning = lambda message, *_: console.print(f"note: {message}", style="yellow", markup=False)
    try:
        with Display(console) as display:
            study = tuning.tune(
                found.objective,
                space,
                max_epochs=found.max_epochs if max_epochs is None else max_epochs,
                goal=found.goal,
                workers=workers,
                store=store,
                name=name,
                seed=seed,
                listen=display,
                task_name=target,
                **budgets,
            )
    except KeyboardInterrupt:
        console.print(
            "stopped; nothing that was seen is lost. Go on with the same command: " + _same_command(), markup=False
        )
        sys.exit(130)
    _tell(study, store, console, as_json)


@cli.command()
@NAME
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@STORE
def status(name: str | None, store: Path, as_json: bool) -> None:
    """The studies in a store, or one study in more detail."""
    from zeroin.goal import turned
    from zeroin.store.sqlite import list_studies

    rows = [row for row in list_studies(store) if name in (None, row["name"])]
    if not rows:
        raise StudyError(
            f"a status is of a study in the store; {store} has no {name!r}: see `zeroin status --store {store}`."
        )
    for row in rows:
        row["best"] = None if row["best"] is None else turned(row["goal"], row["best"])
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        best = "none yet" if row["best"] is None else f"{row['best']:.5g}"
        failures = f", {row['failures']} failed" if row["failures"] else ""
        open_jobs = f", {row['running']} open" if row["running"] else ""
        click.echo(
            f"{row['name']}: {row['trials']:,} trials, {row['epochs']:,} epochs, best {best} ({row['goal']})"
            f"{failures}{open_jobs}; since {row['created']}"
        )
    if name:
        _status_of(store, name)


@cli.command()
@NAME
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="The HTML file; beside the study's files by default."
)
@STORE
def report(name: str | None, output: Path | None, store: Path) -> None:
    """Write the report of a study, one HTML file that opens offline; the newest study if none is named."""
    from zeroin.report import page, summary
    from zeroin.store.sqlite import files_of, read_study

    header, history = read_study(store, name)
    target = output or files_of(store, header.name) / "report.html"
    page.write(summary.summarise(header.name, header.space, history, header.goal), target)
    click.echo(str(target))


@cli.command()
@NAME
@click.option(
    "--csv", "csv_file", type=click.Path(path_type=Path), help="Every trial as a line; - for standard output."
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Everything as JSON; - for standard output.")
@click.option(
    "--model", "model_file", type=click.Path(path_type=Path), help="The best model's weights with its config."
)
@STORE
def export(
    name: str | None, csv_file: Path | None, json_file: Path | None, model_file: Path | None, store: Path
) -> None:
    """Take the results out: as CSV, as JSON, or the best model's weights with its config."""
    from zeroin import exports
    from zeroin.executors.checkpoint import trial_folder
    from zeroin.store.sqlite import files_of, read_study

    if not (csv_file or json_file or model_file):
        raise StudyError(
            "an export goes to a file; none was named: add --csv trials.csv, --json study.json or --model best.pt."
        )
    header, history = read_study(store, name)
    if csv_file:
        _write(csv_file, exports.as_csv(header, history))
    if json_file:
        _write(json_file, exports.as_json(header, history))
    if model_file:
        trial = exports.trial_with_weights(history, files_of(store, header.name))
        click.echo(_weights(header, trial, trial_folder(files_of(store, header.name), trial.number), model_file))


@cli.command()
@NAME
def catalogue(name: str | None) -> None:
    """The usual hyperparameters: symbol, default, range, scale, limits; one of them in full."""
    from rich.console import Console
    from rich.table import Table

    from zeroin import catalogue as known

    if name:
        click.echo(known.describe(name))
        return
    table = Table(box=None, pad_edge=False)
    for column in known.COLUMNS:
        table.add_column(column, overflow="fold")
    for row in known.rows():
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


def main() -> None:
    """The command `zeroin`: a user's mistake is one sentence and exit status 2, never a traceback."""
    try:
        cli(standalone_mode=False)
    except ZeroinError as error:
        click.echo(f"zeroin: {error}", err=True)
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)


def _interrupt() -> None:
    raise KeyboardInterrupt


def _same_command() -> str:
    import shlex

    return shlex.join(["zeroin", *sys.argv[1:]])


def _changes(ranges: tuple[str, ...], fixed: tuple[str, ...]) -> list[tuple[str, str, bool]]:
    """(name, text, whether it is fixed) of --set and --fix."""
    changes = []
    for words, is_fixed, usage in ((ranges, False, "--set lr=1e-4..1e-1"), (fixed, True, "--fix units=128")):
        for word in words:
            name, equals, text = word.partition("=")
            if not (name and equals and text):
                raise StudyError(f"a change is name=value; {word!r} is not: write {usage}.")
            changes.append((name, text, is_fixed))
    return changes


def _changed_space(found: Any, changes: list[tuple[str, str, bool]], budgets: dict[str, Any]) -> Space | None:
    """The target's space with the changes asked for; None where there are none."""
    from zeroin import tuning

    if not changes:
        return found.space  # type: ignore[no-any-return]
    space: Space = found.space or tuning.space_within(found.objective, **budgets)
    for name, text, is_fixed in changes:
        if name not in space.params:
            raise SpaceError(f"the space has {', '.join(space)}; {name!r} is none of them: check the spelling.")
        if is_fixed:
            space = space.fix(name, _value(space, name, text))
        else:
            parts = text.split(",") if isinstance(space.params.get(name), Choice) else text.split("..")
            space = space.set(name, *(_value(space, name, part) for part in parts))
    return space


def _value(space: Space, name: str, text: str) -> Value:
    """A word of the command line as a value of a hyperparameter."""
    param = space.params.get(name)
    if isinstance(param, Choice):
        return next((option for option in param.options if str(option) == text), text)
    try:
        number = float(text)
    except ValueError:
        raise StudyError(f"{name} has numbers; {text!r} is none: write --set {name}=1..10 or --fix {name}=1.") from None
    return int(number) if isinstance(param, Int) and number.is_integer() else number


def _tell(study: Any, store: Path, console: Any, as_json: bool) -> None:
    """The end of a study: the best config, beside the default, and where everything is."""
    from rich.markup import escape

    from zeroin.display import config_words, result_table
    from zeroin.exports import result

    best, report_file = study.best, study.report()
    if as_json:
        click.echo(json.dumps(result(study) | {"store": str(store), "report": str(report_file)}, indent=1))
        return
    console.print(f"\nbest config: [bold]{escape(config_words(best.config))}[/]")
    console.print(f"validation score {best.loss:.5g} (trial {best.number}, {escape(best.why)})")
    if any(not t.kind.is_search for t in study.trials):
        console.print(result_table(study))
        console.print(f"default config: {escape(config_words(study.space.default))}")
    console.print(escape(f"store {store}, study {study.name}; report {report_file}"))


def _status_of(store: Path, name: str) -> None:
    from zeroin.confirm import chosen
    from zeroin.display import config_words
    from zeroin.goal import turned
    from zeroin.store.sqlite import read_study

    header, history = read_study(store, name)
    best = chosen(history)
    if best and best.loss is not None:
        click.echo(
            f"best {turned(header.goal, best.loss):.5g}: {config_words(best.config)} (trial {best.number}: {best.why})"
        )
    for region in history.regions[-3:]:
        click.echo(f"round {region.round}: {region.why}")
    for job in list(history.running)[:8]:
        click.echo(f"open: trial {job.trial}, epochs {job.start + 1}..{job.stop}, {job.why}")


def _weights(header: Any, trial: Any, folder: Path, target: Path) -> str:
    """Write the weights; the lines of Python that load them."""
    from zeroin.nn.export import export as write_weights
    from zeroin.tasks import TASKS

    source = None
    if header.task not in TASKS:
        path, _, name = header.task.partition(":")
        source = f"from {Path(path).stem} import {name or 'task'} as task"
    return write_weights(header.name, folder, trial.config, target, source)


def _write(path: Path, text: str) -> None:
    if str(path) == "-":
        click.echo(text, nl=False)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StudyError(
            f"an export goes to a file that can be written; {path}: {error.strerror}: choose another."
        ) from error
    click.echo(str(path))
