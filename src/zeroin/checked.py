"""What a person asks of a study, as it is taken: whole numbers of any kind, one score or several; or what is wrong."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

from zeroin.errors import SpaceError, StoreError, StudyError
from zeroin.space import Space
from zeroin.types import Config, Value

OBJECTIVE = ("objective", "code")  # what a function is known by


def is_whole(value: Any, least: int) -> bool:
    """Whether a value is a whole number of any kind (NumPy's too, no bool), from `least`."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def checked_space(space: Space) -> Space:
    """The hyperparameters.

    Raises:
        SpaceError: it is something else than a Space.
    """
    if not isinstance(space, Space):
        remedy = (
            "use zi.Space(**it)" if isinstance(space, Mapping) else "use zi.Space(lr=zi.Float(1e-5, 1, scale='log'))"
        )
        raise SpaceError(f"a space is a Space; got a {type(space).__name__}: {remedy}.")
    return space


def checked_start(space: Space, start: Sequence[Config]) -> list[dict[str, Value]]:
    """Configs to start with, whole and legal.

    Raises:
        StudyError: they stand in no list.
        SpaceError: one does not fit the space.
    """
    if isinstance(start, Mapping | str) or not isinstance(start, Iterable):
        shown = dict(start) if isinstance(start, Mapping) else start
        raise StudyError(f"configs to start with stand in a list; start={shown!r}: use start=[{{...}}].")
    return [space.check(config) for config in start]


def checked_store(store: str | Path | None) -> Path | None:
    """The file of a store, with the user's home for ~; None: memory alone.

    Raises:
        StoreError: no file's name, such as a database's address.
    """
    if store is None:
        return None
    if not isinstance(store, str | os.PathLike):
        raise StoreError(
            f"a store is a file, or None for memory alone; store={store!r}: use store='zeroin.db' (--store)."
        )
    path = Path(store)
    address = re.match(r"\w{2,}:/+(.*)", str(path))  # of Windows' drives the name has one letter
    if address or str(path) == ":memory:":
        file = address[1] if address and address[1] != ":memory:" else ""
        remedy = f"use {file!r}" if file else "use store=None for memory alone"
        raise StoreError(f"a store is a file, not a database's address; {str(store)!r} is one: {remedy}.")
    return path.expanduser()


def checked_max_epochs(max_epochs: int | None) -> int:
    """The deepest budget of one trial; 1 where the objective has no epochs.

    Raises:
        StudyError: it is no whole number from 1.
    """
    if max_epochs is None:
        return 1
    if not is_whole(max_epochs, 1):
        raise StudyError(
            f"max_epochs is a whole number from 1; max_epochs={max_epochs!r}: leave it out if there are no epochs."
        )
    return int(max_epochs)


def checked_seed(seed: int) -> int:
    """The seed of a study.

    Raises:
        StudyError: it is no whole number, or more than a store can keep.
    """
    if not is_whole(seed, -(2**63)) or seed >= 2**63:
        raise StudyError(f"a seed is a whole number of 64 bits; seed={seed!r}: use seed=0.")
    return int(seed)


def checked_scores(losses: Any) -> list[float]:
    """The scores that a job is told, one alone in a list.

    Raises:
        StudyError: one is no number.
    """
    several = isinstance(losses, Iterable) and getattr(losses, "ndim", 1) > 0  # NumPy and torch iterate over no scalar
    try:
        return [float(value) for value in (losses if several else [losses])]
    except (TypeError, ValueError):
        raise StudyError(f"scores are numbers; got {str(losses)[:60]!r}: use tell(job, losses=[0.5]).") from None


def unchanging(was: Mapping[str, Value], now: Mapping[str, Value]) -> dict[str, tuple[Value, Value]]:
    """What scores are scores of, as it was and is now, of which a study can only go on with the same."""
    facts = {name: (was[name], now[name]) for name in was if name in now and name not in OBJECTIVE}
    if was and now:
        facts["objective"] = _kind(was), _kind(now)
    return facts


def changed_objective(was: Mapping[str, Value], now: Mapping[str, Value]) -> str:
    """What has changed of a function, in words; empty where nothing has. It may score as before, so it may go on.

    >>> changed_objective({"objective": "f", "code": "1a"}, {"objective": "f", "code": "2b"})
    'another code'
    """
    if was.get("objective") != now.get("objective") and _kind(was) == _kind(now):
        return f"another name ({now['objective']}, not {was['objective']})"
    return "another code" if "code" in was and "code" in now and was["code"] != now["code"] else ""


def _kind(measure: Mapping[str, Value]) -> str:
    return "function" if "objective" in measure else "Task"


def check_kept(which: str, name: str, facts: Mapping[str, tuple[Value, Value]]) -> None:
    """Whether a study that goes on is asked for as it was begun.

    Args:
        which, name: the study, with the place of its store, and without.
        facts: of each, how it was and how it is asked for now.

    Raises:
        StudyError: one has changed.
    """
    for fact, (was, now) in facts.items():
        if was != now and fact in ("data", "contents"):
            raise StudyError(
                f"a study goes on with the data it began with; those of {name!r} have changed, or are prepared "
                f"otherwise: add --name {name}-2."
            )
        if was != now and fact == "function":
            raise StudyError(
                f"a study without a name of its own is of one function; {which} is of {was}, not of {now}: use another "
                f"name=, store=None, or name={name!r} to go on with it all the same."
            )
        if was != now:
            raise StudyError(
                f"a study keeps its {fact}; {which} has {was!r}, not {now!r}: use {fact}={was!r}, or another name."
            )
