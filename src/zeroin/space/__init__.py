"""Hyperparameters, their scales, and the space they span."""

from zeroin.space.params import Choice, Float, Hyperparameter, Int
from zeroin.space.scales import SCALES, Scale
from zeroin.space.space import Space

__all__ = ["SCALES", "Choice", "Float", "Hyperparameter", "Int", "Scale", "Space"]
