"""The playbook's file: one SQLite file of lessons for all studies of a user; and the lessons shipped with zeroin.

Each lesson is a row, readable as JSON. Any number of processes may use the file: each use is one short transaction.
"""

import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from zeroin.errors import PlaybookError, SpaceError, StoreError
from zeroin.playbook.compare import compare
from zeroin.playbook.lesson import Lesson, from_json, scores, to_json
from zeroin.playbook.picture import svg
from zeroin.playbook.portfolio import advised
from zeroin.playbook.scenario import Scenario
from zeroin.playbook.sentences import sentences
from zeroin.space import Space
from zeroin.store.schema import check_file
from zeroin.types import Advised

PLACE = "ZEROIN_PLAYBOOK"  # environment variable: another file, or "off"
FORMAT = 1
BUSY_SECONDS = 30
# What reading or using a lesson raises that somebody has changed.
NO_LESSON = (LookupError, ArithmeticError, TypeError, ValueError, AttributeError, AssertionError, SpaceError)
TABLE = """CREATE TABLE IF NOT EXISTS lessons (
    name TEXT NOT NULL, created TEXT NOT NULL, scenario TEXT NOT NULL, lesson TEXT NOT NULL,
    PRIMARY KEY (name, created))"""


class Playbook:
    """A file of lessons from past studies.

    Args:
        path: the file, created when the first lesson is learned; None: the user's own.
        shipped: whether to consult the lessons shipped with zeroin as well.

    Raises:
        PlaybookError: the user's own is asked for and turned off.

    >>> Playbook("playbook.db", shipped=False).lessons()
    []
    """

    __slots__ = ("path", "shipped")

    def __init__(self, path: str | Path | None = None, shipped: bool = True) -> None:
        self.path = place() if path is None else Path(path).expanduser()
        self.shipped = shipped

    def look_up(self, space: Space, scenario: Scenario, movable: Collection[str] = ()) -> Advised:
        """What past studies advise a new one: a few configs to try first, and corrected ranges.

        Args:
            space: of the new study.
            scenario: of the new study.
            movable: the hyperparameters whose ranges may be corrected.

        Returns:
            The advice; empty if no past study is similar enough.

        Raises:
            PlaybookError: the file is not a playbook.
        """
        return advised(space, scenario, [*self.lessons(), *(shipped() if self.shipped else ())], movable)

    def learn(self, *lessons: Lesson) -> None:
        """Add lessons; one of the same study replaces the older.

        Raises:
            PlaybookError: the file is no playbook, or cannot be written.
        """
        with self._open() as db:
            for lesson in lessons:
                data = to_json(lesson)
                row = (lesson.name, lesson.created, json.dumps(data.pop("scenario")), json.dumps(data))
                db.execute("INSERT OR REPLACE INTO lessons VALUES (?, ?, ?, ?)", row)

    def lessons(self) -> list[Lesson]:
        """The user's own lessons, the oldest first.

        Raises:
            PlaybookError: the file is no playbook.
        """
        if not os.access(self.path, os.F_OK):  # `exists` raises where the user's home is closed to this process
            return []
        with self._open() as db:
            rows = db.execute("SELECT scenario, lesson FROM lessons ORDER BY created, name").fetchall()
            return [from_json({**json.loads(lesson), "scenario": json.loads(scenario)}) for scenario, lesson in rows]

    def forget(self, *names: str) -> int:
        """Remove the lessons of these studies; without a name, all lessons.

        Returns:
            How many were removed.

        Raises:
            PlaybookError: there is no lesson of that name, or the file cannot be written.
        """
        known = [lesson.name for lesson in self.lessons()]
        unknown = sorted(set(names) - set(known))
        if unknown:
            raise PlaybookError(
                f"only lessons of the playbook can be forgotten; it has {', '.join(dict.fromkeys(known)) or 'none'}, "
                f"not {unknown[0]!r}: see `zeroin playbook show`."
            )
        gone = [name for name in known if not names or name in names]
        if gone:
            with self._open() as db:
                db.executemany("DELETE FROM lessons WHERE name = ?", [(name,) for name in set(gone)])
        return len(gone)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            check_file(self.path)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as db, db:
                self._check(db)
                yield db
        except (sqlite3.DatabaseError, OSError, StoreError, *NO_LESSON) as error:
            # of another's sentence, what was found
            found = str(error).partition("; ")[2].partition(": ")[0] if isinstance(error, StoreError) else error
            raise PlaybookError(
                f"a playbook is a SQLite file that can be read and written; {self.path}: {found}: "
                f"choose another with playbook='...' (--playbook), or none with playbook=False (--no-playbook)."
            ) from error

    def _check(self, db: sqlite3.Connection) -> None:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        found = int(db.execute("PRAGMA user_version").fetchone()[0])
        if not tables:  # another process may be making it at this moment
            db.execute(f"PRAGMA user_version = {FORMAT}")
            db.execute(TABLE)
        elif tables != {"lessons"} or found != FORMAT:
            raise PlaybookError(
                f"a playbook holds lessons in format {FORMAT}; {self.path} holds {', '.join(sorted(tables))} in format "
                f"{found}: choose another with playbook='...' (--playbook)."
            )


def place() -> Path:
    """Where the user's playbook is: where the environment variable says, else in the user's data folder.

    Raises:
        PlaybookError: the environment variable turns it off.
    """
    if is_off():
        raise PlaybookError(
            f"your own playbook is there unless it is turned off; {PLACE}=off: name another with playbook='...' "
            f"(--playbook), or run `unset {PLACE}`."
        )
    return Path(os.environ.get(PLACE) or platformdirs.user_data_path("zeroin") / "playbook.db").expanduser()


def is_off() -> bool:
    """Whether the environment variable turns the user's playbook off."""
    return os.environ.get(PLACE) == "off"


def shipped() -> list[Lesson]:
    """The lessons shipped with zeroin, which `benchmarks/make_playbook.py` makes."""
    file = resources.files("zeroin.playbook").joinpath("shipped.json")
    return [from_json(each) for each in json.loads(file.read_text("utf-8"))["lessons"]] if file.is_file() else []


def as_data(lessons: Sequence[Lesson], **about: Any) -> dict[str, Any]:
    """Lessons as plain data to write as JSON."""
    return {"format": FORMAT, **about, "lessons": [to_json(lesson) for lesson in lessons]}


def as_lessons(data: Any) -> list[Lesson]:
    """The inverse of `as_data`.

    Raises:
        PlaybookError: it is something else.
    """
    try:
        if data["format"] != FORMAT:
            raise PlaybookError(
                f"an exported playbook has format {FORMAT}; this one has {data['format']!r}: "
                f"run `pip install --upgrade zeroin`."
            )
        lessons = [from_json(each) for each in data["lessons"]]
        for lesson in lessons:  # used here, so that what somebody has changed does not fail when a study begins
            if not all(lesson.good.values()):
                raise ValueError(lesson.name)
            found = compare([lesson])
            lesson.line(), lesson.words(), found.table(), sentences(found), svg(found)
            if not np.isfinite(scores([lesson], lesson.configs)).all():
                raise ValueError(lesson.name)
        return lessons
    except NO_LESSON as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else "a part is of another kind"
        raise PlaybookError(
            f"an exported playbook is what `zeroin playbook export` wrote; in this one {what}: export it again."
        ) from error
