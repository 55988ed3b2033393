"""Training networks with PyTorch: tasks, ready-made networks, export of the best model."""

from zeroin.nn.export import export
from zeroin.nn.metrics import Metric
from zeroin.nn.networks import mlp, small_cnn
from zeroin.nn.task import Task

__all__ = ["Metric", "Task", "export", "mlp", "small_cnn"]
