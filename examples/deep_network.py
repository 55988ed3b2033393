"""30 layers that do not learn: why, and batch norm put in. `python examples/deep_network.py`, or step by step:

zeroin audit examples/deep_network.py:plain
zeroin tune examples/deep_network.py:task --epochs 400
"""

from dataclasses import replace

import torch
from torch import nn

import zeroin as zi
from zeroin.nn import audit, insert_batchnorm
from zeroin.tasks import load

DEPTH, WIDTH = 30, 64


def as_it_is(_config):
    """A plain network with PyTorch's own first weights, written without a thought of zeroin."""
    sizes = [64] + [WIDTH] * DEPTH
    hidden = [layer for size in sizes[:-1] for layer in (nn.Linear(size, WIDTH), nn.LeakyReLU(0.2))]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(WIDTH, 10))


def normed(config):
    """The same with batch norm behind each hidden layer."""
    return insert_batchnorm(as_it_is(config), torch.zeros(2, 1, 8, 8))[0]


space = zi.Space(
    lr=zi.Float(1e-4, 0.1, scale="log", default=1e-3), batch_size=zi.Int(32, 128, scale="log2", default=64)
)
plain = replace(load("digits"), build=as_it_is, space=space, name="deep-plain")  # 20 epochs are a full training
task = replace(plain, build=normed, name="deep", recalibrate=True)  # scored with exact batch statistics

if __name__ == "__main__":
    print(audit(plain))
    few = zi.tune(plain, trials=4, store=None, confirm=0)
    print("as it is, the best of 4 full trainings: validation accuracy", few.best.loss)
    study = zi.tune(task, epochs=20 * task.max_epochs)  # 20 full trainings' worth, fresh seeds of the best included
    print("with batch norm:", dict(study.best.config), "validation accuracy", study.best.loss)
    tests = [t.metrics[-1]["test"] for t in study.trials if t.config == study.best.config and "test" in t.metrics[-1]]
    print("test accuracy, mean of", len(tests), "fresh seeds:", sum(tests) / len(tests))
