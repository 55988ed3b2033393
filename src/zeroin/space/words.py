"""Ranges and conditions of hyperparameters in words, written alike wherever they are shown."""

from zeroin.space.choice import Choice
from zeroin.space.numbers import Float
from zeroin.space.params import Hyperparameter
from zeroin.space.plain import several
from zeroin.types import Range
from zeroin.wording import value_words

MANY = 12  # options; of more than these the first and the last are told, and their number


def range_words(param: Hyperparameter, values: Range, digits: int = 4) -> str:
    """A range in words: low..high of a number, or a single value if they are equal; the options of a choice, few of
    very many.

    >>> range_words(Float(1e-5, 1.0, scale="log"), (1e-5, 0.1)), range_words(Choice("sgd", "adamw"), ("sgd", "adamw"))
    ('1e-5..0.1', 'sgd/adamw')
    """
    words = list(dict.fromkeys(value_words(value, digits) for value in values))
    if not isinstance(param, Choice):
        return "..".join(words)
    if len(words) > MANY:
        return f"{words[0]}/{words[1]}/…/{words[-1]} ({len(values)} options)"
    return "/".join(words)


def zero_words(param: Hyperparameter) -> str:
    """What to add to a range in words if the number may also be exactly 0."""
    return " or 0" if isinstance(param, Float) and param.zero else ""


def when_words(param: Hyperparameter) -> str:
    """When a hyperparameter is active, in words; empty: always.

    >>> when_words(Float(0.9, 0.999, when={"optimizer": ("adam", "adamw"), "layers": 2}))
    'optimizer=adam/adamw and layers=2'
    """
    when = (param.when or {}).items()
    return " and ".join(f"{other}={'/'.join(map(value_words, several(asked)))}" for other, asked in when)
