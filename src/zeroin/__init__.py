"""zeroin finds good hyperparameters for a neural network: it samples on the right scale and zooms in."""

from zeroin import catalogue
from zeroin.errors import SpaceError, StoreError, StudyError, TaskError, ZeroinError
from zeroin.space import Choice, Float, Int, Space
from zeroin.study import Study, load
from zeroin.tuning import tune

__all__ = [
    "Choice",
    "Float",
    "Int",
    "Space",
    "SpaceError",
    "StoreError",
    "Study",
    "StudyError",
    "TaskError",
    "ZeroinError",
    "catalogue",
    "load",
    "tune",
]
