"""How `tune` and the command line use a playbook: which one, and what it learns from a study."""

import difflib
import logging
from collections.abc import Sequence
from pathlib import Path

from zeroin.errors import PlaybookError
from zeroin.header import Header
from zeroin.history import History
from zeroin.playbook.book import Playbook, is_off
from zeroin.playbook.learning import lesson_of
from zeroin.playbook.lesson import Lesson

log = logging.getLogger("zeroin")


def playbook_of(asked: bool | str | Path | Playbook) -> Playbook | None:
    """The playbook that the user asked for: their own, that of a file, or none.

    Raises:
        PlaybookError: it is something else.
    """
    if asked is None or not isinstance(asked, bool | str | Path | Playbook):
        raise PlaybookError(
            f"playbook= takes True for yours, a file, or False for none; playbook={asked!r}: use playbook=False."
        )
    if asked is False or (asked is True and is_off()):
        return None
    return asked if isinstance(asked, Playbook) else Playbook(None if asked is True else asked)


def teach(book: Playbook, header: Header, history: History) -> None:
    """Let a playbook learn from a study that has ended; a study that is too short to teach anything is skipped."""
    try:
        lesson = lesson_of(header, history)
    except PlaybookError as error:
        log.info("nothing was learned for the playbook: %s", error)
        return
    try:
        book.learn(lesson)
    except PlaybookError as error:  # the study is worth more than what others could learn from it
        log.warning("nothing was learned for the playbook: %s", error)


def named(name: str, *books: Sequence[Lesson]) -> list[Lesson]:
    """The lessons of the studies of this name, the oldest first, from the first book that has any.

    Raises:
        PlaybookError: no book has any.
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
