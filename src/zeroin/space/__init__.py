"""Hyperparameters, their scales, and the space they span."""

from zeroin.space.choice import Choice
from zeroin.space.numbers import Float, Int
from zeroin.space.params import Hyperparameter
from zeroin.space.scales import SCALES, Scale
from zeroin.space.space import Space

__all__ = ["SCALES", "Choice", "Float", "Hyperparameter", "Int", "Scale", "Space"]
