"""A hyperparameter: a Float, an Int or a Choice."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from zeroin.space.choice import Choice
from zeroin.space.numbers import Float, Int

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


def changed(param: Hyperparameter, **fields: Any) -> Hyperparameter:
    """The hyperparameter with other fields, as `dataclasses.replace` gives it; `options` are those of a choice.

    >>> changed(Choice("a", "b", ordered=True), options=("b", "c"))
    Choice('b', 'c', ordered=True)
    """
    if not isinstance(param, Choice):
        return replace(param, **fields)
    kept = {name: getattr(param, name) for name in ("options", "ordered", "default", "when", "fixed")} | fields
    return Choice(*kept.pop("options"), **kept)
