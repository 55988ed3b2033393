"""The usual hyperparameters of neural networks: default, range, scale, limits, source; and a space made of them."""

from zeroin.catalogue.entries import CATALOGUE, OPTIMIZERS, PACE, Entry
from zeroin.catalogue.names import called, common
from zeroin.catalogue.spaces import defaults, space, unasked
from zeroin.catalogue.words import COLUMNS, describe, rows

__all__ = [
    "CATALOGUE",
    "COLUMNS",
    "OPTIMIZERS",
    "PACE",
    "Entry",
    "called",
    "common",
    "defaults",
    "describe",
    "rows",
    "space",
    "unasked",
]
