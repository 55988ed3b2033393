"""Ranges for another study of the same kind, by what this one has seen, to paste."""

import math
import shlex
from collections.abc import Mapping, Sequence

from zeroin.catalogue import CATALOGUE, common
from zeroin.history import History
from zeroin.space import SCALES, Choice, Float, Hyperparameter, Int, Space
from zeroin.space.choice import key
from zeroin.space.plain import is_number, number, tidy
from zeroin.types import Importance, Range, Trial, Value
from zeroin.wording import value_words

LITTLE = 0.05  # of the variance: what has less, for sure, need not be tuned again
EDGE = 0.01  # of a range: what is nearer to an end lies on it
WIDER = 0.5  # widths by which a range is to grow there
DIGITS = 2  # of ranges to paste, rounded outwards


def wider(space: Space, name: str, best: Trial, importance: Sequence[Importance]) -> tuple[float, float] | None:
    """Where the search may go, longer at the end that the best lies on; None where it lies on none, or nothing lies
    beyond, or where the hyperparameter hardly matters."""
    param, value = space[name], best.config.get(name)
    if isinstance(param, Choice) or param.held or name in _little(importance) or not is_number(value):
        return None
    scale, x = SCALES[param.scale], number(value)
    if not scale.allows(x) or not param.allows(x):
        return None  # the exact zero of a log scale; or what was best before the range was changed
    low, high = (float(end) for end in param.legal)
    bottom, top = float(scale.forward(low)), float(scale.forward(high))
    place, width = float(scale.forward(x)), top - bottom
    entry = CATALOGUE.get(common(name))
    first, last = entry.possible if entry else (0.0 if low >= 0 else -math.inf, math.inf)
    reach = math.ceil(WIDER * width) if param.scale == "log2" else WIDER * width
    if place >= top - EDGE * width and high < last and high != 1:
        further = min(_beyond(float(scale.inverse(top + reach)), param, 1), last)
        return (low, further) if math.isfinite(further) else None
    if place <= bottom + EDGE * width and low > first and low != 1 and not (isinstance(param, Float) and param.zero):
        further = _beyond(float(scale.inverse(bottom - reach)), param, -1)
        further = max(further, low / 2) if param.scale == "linear" and low > 0 else further
        return max(further, first, 1.0 if isinstance(param, Int) and low > 1 else first), high
    return None


def paste(space: Space, history: History, best: Trial, importance: Sequence[Importance], command: str) -> str:
    """The ranges where the best likely lies, as options of the command line or as Python; empty where they are as
    now, or leave nothing to tune.

    Args:
        space, history, best, importance: of the study; `best` is the trial held for the best.
        command: that began it.
    """
    likely: Mapping[str, Range] = history.regions[-1].likely if history.regions else {}
    changes: list[tuple[str, tuple[Value, ...]]] = []
    for name, param in space.params.items():
        value = best.config.get(name)
        if param.held or name not in best.config or not param.allows(value):
            continue
        found = (value,) if name in _little(importance) else likely.get(name, param.range)
        values = _narrowed(param, found, value, wider(space, name, best, importance))
        if values != param.range:
            changes.append((name, values))
    if set(space.searched) <= {name for name, values in changes if len(values) == 1}:
        return ""  # nothing would be left to tune
    if is_of_command_line(command):
        options = [_changing(space[name], name, v) for name, v in changes if _is_writable(space[name], name, v)]
        return " \\\n    ".join([f"{command} --name NEW", *options]) if options else ""
    calls = [f"    .{'set' if len(v) > 1 else 'fix'}({n!r}, {', '.join(map(repr, v))})\n" for n, v in changes]
    return f"space = (\n    space\n{''.join(calls)})" if changes else ""


def _is_writable(param: Hyperparameter, name: str, values: Sequence[Value]) -> bool:
    """Whether the name and each of the values can be told from others on the command line: NAME=OPTION,OPTION."""
    known = [str(option) for option in param.options] if isinstance(param, Choice) else []
    told = map(str, values)
    return "=" not in name and all(word and "," not in word and known.count(word) < 2 for word in told)


def _changing(param: Hyperparameter, name: str, values: Sequence[Value]) -> str:
    between, typed = (",", str) if isinstance(param, Choice) else ("..", _typed)
    change = f"{name}={between.join(map(typed, values))}"
    return f"--{'set' if len(values) > 1 else 'fix'} {shlex.quote(change)}"


def _typed(value: Value) -> str:
    """A number as it is typed: short, if that is the same number."""
    short = value_words(value, 12)
    return short if float(short) == value else str(value)


def _narrowed(param: Hyperparameter, likely: Range, best: Value, wider: tuple[float, float] | None) -> Range:
    """The likely range, grown to hold the best, to the further end where there is one, and rounded outwards; one value
    where it is one."""
    if isinstance(param, Choice):
        kept = {key(option) for option in (*likely, best)}
        return tuple(option for option in param.options if key(option) in kept)
    known = [number(v) for v in (*likely, best) if is_number(v)]
    further = [end for end in wider or () if end not in param.legal]
    low, high = min(known + further), max(known + further)
    if isinstance(param, Float):
        low, high = _rounded(low, param, -1), _rounded(high, param, 1)
        low = max(low, param.low) if param.zero and high > 0 else low
        return tuple(dict.fromkeys((low, high)) if len(likely) > 1 else (high,))
    return tuple(dict.fromkeys((round(low), round(high))))


def _beyond(value: float, param: Float | Int, towards: int) -> float:
    """An end beyond the legal limits: whole, or to few digits unless these would be too few on a linear scale."""
    if not math.isfinite(value):
        return value
    if isinstance(param, Int):
        return float((math.ceil if towards > 0 else math.floor)(tidy(value)))
    return tidy(value) if param.scale == "linear" else _few(value, param, towards)


def _rounded(value: float, param: Float, towards: int) -> float:
    """A value to few digits, down or up; not past the legal limits."""
    low, high = param.legal
    return min(max(_few(value, param, towards), min(low, value)), max(high, value))


def _few(value: float, param: Float, towards: int) -> float:
    """A value to few digits, down or up, of its distance from 1 where that is the scale; never 1 itself."""
    turned = param.scale == "one_minus_log" or (param.scale == "logit" and value > 0.5)
    x = 1 - value if turned else value
    step = 10.0 ** (math.floor(math.log10(abs(x))) - DIGITS + 1) if x else 1.0
    rounded = (math.ceil if (towards > 0) != turned else math.floor)(tidy(x / step)) * step
    return tidy(1 - rounded if turned else rounded)


def _little(importance: Sequence[Importance]) -> set[str]:
    return {i.name for i in importance if i.high < LITTLE}


def is_of_command_line(command: str) -> bool:
    """Whether a command has options of `zeroin`."""
    return command.startswith("zeroin ")
