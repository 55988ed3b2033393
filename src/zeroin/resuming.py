"""Resuming a study: what must be as it was, and what may have changed, which the user is then told."""

from collections.abc import Mapping
from pathlib import Path

from zeroin.errors import StudyError
from zeroin.header import Header
from zeroin.history import History
from zeroin.space import Space
from zeroin.space.changes import BY_HAND
from zeroin.types import Region, Value

CHANGED = {"code": "another code", "held": "other data"}  # of a function, which may go on all the same
OBJECTIVE = ("objective", *CHANGED)  # the facts of a measure that identify a function


def changed_objective(was: Mapping[str, Value], now: Mapping[str, Value]) -> str:
    """What has changed about the objective function, in words; empty if nothing has.

    The study may continue all the same, because the function may still compute the same scores.

    >>> changed_objective({"objective": "f", "code": "1a"}, {"objective": "f", "code": "2b"})
    'another code'
    """
    if was.get("objective") != now.get("objective") and _kind(was) == _kind(now):
        return f"another name ({now['objective']}, not {was['objective']})"
    both = was.keys() & now.keys()
    return next((words for fact, words in CHANGED.items() if fact in both and was[fact] != now[fact]), "")


def _kind(measure: Mapping[str, Value]) -> str:
    return "function" if "objective" in measure else "Task"


def check_unchanged(known: Header, asked: Header, path: Path) -> None:
    """Check that a resumed study is asked for as it was begun.

    Args:
        known: the study as its store has it.
        asked: the study as it is asked for.
        path: of the store.

    Raises:
        StudyError: the depth, the goal, the seed, or a fact about what the scores measure has changed.
    """
    before, after = known.measure, asked.measure
    facts: dict[str, tuple[Value, Value]] = {
        fact: (getattr(known, fact), getattr(asked, fact)) for fact in ("max_epochs", "seed")
    }
    facts |= {fact: (before[fact], after[fact]) for fact in before if fact in after and fact not in OBJECTIVE}
    if before and after:
        facts["objective"] = _kind(before), _kind(after)
    facts["goal"] = known.goal, asked.goal  # last, as another metric brings its own
    for fact, (was, now) in facts.items():
        if was != now:
            raise StudyError(_refusal(fact, was, now, known.name, path))


def _refusal(fact: str, was: Value, now: Value, name: str, path: Path) -> str:
    if fact in ("data", "contents", "test"):
        return (
            f"a study continues with the data that it began with; those of {name!r} have changed, or are prepared "
            f"otherwise: add --name {name}-2."
        )
    if fact == "function":
        return (
            f"a study without a name of its own is of one function; {name!r} in {path} is of {was}, not of {now}: use "
            f"another name=, store=None, or name={name!r} to go on with it all the same."
        )
    return (
        f"a study keeps its {fact}; {name!r} in {path} has {was!r}, not {now!r}: use {fact}={was!r}, or another name."
    )


def region_by_hand(before: Space, after: Space, history: History, changes: str) -> Region:
    """The region after a user changed the space. Ranges that the search had moved stay as the search left them.

    Args:
        before, after: the space as it was and as it is now.
        history: of the study.
        changes: what differs, in words.
    """
    last = history.regions[-1] if history.regions else None
    ranges = after.ranges
    for name in after:
        if last and name in before.params and before[name] == after[name]:
            ranges[name] = last.ranges[name]
    number = last.round + 1 if last and history.jobs else 0
    return Region(number, len(history.jobs), ranges, ranges, 1.0, f"{BY_HAND}{changes}")
