"""Options that several verbs share, and parsing of values on the command line."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from functools import wraps
from pathlib import Path
from typing import Any

import click

from zeroin import tuning
from zeroin.atomic import atomic_write
from zeroin.checked import checked_store
from zeroin.errors import StudyError
from zeroin.space import Choice, Int, Space
from zeroin.space.plain import is_number
from zeroin.store import check_output
from zeroin.targets import Target
from zeroin.types import Value

STORE = click.option(
    "--store",
    type=click.Path(path_type=Path),
    callback=lambda _context, _option, path: checked_store(path),
    default=Path("zeroin.db"),
    show_default=True,
    help="File that holds all studies.",
)
NAME = click.argument("name", required=False)
JSON = click.option("--json", "as_json", is_flag=True, help="For programs.")

_DATA = (
    click.option("--target", "predict", metavar="COLUMN", help="Column of a table to predict."),
    click.option("--text", multiple=True, metavar="COLUMN", help="Column of a table to read as text."),
    click.option(
        "--words",
        multiple=True,
        metavar="COLUMN",
        help="Column of a table whose numbers are names, such as postcodes.",
    ),
    click.option("--drop", multiple=True, metavar="COLUMN", help="Column of a table to leave out."),
    click.option(
        "--kind", type=click.Choice(["classes", "number"]), help="What the target is, where it could be either."
    ),
    click.option("--metric", help="What to tune: accuracy, balanced_accuracy, roc_auc, r2, mae, mse or rmse."),
    click.option(
        "--order", metavar="COLUMN", help="Column of a table to split by time: the latest rows are the test set."
    ),
    click.option(
        "--group",
        metavar="NAME",
        help="Keep the examples of one patient, user, ... in one set: a table's column, an .npz file's array, or "
        "`folder` for images.",
    ),
    click.option("--missing", multiple=True, metavar="WORD", help="Word in a table that stands for a missing value."),
    click.option(
        "--no-header",
        is_flag=True,
        help="The first row of a CSV file is data; its columns are then called `column 1`, ...",
    ),
)


def about_data(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the options about the user's own data in one argument, `data`, as `data.own.task_of` takes them."""

    @wraps(verb)
    def gathering(**options: Any) -> Any:
        named = ("text", "words", "drop", "kind", "metric", "missing", "no_header", "order", "group")
        data = {"target": options.pop("predict")} | {name: options.pop(name) for name in named}
        return verb(data=data, **options)

    for option in reversed(_DATA):
        option(gathering)
    return gathering


@contextmanager
def aside(is_asked: bool) -> Iterator[None]:
    """Send what the user's code prints, in any process, to standard error, if standard output is for a program."""
    if not is_asked:
        yield
        return
    kept = None
    with redirect_stdout(sys.stderr):
        with suppress(OSError):  # one of the two is closed
            kept = os.dup(1)
            os.dup2(2, 1)
        try:
            yield
        finally:
            if kept is not None:
                os.dup2(kept, 1)
                os.close(kept)


@contextmanager
def writing(file: Path, what: str) -> Iterator[None]:
    """Turn errors of writing a file into one sentence, which begins with `what`, such as "an export goes to".

    Raises:
        StudyError: the file cannot be written.
        StoreError: it is a store.
    """
    try:
        check_output(file)
        yield
    except OSError as error:
        raise StudyError(f"{what} a file that can be written; {file}: {error.strerror}: choose another.") from error


def check_writing(file: Path, what: str) -> None:
    """Check that a file can be written later; it is not changed.

    Raises:
        StudyError: as `writing`.
    """
    with writing(file, what):
        is_there = file.exists()
        file.touch()
        if not is_there:
            file.unlink()


def print_file(text: str) -> None:
    """Print what could also be written to a file, with every character of it.

    Where the output is no terminal, click would leave out what looks like a terminal's colours: a program in a report
    may hold some, and so may the note of a failed trial.
    """
    click.echo(text, nl=False, color=True)


def write(file: Path, text: str, what: str, *, aside: bool = False) -> None:
    """Write a file atomically and print its path; - is standard output.

    Args:
        file: where to.
        text: what.
        what: for the sentence where it cannot be written, as `writing` has it.
        aside: say it on standard error, where the output is for programs.

    Raises:
        StudyError: as `writing`.
    """
    if str(file) == "-":
        print_file(text)
        return
    with writing(file, what), atomic_write(file) as out:
        out.write(text.encode())
    click.echo(str(file), err=aside)


def print_table(columns: Iterable[str], rows: Iterable[Iterable[str]], width: int) -> None:
    """Print a table, as wide as the terminal, or `width` characters where there is none."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else width, highlight=False).print(table)


def named_values(words: tuple[str, ...], usage: str) -> list[tuple[str, str]]:
    """(name, text) of each NAME=TEXT.

    Args:
        words: as they were given.
        usage: how the option is written, to be pasted: "--fix units=128".

    Raises:
        StudyError: one is written otherwise.
    """
    found = []
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals and text):
            raise StudyError(f"a change is name=value; {word!r} is not: write {usage}.")
        found.append((name, text))
    return found


def changed_space(
    found: Target, ranges: tuple[str, ...], fixed: tuple[str, ...], budgets: dict[str, Any]
) -> Space | None:
    """The target's space with the changes of --set and --fix; None if nothing changes and its Task brings the space.

    Raises:
        SpaceError: a hyperparameter that it does not have, or a value that this one cannot have.
        StudyError: words that are no change.
    """
    changes, held = named_values(ranges, "--set lr=1e-4..1e-1"), named_values(fixed, "--fix units=128")
    if not changes and not held:
        return found.space
    space: Space = found.space or tuning.space_within(found.objective, **budgets)
    for name, text in changes:
        separator = "," if isinstance(space[name], Choice) else ".."
        space = space.set(name, *(value_of(space, name, part) for part in text.split(separator)))
    for name, text in held:
        space = space.fix(name, value_of(space, name, text))
    return space


def value_of(space: Space, name: str, text: str) -> Value:
    """A word of the command line as a value of a hyperparameter.

    Raises:
        SpaceError: the space has none of that name.
        StudyError: the hyperparameter has numbers, or is true or false, and the word is no such value.
    """
    param = space[name]
    if isinstance(param, Choice):
        plain = plain_value(text)
        alike = (option for option in param.options if is_number(option) and is_number(plain) and option == plain)
        found = next((option for option in param.options if str(option) == text), next(alike, plain))
        if all(isinstance(option, bool) for option in param.options) and not isinstance(found, bool):
            raise StudyError(f"{name} is true or false; {text!r} is neither: write {name}=true.")
        return found
    value = plain_value(text)
    if not is_number(value):
        raise StudyError(f"{name} is a number; {text!r} is not: write {name}=1, or {name}=1..10 for a range.")
    return int(value) if isinstance(param, Int) and float(value).is_integer() else float(value)


def plain_value(text: str) -> bool | int | float | str:
    """A word as what it looks like: a bool, a number, or else a string."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
