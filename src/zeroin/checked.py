"""Checks of what a user passes in: each returns the value as zeroin uses it, or raises the error that explains it."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

from zeroin.errors import SpaceError, StoreError, StudyError
from zeroin.space import Space
from zeroin.types import Config, Value


def is_whole(value: Any, least: int) -> bool:
    """Whether a value is a whole number, `least` or more; NumPy's integers count, bools do not."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def checked_space(space: Space) -> Space:
    """The space, if it is one.

    Raises:
        SpaceError: it is not a `Space`.
    """
    if not isinstance(space, Space):
        remedy = (
            "use zi.Space(**it)" if isinstance(space, Mapping) else "use zi.Space(lr=zi.Float(1e-5, 1, scale='log'))"
        )
        raise SpaceError(f"space= takes a Space; got a {type(space).__name__}: {remedy}.")
    return space


def check_part(what: str, given: Any, does: str) -> None:
    """Check that what is given in place of a default, such as "a searcher", has the method that it is there for.

    Raises:
        StudyError: it has not, or it is a class.
    """
    if given is not None and (isinstance(given, type) or not hasattr(given, does)):
        raise StudyError(
            f"{what} has a method {does}; got {given!r}: give an object that has it, as in zeroin.protocols, or leave "
            f"it out."
        )


def check_listener(listen: Any) -> None:
    """Check that a listener can be called with a study and each event.

    Raises:
        StudyError: it cannot, or it is a class, whose objects may be listeners.
    """
    if listen is not None and (isinstance(listen, type) or not callable(listen)):
        raise StudyError(
            f"a listener is a function of (study, event); listen={listen!r}: use `with zeroin.display.Display() as "
            f"display:` and listen=display, or leave it out."
        )


def checked_start(space: Space, start: Sequence[Config]) -> list[dict[str, Value]]:
    """Configs to start with, completed by defaults.

    Raises:
        StudyError: they are not in a list.
        SpaceError: one does not fit the space.
    """
    if isinstance(start, Mapping | str) or not isinstance(start, Iterable):
        shown = dict(start) if isinstance(start, Mapping) else start
        raise StudyError(f"start= takes a list of configs; start={shown!r}: use start=[{{...}}].")
    return [space.check(config) for config in start]


def checked_store(store: str | Path | None) -> Path | None:
    """The path of a store's file, with ~ expanded and a link followed; None: memory only.

    SQLite has a store's log beside the file that a link leads to, so all else of the store is there, too.

    Raises:
        StoreError: it is not a path, but for example the URL of a database.
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
    path = path.expanduser()
    return path.resolve() if path.is_symlink() else path


def checked_max_epochs(max_epochs: int | None) -> int:
    """The deepest budget of one trial; 1 where the objective has no epochs.

    Raises:
        StudyError: it is not a whole number from 1.
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
        StudyError: it is not a whole number, or too large for a store.
    """
    if not is_whole(seed, -(2**63)) or seed >= 2**63:
        raise StudyError(f"a seed is a whole number of 64 bits; seed={seed!r}: use seed=0.")
    return int(seed)


def checked_metrics(metrics: Any, epochs: int) -> list[dict[str, float]]:
    """What else was told of each epoch of a job, by name; that of a job of one epoch may stand alone.

    Raises:
        StudyError: as many as there are scores they are not, or no names with numbers.
    """
    try:
        found = [
            {str(name): float(value) for name, value in each.items()}
            for each in ([metrics] if isinstance(metrics, Mapping) else metrics)
        ]
    except (TypeError, ValueError, AttributeError):
        found = []
    if len(found) != epochs:
        raise StudyError(
            f"metrics are numbers by name, told of each of {epochs} epochs; got {str(metrics)[:60]!r}: "
            f"use tell(job, losses=[0.5, 0.4], metrics=[{{'accuracy': 0.7}}, {{'accuracy': 0.8}}])."
        )
    return found


def checked_scores(losses: Any) -> list[float]:
    """The scores that were told for a job, as a list; a single score becomes a list of one.

    Raises:
        StudyError: one is not a number.
    """
    several = isinstance(losses, Iterable) and getattr(losses, "ndim", 1) > 0  # NumPy and torch iterate over no scalar
    try:
        return [float(value) for value in (losses if several else [losses])]
    except (TypeError, ValueError):
        raise StudyError(f"scores are numbers; got {str(losses)[:60]!r}: use tell(job, losses=[0.5]).") from None
