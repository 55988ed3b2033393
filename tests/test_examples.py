"""The examples run as a reader would run them: as scripts, and by `zeroin tune FILE`."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
COMMAND = [sys.executable, "-c", "from zeroin.cli import main; main()"]


def run(folder, *words, seconds=240):
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False)


@pytest.fixture
def folder(tmp_path):
    """A folder of one's own with copies of the examples."""
    for path in EXAMPLES.glob("*.py"):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_plain_objective_as_a_script_without_torch(folder):
    blocked = (
        "import runpy, sys; sys.modules['torch'] = None; runpy.run_path('plain_objective.py', run_name='__main__')"
    )
    done = run(folder, sys.executable, "-c", blocked)
    assert done.returncode == 0, done.stderr
    config, loss = done.stdout.rsplit("}", 1)
    assert set(ast.literal_eval(config + "}")) == {"lr", "momentum"}
    assert float(loss) < 0.2  # the bowl's bottom is at 0.1, the default's loss 0.9
    assert (folder / "zeroin.db").is_file()


@pytest.mark.slow
def test_plain_objective_by_the_command(folder):
    done = run(folder, *COMMAND, "tune", "plain_objective.py", "--trials", "12", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["study"], result["trials"], result["goal"]) == ("plain_objective", 12, "minimize")
    assert (folder / result["report"]).is_file()
    again = run(folder, *COMMAND, "tune", "plain_objective.py", "--trials", "12", "--json")
    assert "has spent its budget" in again.stderr
    assert json.loads(again.stdout) == result


@pytest.mark.slow
def test_own_network_as_a_script(folder):
    pytest.importorskip("torch")
    assert len((folder / "own_network.py").read_text(encoding="utf-8").splitlines()) <= 30
    done = run(folder, sys.executable, "own_network.py")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split("R2")[1]) > 0.75


@pytest.mark.slow
def test_own_network_by_the_command_and_its_weights(folder):
    pytest.importorskip("torch")
    done = run(folder, *COMMAND, "tune", "own_network.py", "--epochs", "60", "--max-epochs", "4", "--confirm", "1")
    assert done.returncode == 0, done.stderr
    assert "best config" in done.stdout
    exported = run(folder, *COMMAND, "export", "--model", "best.pt")
    assert exported.returncode == 0, exported.stderr
    loaded = run(folder, sys.executable, "-c", exported.stdout + "\nassert not net.training")
    assert loaded.returncode == 0, loaded.stderr


@pytest.mark.slow
def test_a_deep_network_learns_with_batch_norm_and_8_trainings_of_search(folder):
    pytest.importorskip("torch")
    done = run(folder, sys.executable, "deep_network.py", seconds=2400)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("error: init does not fit the activation (29 hidden layers)")
    as_it_is, _, tested = done.stdout.splitlines()[-3:]
    assert float(as_it_is.rsplit(maxsplit=1)[1]) < 0.3
    assert float(tested.rsplit(maxsplit=1)[1]) > 0.95
