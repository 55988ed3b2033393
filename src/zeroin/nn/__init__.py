"""Training networks with PyTorch: tasks, ready-made networks, batch normalisation, and export of the best network."""

import zeroin.nn.mkl  # noqa: F401  (before any product)
from zeroin.nn.auditing.audit import audit
from zeroin.nn.effects.effect import effect
from zeroin.nn.export import export
from zeroin.nn.metrics import Metric
from zeroin.nn.networks import mlp, small_cnn
from zeroin.nn.norms.batchnorm import insert_batchnorm, remove_batchnorm, swap_norm
from zeroin.nn.norms.folding import fold
from zeroin.nn.norms.recalibration import recalibrate
from zeroin.nn.sequences import gru, text_cnn
from zeroin.nn.task import Task

__all__ = [
    "Metric",
    "Task",
    "audit",
    "effect",
    "export",
    "fold",
    "gru",
    "insert_batchnorm",
    "mlp",
    "recalibrate",
    "remove_batchnorm",
    "small_cnn",
    "swap_norm",
    "text_cnn",
]
