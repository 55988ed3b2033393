"""Training on another device: on one that PyTorch takes for a GPU, but whose kernels are the CPU's, all bits are equal.

PyTorch can be told of such a device once a process, so that the comparisons run in a process of their own: this file.
"""

import logging.handlers
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import zeroin as zi
from zeroin.executors.checkpoint import trial_folder
from zeroin.nn import Metric, Task, audit, effect, export, mlp, recalibrate, small_cnn
from zeroin.nn.stacking import calibration

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 6)).astype("float32")
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 1)
NUMBERS = X[:, :2].sum(1)
IMAGES = RNG.normal(size=(120, 1, 8, 8)).astype("float32")
WORDS = RNG.integers(0, 20, size=(200, 7))


class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.dropout, self.head = nn.Embedding(20, 8, padding_idx=0), nn.Dropout(0.3), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.dropout(self.words(x)).mean(1))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = nn.TransformerEncoderLayer(6, 2, 8, batch_first=True, dropout=0.0), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.first(x[:, None].expand(-1, 4, -1)).mean(1))


def absolute(output, target):
    return (output[:, 0] - target).abs().mean()


def perceptron(outputs, config):
    return mlp(6, outputs, {**config, "layers": 2, "units": 12, "batchnorm": True})


def images(config):
    return small_cnn(1, 8, 2, {**config, "units": 4, "batchnorm": True})


LR = zi.Float(1e-3, 0.1, scale="log")
RULES = zi.Choice("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "nadam")
MANY = {"lr": LR, "dropout": zi.Float(0, 0.5), "label_smoothing": zi.Float(0, 0.2), "clip": zi.Float(0.1, 10)}
WORST = Metric("worst", "minimize", lambda output, target: float((output.argmax(1) != target).max()))
CASES = {  # what is trained, on which data, in which space
    "optimizers": (partial(perceptron, 3), X, LABELS, {**MANY, "optimizer": RULES}, {}),
    "schedules": (partial(perceptron, 3), X, LABELS, {"lr": LR, "schedule": zi.Choice("cosine", "step")}, {}),
    "exact statistics": (partial(perceptron, 3), X, LABELS, {"lr": LR}, {"recalibrate": True}),
    "regression": (partial(perceptron, 1), X, NUMBERS, {"lr": LR}, {"loss": "mse", "metric": "r2"}),
    "a loss of one's own": (partial(perceptron, 1), X, NUMBERS, {"lr": LR}, {"loss": absolute, "metric": "mae"}),
    "ranks": (partial(perceptron, 2), X, LABELS > 0, {"lr": LR}, {"metric": "roc_auc"}),
    "a metric of one's own": (partial(perceptron, 3), X, LABELS, {"lr": LR}, {"metric": WORST}),
    "images": (images, IMAGES, IMAGES[:, 0, :4].mean((1, 2)) > 0, {"lr": LR, "dropout": zi.Float(0, 0.5)}, {}),
    "words": (lambda _: Text(), WORDS, WORDS[:, 0] > 9, {"lr": LR}, {}),
    "attention": (lambda _: Attention(), X, LABELS, {"lr": LR}, {"metric": "balanced_accuracy"}),
}


ROUNDED = "images", "attention"  # by another kernel than on the CPU: their weights differ in the last bits


def studied(name, device, folder):
    """All that a study of a case has seen, its final trainings too, and the file with its best network."""
    build, x, y, space, more = CASES[name]
    y, third = np.asarray(y, dtype=int if y.dtype == bool else y.dtype), len(x) // 3
    parts = [(x[a : a + third], y[a : a + third]) for a in (0, third, 2 * third)]
    task = Task(build, *parts, **more, device=device)
    store = folder / f"{name}-{device}.db"
    with zi.tune(task, zi.Space(**space), max_epochs=3, trials=8, confirm=1, store=store, playbook=False) as study:
        export(task, trial_folder(study.folder, study.best.number), study.best.config, folder / f"{name}-{device}.pt")
        best = torch.load(folder / f"{name}-{device}.pt", weights_only=True)
        seen = [(t.config, t.losses, t.status, t.note) for t in study.trials]
        return seen if name in ROUNDED else (seen, [t.metrics for t in study.trials], flat(best))


def flat(value):
    """Nested data, tensors as what they hold and where they lie."""
    if isinstance(value, torch.Tensor):
        return str(value.device), value.tolist()
    return {k: flat(v) for k, v in value.items()} if isinstance(value, dict) else repr(value)


def looked_at(device):
    """What the tools beside training say of a network."""
    task = Task(partial(perceptron, 3), (X, LABELS), (X, LABELS), device=device)
    model = task.network({}, 0).to(device)
    recalibrate(model, torch.from_numpy(X).to(device))
    assert calibration.measured(task.problem, {}).seconds > 0
    share = effect(task, "batchnorm", epochs=1, draws=2).to_json() | {"seconds": 0.0}
    return str(audit(task, {})), share, flat({name: value.cpu() for name, value in model.state_dict().items()})


def differences(folder, rows):
    """The cases that come out otherwise than on the CPU, in stacks of so many rows; and those that were not stacked."""
    said = logging.handlers.BufferingHandler(1000)
    logging.getLogger("zeroin").addHandler(said)
    calibration.Calibrations.most = rows
    calibration.Calibrations.of = lambda self, config: calibration.Calibration(rows, why="of this test")
    names = [name for name in CASES if studied(name, "cpu", folder) != studied(name, "fake", folder)]
    names += ["tools"] * (looked_at("cpu") != looked_at("fake"))
    return names + [record.getMessage() for record in said.buffer if "one by one" in record.getMessage()]


def device(folder):
    """Tell PyTorch of the device."""
    from torch.utils.cpp_extension import load

    source = Path(__file__).with_name("fake_device.cpp")
    load("fake_device", [str(source)], extra_cflags=["-O0"], build_directory=str(folder), is_python_module=False)
    torch.utils.rename_privateuse1_backend("fake")
    module = type("fake", (), {"is_available": lambda: True, "device_count": lambda: 1, "current_device": lambda: 0})
    module._is_in_bad_fork, module.manual_seed_all = lambda: False, lambda seed: None
    torch._register_device_module("fake", module)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    if not all(map(shutil.which, ("g++", "ninja"))):
        pytest.skip("a C++ compiler and ninja build the device")
    return tmp_path_factory.mktemp("device")


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "double"), [(1, True), (4, True), (4, False)])
def test_a_device_gives_the_bits_of_the_cpu(built, rows, double, tmp_path):
    environment = os.environ | ({} if double else {"FAKE_NO_DOUBLE": "1"})
    run = [sys.executable, __file__, str(built), str(tmp_path), str(rows)]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["differ: []"], done.stdout + done.stderr


if __name__ == "__main__":
    device(sys.argv[1])
    torch.set_num_threads(1)
    tempfile.tempdir = sys.argv[2]
    print("differ:", differences(Path(sys.argv[2]), int(sys.argv[3])))
