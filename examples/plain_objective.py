"""A plain Python function: `python examples/plain_objective.py` or `zeroin tune examples/plain_objective.py`."""

import math
import random

import zeroin as zi

space = zi.Space(
    lr=zi.Float(1e-5, 1.0, scale="log", default=1e-3),
    momentum=zi.Float(0.5, 0.999, scale="one_minus_log", default=0.9),
)


def objective(config):
    """A noisy bowl: best at lr = 0.02 with momentum = 0.95, where lr / (1 - momentum) matters most."""
    lr, slow = math.log10(config["lr"]), math.log10(1 - config["momentum"])
    step = lr - slow - math.log10(0.4)
    noise = random.Random(repr(sorted(config.items()))).gauss(0, 0.02)  # the same config gives the same noise
    return 0.1 + 0.5 * step**2 + 0.2 * (slow - math.log10(0.05)) ** 2 + noise


if __name__ == "__main__":
    study = zi.tune(objective, space, trials=40)
    print(study.best.config, study.best.loss)
