"""The catalogue in words: all of it as a table, or one entry in full."""

from zeroin.catalogue.entries import CATALOGUE, OPTIMIZERS, Entry
from zeroin.catalogue.names import lookup
from zeroin.space import Choice, Hyperparameter
from zeroin.space.words import range_words, when_words, zero_words
from zeroin.wording import value_words

COLUMNS = ("name", "for", "symbol", "default", "range", "scale", "limits", "meaning")


def rows(name: str | None = None) -> list[tuple[str, ...]]:
    """The catalogue as a table under `COLUMNS`, one row for each entry, or for each range where optimizers differ.

    Args:
        name: of one entry; None: all.

    Returns:
        Rows of words, in the order of the catalogue.

    Raises:
        SpaceError: an unknown name.

    >>> [row[1] for row in rows("lr")]
    ['sgd', 'momentum, nesterov', 'rmsprop', 'adam, adamw', 'nadam']

    Source: each entry's own.
    """
    entries = CATALOGUE.values() if name is None else [lookup(name)]
    return [(e.name, owners, e.symbol, *_words(p), e.meaning) for e in entries for owners, p in _groups(e)]


def describe(name: str) -> str:
    """One entry in words: a title, then a list of what it is, where it is searched, what moves it, who says so.

    Args:
        name: of an entry.

    Returns:
        Lines of Markdown that read well on a terminal too.

    Raises:
        SpaceError: an unknown name.

    >>> print(describe("beta1").splitlines()[2])
    - adam, adamw, nadam: default 0.9; searched 0.5..0.999 on scale one_minus_log; legal 0..0.9999

    Source: each entry's own.
    """
    entry = lookup(name)
    lines = [f"{name} ({entry.symbol})", f"- meaning: {entry.meaning}"]
    for owners, param in _groups(entry):
        default, searched, scale, limits = _words(param)
        where = f"{searched} on scale {scale}; legal {limits}" if limits else searched
        lines.append(f"- {owners}: default {default}; searched {where}")
    others = [f"- also called: {', '.join(entry.others)}"] if entry.others else []
    tuned = {None: "only when named", 0: "always"}.get(entry.worth, f"from {entry.worth} full trainings on")
    tuned += f"; for {', '.join(entry.unasked)} only when named" if entry.unasked else ""
    tuned += f"; where {when}" if (when := when_words(entry.param)) else ""
    return "\n".join(
        [*lines, *others, f"- tuned: {tuned}", f"- depends on: {entry.depends}", f"- source: {entry.source}"]
    )


def _groups(entry: Entry) -> list[tuple[str, Hyperparameter]]:
    """The optimizers with the same numbers, in words, and their hyperparameter."""
    if not entry.by_optimizer:
        return [("all", entry.param)]
    groups: list[tuple[list[str], Hyperparameter]] = []
    for optimizer, param in entry.by_optimizer.items():
        owners = next((names for names, p in groups if p == param), None)
        if owners is None:
            groups.append(([optimizer], param))
        else:
            owners.append(optimizer)
    return [("all" if len(names) == len(OPTIMIZERS) else ", ".join(names), p) for names, p in groups]


def _words(param: Hyperparameter) -> tuple[str, str, str, str]:
    """Default, range, scale and limits."""
    start, searched = value_words(param.start), range_words(param, param.range)
    if isinstance(param, Choice):
        return start, searched, "choice", ""
    zero = zero_words(param)
    return start, searched + zero, param.scale, range_words(param, param.legal) + zero
