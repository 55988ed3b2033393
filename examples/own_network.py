"""Your own network and your own data: `python examples/own_network.py` or `zeroin tune examples/own_network.py`."""

import numpy as np
from torch import nn

import zeroin as zi
from zeroin.nn import Task

rng = np.random.default_rng(0)
X = rng.normal(size=(1500, 8)).astype("float32")  # your inputs [N, features]
y = (np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=1500)).astype("float32")  # your targets [N]


def build(config):
    width = config["units"]
    return nn.Sequential(nn.Linear(8, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, 1))


space = zi.Space(
    lr=zi.Float(1e-5, 1.0, scale="log"),
    weight_decay=zi.Float(1e-5, 1e-1, scale="log", zero=True),
    batch_size=zi.Int(16, 256, scale="log2"),
    units=zi.Int(16, 256, scale="log"),
)
task = Task(build, train=(X[:1000], y[:1000]), valid=(X[1000:1250], y[1000:1250]), test=(X[1250:], y[1250:]),
            loss="mse", metric="r2", space=space, name="own-network", max_epochs=20)  # fmt: skip

if __name__ == "__main__":
    study = zi.tune(task, epochs=200)
    print(study.best.config, "R2", study.best.loss)
