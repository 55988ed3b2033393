"""What the lessons that come with zeroin are worth to loops of SGD that a user wrote, which no lesson is of.

    python benchmarks/playbook_loops.py --seeds 4                       # about 40 minutes
    python benchmarks/playbook_loops.py --seeds 4 --tasks digits-8-const

A network of one hidden layer in NumPy, trained by SGD with momentum: three data sets, 8 or 30 epochs, a learning rate
that stays or falls to 0. Its hyperparameters have the catalogue's names, so that the playbook has advice. Printed is
the mean regret of the lowest loss so far, on a log scale: 0 is the lowest of all runs of the task, 1 the median of 80
random configs; and the difference of studies with the playbook to those without, by task and seed.
"""

import argparse
import math
import warnings
from collections.abc import Iterator
from functools import cache

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits

import zeroin as zi

AT = (2, 5, 10, 20, 30)  # full trainings
SAMPLE = 80
TASKS = [
    f"{data}-{epochs}-{lr}" for epochs in (8, 30) for data in ("digits", "cancer", "synth") for lr in ("const", "cos")
]
SPACE = zi.Space(
    lr=zi.Float(1e-4, 1.0, scale="log"),
    momentum=zi.Float(0.5, 0.99, scale="one_minus_log"),
    weight_decay=zi.Float(1e-6, 1e-1, scale="log"),
    batch_size=zi.Int(16, 256, scale="log2"),
    units=zi.Int(8, 128, scale="log2"),
)


@cache
def examples(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and classes, shuffled."""
    rng = np.random.default_rng(0)
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        X = X / 16
    elif name == "cancer":
        X, y = load_breast_cancer(return_X_y=True)
        X = (X - X.mean(0)) / X.std(0)
    else:
        X = rng.normal(size=(2000, 12))
        z = X[:, 0] * X[:, 1] + np.sin(2 * X[:, 2]) + 0.5 * X[:, 3] ** 2 - 0.5 + (X[:, 4] > 0) * X[:, 5]
        y = np.digitize(z + 0.3 * rng.normal(size=2000), [-0.7, 0.7])
    order = rng.permutation(len(X))
    return X[order], y[order]


def losses(task: str, config: zi.Config, seed: int) -> Iterator[float]:
    """The validation loss after each epoch of a training."""
    data, epochs, schedule = task.split("-")
    X, y = examples(data)
    Y, n = np.eye(y.max() + 1)[y], int(0.66 * len(X)) // 10 * 10
    lr, momentum, decay = (float(config[name]) for name in ("lr", "momentum", "weight_decay"))
    batch, units = int(config["batch_size"]), int(config["units"])
    rng, steps, inputs, classes = np.random.default_rng(seed), -(-n // batch), X.shape[1], Y.shape[1]
    first = rng.normal(size=(inputs, units)) * (2 / inputs) ** 0.5
    P = [first, rng.normal(size=(units, classes)) * (1 / units) ** 0.5, np.zeros(units), np.zeros(classes)]
    M = [0 * p for p in P]

    def forward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        H = np.maximum(x @ P[0] + P[2], 0)
        z = H @ P[1] + P[3]
        return H, z - z.max(1, keepdims=True)

    for epoch in range(int(epochs)):
        with np.errstate(all="ignore"):
            order = rng.permutation(n)
            for step in range(steps):
                i = order[step * batch : (step + 1) * batch]
                H, z = forward(X[i])
                p = np.exp(z)
                p /= p.sum(1, keepdims=True)
                g = (p - Y[i]) / len(i)
                back = (g @ P[1].T) * (H > 0)
                G = [X[i].T @ back + decay * P[0], H.T @ g + decay * P[1], back.sum(0), g.sum(0)]
                part = (epoch * steps + step) / (int(epochs) * steps)
                now = lr * (1 if schedule == "const" else 0.5 * (1 + math.cos(math.pi * part)))
                M = [momentum * m + gradient for m, gradient in zip(M, G, strict=True)]
                P = [w - now * m for w, m in zip(P, M, strict=True)]
            z = forward(X[n:])[1]
            yield float(-((z - np.log(np.exp(z).sum(1, keepdims=True))) * Y[n:]).sum(1).mean())


def lowest(task: str, seed: int, *, playbook: bool) -> np.ndarray:
    """The lowest loss so far after each epoch of a study of 30 full trainings."""
    seen: list[float] = []
    training: dict[int, Iterator[float]] = {}

    def objective(config: zi.Config, run: zi.Run) -> None:
        if run.start == 0:
            training[run.trial] = losses(task, config, run.seed)
        for _ in run.epochs():
            seen.append(next(training[run.trial]))
            run.report(seen[-1])

    epochs = int(task.split("-")[1])
    given = {"store": None, "playbook": playbook, "seed": seed}
    zi.tune(objective, SPACE, max_epochs=epochs, epochs=AT[-1] * epochs, **given)  # type: ignore[arg-type]
    return np.fmin.accumulate(np.array(seen))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    given = parser.parse_args()
    warnings.filterwarnings("ignore", message="a trial that is paused")
    found: list[np.ndarray] = []  # [2, marks] of each study
    for task in given.tasks:
        points = np.random.default_rng(1).random((SAMPLE, len(SPACE)))
        sample = [np.fmin.reduce(list(losses(task, SPACE.config(u), i))) for i, u in enumerate(points)]
        runs = [[lowest(task, seed, playbook=with_it) for with_it in (False, True)] for seed in range(given.seeds)]
        best, epochs = np.log(min(min(run[-1] for pair in runs for run in pair), min(sample))), int(task.split("-")[1])
        ends = np.array([[[run[min(len(run), at * epochs) - 1] for at in AT] for run in pair] for pair in runs])
        regret = (np.log(ends) - best) / (np.log(np.median(sample)) - best)
        found += list(regret)
        print(f"{task:16}", "without", regret[:, 0].mean(0).round(3), "with", regret[:, 1].mean(0).round(3), flush=True)
    all_of = np.array(found)
    gain = all_of[:, 1] - all_of[:, 0]
    error = gain.std(0, ddof=1) / len(gain) ** 0.5
    print("after", AT, "full trainings: without", all_of[:, 0].mean(0).round(3), "with", all_of[:, 1].mean(0).round(3))
    print("with less without", ", ".join(f"{g:+.3f} ± {e:.3f}" for g, e in zip(gain.mean(0), error, strict=True)))


if __name__ == "__main__":
    main()
