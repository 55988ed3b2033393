"""The names that people give the usual hyperparameters: a `learning_rate` is an `lr`, whoever wrote it."""

import difflib
import re
from collections.abc import Iterable

from zeroin.catalogue.entries import CATALOGUE, Entry
from zeroin.errors import SpaceError


def common(name: str) -> str:
    """The catalogue's name of a hyperparameter that may be called otherwise; the name itself if it has none there.

    >>> common("learning_rate"), common("Batch-Size"), common("temperature")
    ('lr', 'batch_size', 'temperature')
    """
    return _BY_NAME.get(_bare(name), name)


def called(names: Iterable[str]) -> dict[str, str]:
    """What the catalogue's hyperparameters are called among some names, by the catalogue's.

    Of several names for one hyperparameter the catalogue's own counts; without that none does, as nobody can tell
    which is meant.

    >>> called(["learning_rate", "momentum", "temperature"]), called(["width", "hidden_size"])
    ({'lr': 'learning_rate', 'momentum': 'momentum'}, {})
    """
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        found.setdefault(common(name), []).append(name)
    known = {usual: given for usual, given in found.items() if usual in CATALOGUE}
    own = {usual: usual for usual, given in known.items() if usual in given}
    return {usual: given[0] for usual, given in known.items() if len(given) == 1} | own


def lookup(name: str) -> Entry:
    """The entry of that name.

    Raises:
        SpaceError: there is none; it has the nearest names.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    meant = [n for n, e in CATALOGUE.items() if name.lower().replace("_", " ") in e.meaning]
    close = [*difflib.get_close_matches(name.lower(), CATALOGUE), *meant]
    near = [common(name)] if common(name) in CATALOGUE else list(dict.fromkeys(close))[:3]
    raise SpaceError(
        f"a name is one of the catalogue's; got {name!r}: use {' or '.join(near) or 'one of ' + ', '.join(CATALOGUE)}, "
        f"or put one of your own beside them, Space(**catalogue.space().params, {name}=Float(low, high))."
    )


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


_BY_NAME = {_bare(other): name for name, entry in CATALOGUE.items() for other in (name, *entry.others)}
