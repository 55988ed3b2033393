"""zeroin finds good hyperparameters for a neural network: it samples on the right scale and zooms in."""

from zeroin import catalogue
from zeroin.errors import SpaceError, StoreError, StudyError, TaskError, ZeroinError
from zeroin.executors.run import Run
from zeroin.space import Choice, Float, Int, Space
from zeroin.study import Study, load
from zeroin.tuning import tune
from zeroin.types import Config, Job, Trial

__all__ = [
    "Choice",
    "Config",
    "Float",
    "Int",
    "Job",
    "Run",
    "Space",
    "SpaceError",
    "StoreError",
    "Study",
    "StudyError",
    "TaskError",
    "Trial",
    "ZeroinError",
    "catalogue",
    "load",
    "tune",
]
