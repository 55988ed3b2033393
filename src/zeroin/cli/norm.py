"""`zeroin audit` (what is wrong with a network) and `zeroin effect` (what a choice such as normalisation does)."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zeroin.catalogue import CATALOGUE
from zeroin.cli.options import about_data, aside, check_writing, named_values, plain_value, value_of, writing
from zeroin.errors import StudyError
from zeroin.protocols import Trainable
from zeroin.space import Space
from zeroin.targets import find
from zeroin.types import Value
from zeroin.wording import duration, percent

if TYPE_CHECKING:
    from rich.console import Console

    from zeroin.nn import Task
    from zeroin.nn.effects.effect import Progress

SECONDS_BETWEEN_LINES = 10.0  # of progress, where there is no terminal
SET = "--set units=128"  # how a value is asked for


@click.command(short_help="Find what is wrong with a network, with the remedy.")
@click.argument("target")
@click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="Change a value of the default config.")
@click.option("--epochs", type=int, default=3, show_default=True, help="Epochs of training before the second look.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the network and its training.")
@about_data
def audit(target: str, values: tuple[str, ...], epochs: int, seed: int, data: dict[str, Any]) -> None:
    """Find what is wrong with TARGET's network: each finding with its measured evidence and the remedy.

    TARGET is a ready-made task's name, data of your own as for `tune`, or path/to/file.py[:name] with a Task. Its
    default config is examined before training and after some epochs. Exit status 1: a finding of severity "error".
    """
    _, task = _task(target, "audit", data)
    from zeroin.nn import audit as look  # not before the task, which tells where PyTorch is not installed

    result = look(task, config=_config(task, values), epochs=epochs, seed=seed)
    click.echo(f"{result}\n\n{result.picture()}")
    sys.exit(1 if result.worst == "error" else 0)


@click.command(short_help="Measure how much wider a choice makes what works.")
@click.argument("choice")
@click.argument("target")
@click.option(
    "--depths", metavar="N,N,...", help="Numbers of hidden layers to compare at; the default config's otherwise."
)
@click.option("--init", "inits", metavar="WORD,...", help="Weight initialisations to compare at.")
@click.option("--at", multiple=True, metavar="NAME=V,V,...", help="Other settings to compare at.")
@click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="Hold a hyperparameter at a value.")
@click.option("--draws", type=int, default=256, show_default=True, help="Random configs, the same in each arm.")
@click.option("--epochs", type=int, default=8, show_default=True, help="Epochs of each training.")
@click.option("--reach", type=float, help="Validation metric that a config that works reaches; 0.9 for an accuracy.")
@click.option("--workers", type=int, default=2, show_default=True, help="Processes.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draws and the trainings.")
@click.option(
    "--picture", type=click.Path(path_type=Path), help="SVG file to write; effect-CHOICE-TASK.svg by default."
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, with the curve of each config.")
def effect(
    choice: str,
    target: str,
    depths: str | None,
    inits: str | None,
    at: tuple[str, ...],
    values: tuple[str, ...],
    reach: float | None,
    picture: Path | None,
    as_json: bool,
    **options: int,
) -> None:
    """Measure what CHOICE does to the share of TARGET's configs that work: the same random draws with and without it.

    CHOICE is batchnorm, layernorm or groupnorm (against none; lr and momentum of SGD are drawn), or a Choice of the
    task's space (all that does not change the network's shape is drawn). Says beforehand how long it takes.
    """
    from zeroin.display import terminal

    with aside(as_json):
        name, task = _task(target, "effect")
        from zeroin.nn import effect as compare_arms

        file = picture or Path(f"effect-{choice}-{name}.svg")
        check_writing(file, "a picture goes to")  # what takes long is not lost for want of a folder
        settings = _settings(task, depths, inits, at)
        held = {name: _value(task, name, text) for name, text in named_values(values, SET)}
        console = terminal(stderr=True)
        with _progress(console) as listen:
            found = compare_arms(task, choice, at=settings, held=held, target=reach, listen=listen, **options)
    click.echo(json.dumps(found.to_json(), indent=1) if as_json else str(found))
    with writing(file, "a picture goes to"):
        found.picture(file)
    click.echo(f"picture {file}", err=True)


def _task(target: str, verb: str, data: Mapping[str, Any] | None = None) -> tuple[str, "Task"]:
    """The name of the target, and its Task."""
    found = find(target, data)
    if isinstance(found.objective, Trainable):
        from zeroin.nn import Task

        if isinstance(found.objective, Task):
            return found.name, found.objective
    raise StudyError(f"an {verb} is of a Task; {target} has a function: give a file with `task = Task(...)`.")


def _settings(task: "Task", depths: str | None, inits: str | None, others: tuple[str, ...]) -> dict[str, list[Value]]:
    asked = [(name, text) for name, text in (("layers", depths), ("init", inits)) if text]
    asked += named_values(others, "--at units=16,64")
    return {name: [_value(task, name, t) for t in text.split(",")] for name, text in asked}


@contextmanager
def _progress(console: "Console") -> Iterator[Callable[["Progress"], None]]:
    """A listener that shows the estimated time, then a progress bar in a terminal, or a line now and then elsewhere."""
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), TextColumn("{task.percentage:.0f} %"), TimeRemainingColumn())
    told: float | None = None  # when, on the monotonic clock
    off = not console.is_terminal
    with Bar(*columns, console=console, auto_refresh=False, transient=True, disable=off) as bar:  # workers are forked
        line = bar.add_task("", total=1.0)

        def listen(now: "Progress") -> None:
            nonlocal told
            if told is None:
                console.print(f"{now.trainings:,} trainings, at most about {duration(now.seconds)}; Ctrl-C ends it")
                told = time.monotonic()
            elif not console.is_terminal and time.monotonic() - told > SECONDS_BETWEEN_LINES:
                console.print(f"{percent(now.share)} done")
                told = time.monotonic()
            bar.update(line, completed=now.share, refresh=True)

        yield listen


def _config(task: "Task", values: tuple[str, ...]) -> dict[str, Value]:
    """The default config of a task with the given values, which may have names that its space does not have."""
    config: dict[str, Value] = {} if task.space is None else dict(task.space_for(1.0).default)
    asked = named_values(values, SET)
    for name, _ in asked if task.space is not None else ():
        if name not in config and name not in CATALOGUE:
            raise StudyError(
                f"--set names a hyperparameter; {name!r} is none of {', '.join(config)}: check the spelling."
            )
    return config | {name: _value(task, name, text) for name, text in asked}


def _value(task: "Task", name: str, text: str) -> Value:
    """A word as a value: by the task's space if it has the name, else by what the word looks like."""
    space: Space | None = None if task.space is None else task.space_for(1.0)
    return value_of(space, name, text) if space is not None and name in space.params else plain_value(text)
