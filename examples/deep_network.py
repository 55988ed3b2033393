"""30 layers that do not learn: why, and batch norm put in. `python examples/deep_network.py`, or step by step:

zeroin audit examples/deep_network.py:plain
zeroin tune examples/deep_network.py:task --epochs 480 --no-playbook
"""

from dataclasses import replace

import torch
from torch import nn

import zeroin as zi
from zeroin.nn import audit, insert_batchnorm
from zeroin.tasks import load

DEPTH, WIDTH, ACTIVATION = 30, 64, nn.ReLU


def as_it_is(_config):
    """A plain network with PyTorch's own first weights, written without a thought of zeroin."""
    sizes = [64] + [WIDTH] * DEPTH
    hidden = [layer for size in sizes[:-1] for layer in (nn.Linear(size, WIDTH), ACTIVATION())]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(WIDTH, 10))


def normed(config):
    """The same with batch norm in each hidden layer, before the activation or after it."""
    return insert_batchnorm(as_it_is(config), torch.zeros(2, 1, 8, 8), position=config["norm_position"])[0]


# Of AdamW. Batch norm keeps activations in bounds, but in 30 plain layers gradients grow towards the first (Yang et al.
# 2019, arXiv 1902.08129): they are clipped, and the training is long, warmed up, then cooled.
usual = {"lr": (3e-4, 0.03), "batch_size": 64, "schedule": "cosine", "warmup": 0.1, "grad_clip": 0.5}
space = zi.catalogue.space(trainings=1, **usual)
plain = replace(load("digits"), build=as_it_is, space=space, name="deep-plain", max_epochs=60)
space = zi.catalogue.space(trainings=1, norm_position=True, **usual)
task = replace(plain, build=normed, space=space, name="deep")

if __name__ == "__main__":
    print(audit(plain))
    few = zi.tune(plain, trials=4, store=None, confirm=0)
    print("as it is, the best of 4 configs: validation accuracy", few.best.loss)
    study = zi.tune(task, epochs=8 * task.max_epochs, playbook=False)  # 8 full trainings, those of the end included
    print("with batch norm:", dict(study.best.config), "validation accuracy", study.best.loss)
    fresh = [t for t in study.trials if t.config == study.best.config and not t.kind.is_search]
    tests = [t.metrics[-1]["test"] for t in fresh]
    print("test accuracy of fresh seeds: least", min(tests), "mean", sum(tests) / len(tests))
