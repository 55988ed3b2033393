"""A hyperparameter: a Float, an Int or a Choice."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from zeroin.space.choice import Choice
from zeroin.space.numbers import Float, Int
from zeroin.space.plain import Allowed, several
from zeroin.types import Value

Hyperparameter: TypeAlias = Float | Int | Choice


def from_json(data: Mapping[str, Any]) -> Hyperparameter:
    """The inverse of a hyperparameter's `to_json`.

    >>> from_json(Int(1, 3).to_json())
    Int(1, 3)
    """
    fields = {k: v for k, v in data.items() if k not in ("type", "options")}
    if "when" in fields:
        fields["when"] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields["when"].items()}
    if "limits" in fields:
        fields["limits"] = tuple(fields["limits"])
    if data["type"] == "choice":
        return Choice(*data["options"], **fields)
    return Float(**fields) if data["type"] == "float" else Int(**fields)


def offered(allowed: Allowed, parent: Hyperparameter | None) -> tuple[Value, ...]:
    """Which of the values that a `when` allows a hyperparameter has; none where there is no such hyperparameter."""
    return () if parent is None else tuple(value for value in several(allowed) if parent.allows(value))


def changed(param: Hyperparameter, **fields: Any) -> Hyperparameter:
    """The hyperparameter with other fields, as `dataclasses.replace` gives it; `options` are those of a choice.

    >>> changed(Choice("a", "b", ordered=True), options=("b", "c"))
    Choice('b', 'c', ordered=True)
    """
    if not isinstance(param, Choice):
        return replace(param, **fields)
    kept = {name: getattr(param, name) for name in ("options", "ordered", "default", "when", "fixed")} | fields
    return Choice(*kept.pop("options"), **kept)
