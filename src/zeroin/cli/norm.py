"""`zeroin audit`: what is wrong with a network."""

import sys
from typing import Any

import click

from zeroin.cli.options import changes_of, plain_value, value_of
from zeroin.errors import StudyError
from zeroin.space import Space
from zeroin.types import Value


@click.command()
@click.argument("target")
@click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="Another value than the default config's.")
@click.option("--epochs", type=int, default=3, show_default=True, help="Trained before the second look.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the network and its training.")
def audit(target: str, values: tuple[str, ...], epochs: int, seed: int) -> None:
    """What is wrong with TARGET's network: each finding with its evidence, measured on it, and the remedy.

    TARGET is a ready-made task's name, or path/to/file.py[:name] with a Task. Its default config is looked at as it
    begins and after some epochs. Exit status 1: a finding of severity "error".
    """
    from zeroin.nn import Task
    from zeroin.nn import audit as look
    from zeroin.targets import find

    task = find(target).objective
    if not isinstance(task, Task):
        raise StudyError(f"an audit is of a Task; {target} has a function: give a file with `task = Task(...)`.")
    result = look(task, config=_config(task, values), epochs=epochs, seed=seed)
    click.echo(f"{result}\n\n{result.picture()}")
    sys.exit(1 if result.worst == "error" else 0)


def _config(task: Any, values: tuple[str, ...]) -> dict[str, Value]:
    """The default config of a task with the values asked for; names that its space has not are added."""
    space: Space | None = None if task.space is None else task.space_for(1.0)
    config: dict[str, Value] = {} if space is None else dict(space.default)
    for name, text, _ in changes_of((), values):
        config[name] = value_of(space, name, text) if space and name in space.params else plain_value(text)
    return config
