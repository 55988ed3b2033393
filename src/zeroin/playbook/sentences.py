"""A comparison in sentences: what matters, which values are good in which scenario, and how certain that is."""

from collections.abc import Mapping, Sequence
from statistics import median

from zeroin.playbook.compare import Comparison, Row, joined
from zeroin.space import Choice
from zeroin.types import Value
from zeroin.wording import percent, value_words

PLURAL = {"row": "tables", "image": "images", "words": "texts", "sequence": "sequences"}
SURE = 0.8  # if this share of the studies in which it mattered agree, there is little to search
MOSTLY = 0.5  # with more luck than this, a study saw little else
FEW = 0.25  # hyperparameters that matter in no more than this share of the studies are summed up in one sentence


def sentences(found: Comparison) -> list[str]:
    """What several studies suggest to search, to set, to try or to leave alone; what mattered most often comes first.

    >>> sentences(compare([digits, cells]))  # doctest: +SKIP
    ['search `lr`, which mattered in 2 of 2 (44 % of the spread): images 8.7e-4..0.0028, tables 0.017..0.047', ...]
    """
    groups = _groups(found.scenarios)
    rows = sorted(found.rows, key=lambda row: -row.matters)  # of as many the most important first, as they come
    said = [_sentence(row, groups) for row in rows if _often(row)]
    seldom = [f"`{row.name}`{_where(row, found.names)}" for row in rows if not _often(row)]
    one = found.alike.get("optimizer", "any")  # where it is searched, that is its fact
    same = ({} if one == "any" else {"optimizer": one}) | dict(found.held)
    held = [f"`{name}` {value_words(value)}" for name, value in same.items()]
    lucky = [name for name, luck in zip(found.names, found.luck, strict=True) if luck is not None and luck > MOSTLY]
    said += [f"leave as it is what mattered in few or none: {', '.join(seldom)}"] if seldom else []
    said += [f"nothing is told of what was not searched, the same in all: {', '.join(held)}"] if held else []
    said += [f"little or no say in this have studies that are mostly luck: {', '.join(lucky)}"] if lucky else []
    return said


def _often(row: Row) -> bool:
    return row.matters > FEW * row.searched


def _where(row: Row, names: Sequence[str]) -> str:
    """The few studies in which it mattered, in words."""
    few = [name for name, matters in zip(names, row.mattering, strict=True) if matters]
    return f" ({row.matters} of {row.searched}: {', '.join(few)})" if few else ""


def _settled(row: Row) -> bool:
    return row.agrees and row.agree >= SURE * row.matters


def _sentence(row: Row, groups: Mapping[str, Sequence[int]]) -> str:
    weight = median(cell.importance for cell in row.cells if cell)
    values = [f"{row.values(row.common)}{_end(row)} good in {row.agree} of these"] if row.agrees else []
    if not row.agrees or row.agree < row.matters:
        values += _apart(row, groups) if groups else _elsewhere(row)
    verb = ("set" if 2 * row.matters > row.searched else "try") if _settled(row) else "search"
    told = f"mattered in {row.matters} of {row.searched} ({percent(weight)} of the spread)"
    return f"{verb} `{row.name}`, which {told}: {'; '.join(values)}"


def _end(row: Row) -> str:
    """A remark if the common values lie at the end of the range, since values beyond might be better still."""
    if isinstance(row.param, Choice):
        return ""
    low, high = row.param.legal
    return ", the least allowed," if row.common[-1] == low else ", the most allowed," if row.common[0] == high else ""


def _groups(scenarios: Sequence[Mapping[str, Value]]) -> dict[str, list[int]]:
    """The studies grouped by kind of data, and by network if these differ; empty if there would be one group."""
    kinds = [(str(scenario.get("inputs", "")), str(scenario.get("network", ""))) for scenario in scenarios]
    groups: dict[str, list[int]] = {}
    for i, (inputs, network) in enumerate(kinds):
        told = PLURAL.get(inputs, inputs or "others")
        alone = len({n for kind, n in kinds if kind == inputs}) == 1
        groups.setdefault(told if alone else f"{told} ({network or 'others'})", []).append(i)
    return groups if len(groups) > 1 else {}


def _apart(row: Row, groups: Mapping[str, Sequence[int]]) -> list[str]:
    """The good values in each group of studies in which it mattered, in words."""
    out = []
    for name, members in groups.items():
        good = [cell.good for i in members if (cell := row.cells[i]) and row.mattering[i]]
        if good:
            of = f" in {len(good)}" if len(good) > 1 else ""
            out.append(f"{name} {row.values(joined(row.param, good))}{of}")
    return [", ".join(out)]


def _elsewhere(row: Row) -> list[str]:
    """The good values in the studies in which the common values are not good, in words."""
    agreeing = row.agreeing if row.agrees else (False,) * len(row.cells)
    told = zip(row.cells, row.mattering, agreeing, strict=True)
    good = [cell.good for cell, matters, agrees in told if cell and matters and not agrees]
    where = f"elsewhere ({len(good)})" if row.agrees else "from study to study" if len(good) > 1 else "there"
    return [f"{where} {row.values(joined(row.param, good))}"]
