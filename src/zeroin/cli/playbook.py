"""`zeroin playbook`: show, learn, forget, export and import lessons of past studies; and `zeroin compare`."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from zeroin.cli.options import JSON, STORE, write
from zeroin.errors import PlaybookError
from zeroin.playbook import Lesson, Playbook, as_data, as_lessons, lesson_of, named, playbook_of
from zeroin.playbook import shipped as those_shipped
from zeroin.playbook.compare import Row
from zeroin.playbook.compare import compare as side_by_side
from zeroin.playbook.picture import svg as picture
from zeroin.playbook.sentences import sentences
from zeroin.store import list_studies, read_study
from zeroin.types import Value
from zeroin.wording import counted

READ = """Where the good configs of each study lie, and in brackets how much the hyperparameter mattered: the share of
the spread of scores that goes away when it is held. Luck is the share that the configs do not explain."""
SEVERAL = "The last column has what is good in most of the studies in which the hyperparameter mattered."
BOOK = click.option(
    "--playbook",
    "book",
    type=click.Path(path_type=Path),
    help="Playbook to use instead of yours (which is the file that ZEROIN_PLAYBOOK names, or in your data folder).",
)


@click.group(
    invoke_without_command=True,
    subcommand_metavar="[COMMAND] [ARGS]...",  # click 8.1 would say that it must be there
    short_help="What past studies taught; new ones start from it.",
)
@click.pass_context
def playbook(context: click.Context) -> None:
    """What past studies taught and new ones start from; without a verb, shows it."""
    if context.invoked_subcommand is None:
        context.invoke(show)


@playbook.command()
@click.argument("name", required=False)
@click.option("--shipped", is_flag=True, help="Show the lessons that come with zeroin instead of yours.")
@JSON
@BOOK
def show(name: str | None = None, shipped: bool = False, as_json: bool = False, book: Path | None = None) -> None:
    """Show the lessons, or that of study NAME in full: yours, or else one that comes with zeroin."""
    if shipped:
        lessons, where = those_shipped(), "come with zeroin"
    else:
        kept = Playbook(book)
        lessons, where = kept.lessons(), f"in {kept.path}"
    if name:
        lessons = named(name, lessons, those_shipped())
    if as_json:
        click.echo(json.dumps(as_data(lessons), indent=1))
        return
    if name:
        for lesson in lessons:
            click.echo(lesson.words())
        return
    click.echo(f"{counted(len(lessons), 'lesson')} {where}")
    for lesson in lessons:
        click.echo(lesson.line())
    if not shipped and not book:
        click.echo(f"{len(those_shipped())} more come with zeroin: `zeroin playbook show --shipped`")


@playbook.command()
@click.argument("study")
@STORE
@BOOK
def learn(study: str, store: Path, book: Path | None) -> None:
    """Learn from a study in a store; replaces what was learned from it before."""
    lesson = lesson_of(*read_study(store, study))
    Playbook(book).learn(lesson)
    click.echo(f"learned: {lesson.line()}")


@playbook.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Remove all of your own lessons.")
@BOOK
def forget(names: tuple[str, ...], everything: bool, book: Path | None) -> None:
    """Remove the lessons of studies."""
    if bool(names) == everything:
        raise PlaybookError(
            f"forget takes names of studies or --all; {'both were' if names else 'neither was'} asked for: use "
            f"`zeroin playbook forget STUDY` or `zeroin playbook forget --all`."
        )
    gone = Playbook(book).forget(*names)
    click.echo(f"{counted(gone, 'lesson')} forgotten")


@playbook.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@BOOK
def export_(file: Path, book: Path | None) -> None:
    """Write your lessons to a JSON FILE, for another machine or person; - for standard output."""
    write(file, json.dumps(as_data(Playbook(book).lessons()), indent=1) + "\n", "a playbook is exported to")


@playbook.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@BOOK
def import_(file: Path, book: Path | None) -> None:
    """Add the lessons of a JSON FILE that `export` wrote."""
    lessons = as_lessons(_read(file))
    kept = Playbook(book)
    before = len(kept.lessons())
    kept.learn(*lessons)
    new = len(kept.lessons()) - before
    click.echo(f"{counted(len(lessons), 'lesson')} learned, {new} of them new")


@click.command(short_help="Compare what worked in several studies.")
@click.argument("studies", nargs=-1, required=True)
@click.option("--svg", type=click.Path(path_type=Path), help="Also draw a picture to this file.")
@JSON
@STORE
@BOOK
def compare(studies: tuple[str, ...], svg: Path | None, as_json: bool, store: Path, book: Path | None) -> None:
    """Compare which values worked in several STUDIES, and how much each hyperparameter mattered.

    A study is looked up in the store, then among your lessons, then among those that come with zeroin.
    """
    found = side_by_side([_lesson(name, store, book) for name in dict.fromkeys(studies)])
    if svg:
        write(svg, picture(found), "a picture goes to", aside=as_json)
    if as_json:
        rows = [
            {"name": row.name, "common": row.common, "agree": row.agree, "matters": row.matters}
            | {"studies": _cells(found.names, row)}
            for row in found.rows
        ]
        facts = {name: dict(scenario) for name, scenario in zip(found.names, found.scenarios, strict=True)}
        luck = dict(zip(found.names, found.luck, strict=True))
        click.echo(json.dumps({"studies": facts, "luck": luck, "rows": rows}, indent=1))
        return
    if found.alike:
        click.echo(f"all: {_facts(found.alike)}")
    for name, scenario in zip(found.names, found.scenarios, strict=True):
        own = {fact: value for fact, value in scenario.items() if fact not in found.alike}
        click.echo(f"{name}: {_facts(own) or 'nothing else is known'}")
    several = len(found.names) > 1
    said = ["", *(f"- {sentence}" for sentence in sentences(found))] if several else []
    click.echo("\n".join([*said, "", READ, *([SEVERAL] if several else []), "", found.table()]))


def _facts(scenario: Mapping[str, Value]) -> str:
    return ", ".join(f"{fact} {value}" for fact, value in scenario.items())


def _cells(names: tuple[str, ...], row: Row) -> dict[str, Any]:
    return {name: asdict(cell) for name, cell in zip(names, row.cells, strict=True) if cell}


def _lesson(name: str, store: Path, book: Path | None) -> Lesson:
    if store.is_file() and any(study.name == name for study in list_studies(store)):
        return lesson_of(*read_study(store, name))
    yours = playbook_of(book or True)  # none where it is turned off
    return named(name, yours.lessons() if yours else [], those_shipped())[-1]


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise PlaybookError(
            f"an exported playbook is a JSON file that can be read; {file}: {error}: name one that "
            f"`zeroin playbook export` wrote."
        ) from error
