"""`zeroin tune`: the main command."""

import json
import shlex
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zeroin import tuning
from zeroin.cli.options import STORE, about_data, aside, changed_space
from zeroin.exports import result
from zeroin.study import Study
from zeroin.targets import changed, find

if TYPE_CHECKING:
    from rich.console import Console

LARGE = 10_000_000  # bytes of a file that takes seconds to read


@click.command(short_help="Tune a task, a file of yours, or your own data.")
@click.argument("target")
@click.option("--epochs", type=int, help="Total budget in epochs; 60 full trainings by default.")
@click.option("--trials", type=int, help="Total budget in configs.")
@click.option("--minutes", type=float, help="Total budget in minutes, of this call alone.")
@click.option(
    "--trial-minutes",
    type=float,
    help="Time limit of a trial; one that takes longer has failed. With --workers one that hangs is ended, too.",
)
@click.option("--max-epochs", type=int, help="Epochs of a full training; the task's by default.")
@click.option(
    "--confirm", type=int, help="Trainings with fresh seeds at the end, of the best config and of the default."
)
@click.option("--workers", type=int, default=1, show_default=True, help="Processes on this machine.")
@click.option("--name", help="Name of the study; the same name continues it. The target's by default.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of every random draw.")
@click.option("--set", "ranges", multiple=True, metavar="NAME=LOW..HIGH", help="Change a range, or options: a,b,c.")
@click.option("--fix", "fixed", multiple=True, metavar="NAME=VALUE", help="Hold a hyperparameter at a value.")
@click.option(
    "--playbook", type=click.Path(path_type=Path), help="Playbook to start from and add to, instead of yours."
)
@click.option("--no-playbook", is_flag=True, help="Start without what past studies taught, and add nothing to it.")
@click.option("--recalibrate", is_flag=True, help="Score batch norms with exact statistics of the training data.")
@click.option(
    "--compile", "compile_", is_flag=True, help="Compile stacked training; pays for networks that train for minutes."
)
@click.option("--device", help="Where to train, as PyTorch names it: cuda, mps; the task's by default, cpu.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for programs.")
@about_data
@STORE
def tune(
    target: str,
    trial_minutes: float | None,
    max_epochs: int | None,
    workers: int,
    store: Path,
    name: str | None,
    seed: int,
    ranges: tuple[str, ...],
    fixed: tuple[str, ...],
    playbook: Path | None,
    no_playbook: bool,
    recalibrate: bool,
    compile_: bool,
    device: str | None,
    as_json: bool,
    data: dict[str, Any],
    **budgets: Any,
) -> None:
    """Tune TARGET.

    TARGET is a ready-made task's name (see `zeroin tasks`); a table (CSV or Parquet) with --target; a folder of images,
    one folder a class; an .npz file with X and y; or path/to/file.py[:name] with a Task or an objective and its space.
    """
    from zeroin.display import Display, terminal

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = terminal(stderr=as_json)
    warnings.showwarning = lambda message, *_: console.print(f"note: {message}", style="yellow", markup=False)
    with aside(as_json):
        if (size := _size(target)) > LARGE:
            console.print(f"reading {target}, {size / 1e6:,.1f} MB", markup=False)
        found = find(target, data)
        for option, value in (("recalibrate", recalibrate), ("compile", compile_), ("device", device)):
            found = changed(found, option, value) if value else found
        name = found.name if name is None else name
        space = changed_space(found, ranges, fixed, budgets | {"max_epochs": max_epochs})
        try:
            with Display(console) as display:
                study = tuning.tune(
                    found.objective,
                    space,
                    trial_minutes=trial_minutes,
                    max_epochs=found.max_epochs if max_epochs is None else max_epochs,
                    goal=found.goal,
                    workers=workers,
                    store=store,
                    name=name,
                    seed=seed,
                    playbook=False if no_playbook else playbook or True,
                    listen=display,
                    task_name=target,
                    **budgets,
                )
        except KeyboardInterrupt:
            same = shlex.join(["zeroin", *sys.argv[1:]])
            console.print(f"stopped; nothing that was seen is lost. Go on with the same command: {same}", markup=False)
            sys.exit(130)
    _tell(study, store, console, as_json)
    if not as_json and hasattr(found.objective, "network"):
        predicts = getattr(found.objective, "preparation", None) is not None
        console.print(_next_command(study.name, store, predicts=predicts), markup=False)


def _size(target: str) -> int:
    """Bytes of a file of data; 0 of all else."""
    path = Path(target)
    return path.stat().st_size if path.is_file() else 0


def _next_command(name: str, store: Path, *, predicts: bool) -> str:
    """The command that exports the tuned network, and if its data were prepared for it, also predicts with it."""
    words = ["zeroin", "export", name, "--model", "best.pt"]
    words += [] if store == Path("zeroin.db") else ["--store", str(store)]
    then = " && zeroin predict best.pt NEW-DATA" if predicts else ""
    return f"{'to predict' if predicts else 'the network'}: {shlex.join(words)}{then}"


def _tell(study: Study, store: Path, console: "Console", as_json: bool) -> None:
    """Print the result of a study: the best config, compared with the default, and where everything is."""
    from rich.markup import escape

    from zeroin.display import show_result

    best, report_file = study.best, study.report()
    if as_json:
        click.echo(json.dumps(result(study) | {"store": str(store), "report": str(report_file)}, indent=1))
        return
    show_result(console, study, best)
    console.print(escape(f"store {store}, study {study.name}; report {report_file}"))
