"""How `tune` and the command line use a playbook: which one, and what it learns of a study."""

import difflib
import logging
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from zeroin.errors import PlaybookError
from zeroin.history import History
from zeroin.playbook.book import Playbook, is_off
from zeroin.playbook.learning import lesson_of
from zeroin.playbook.lesson import Lesson
from zeroin.playbook.scenario import Scenario, scenario_of
from zeroin.space import Space

log = logging.getLogger("zeroin")


class Studied(Protocol):
    """What is learned of a study, a live one or the header of one read from a store."""

    @property
    def name(self) -> str:
        """The study's."""

    @property
    def space(self) -> Space:
        """As it was searched."""

    @property
    def created(self) -> str:
        """When."""

    @property
    def scenario(self) -> Scenario:
        """What was tuned; empty of a study that an older zeroin made."""


def playbook_of(asked: bool | str | Path | Playbook) -> Playbook | None:
    """The playbook that was asked for: the user's, a file's, or none.

    Raises:
        PlaybookError: something else was asked for.
    """
    if asked is None or not isinstance(asked, bool | str | Path | Playbook):
        raise PlaybookError(
            f"a playbook is True for yours, a file, or False for none; playbook={asked!r}: use playbook=False."
        )
    if asked is False or (asked is True and is_off()):
        return None
    return asked if isinstance(asked, Playbook) else Playbook(None if asked is True else asked)


def lesson_from(study: Studied, history: History) -> Lesson:
    """What a study teaches.

    Raises:
        PlaybookError: too few of its trials worked, or all are alike.
    """
    facts = study.scenario or scenario_of(None, study.space, history.max_epochs)
    return lesson_of(study.name, study.space, history, scenario=facts, created=study.created, version=version("zeroin"))


def teach(book: Playbook, study: Studied, history: History) -> None:
    """Let a playbook learn from a study that came to its end; one too short to teach anything is passed over."""
    try:
        lesson = lesson_from(study, history)
    except PlaybookError as error:
        log.info("nothing was learned for the playbook: %s", error)
        return
    try:
        book.learn(lesson)
    except PlaybookError as error:  # the study is worth more than what others could learn from it
        log.warning("nothing was learned for the playbook: %s", error)


def named(name: str, *books: Sequence[Lesson]) -> list[Lesson]:
    """The lessons of studies of a name, the oldest first, of the first book that has any.

    Raises:
        PlaybookError: there is none.
    """
    found = [[lesson for lesson in book if lesson.name == name] for book in books]
    if not any(found):
        known = list(dict.fromkeys(lesson.name for book in books for lesson in book))
        near = difflib.get_close_matches(name, known, n=1)
        remedy = f"use {near[0]!r}" if near else "see `zeroin playbook show`, and with --shipped"
        raise PlaybookError(
            f"a lesson is shown by the name of its study; none of {len(known)} studies is {name!r}: {remedy}."
        )
    return next(filter(None, found))
