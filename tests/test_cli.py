"""The command line: what it prints and writes; a mistake is one sentence, exit status 2, and nothing half-written."""

import csv
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import zeroin as zi
from zeroin.budget import Budget
from zeroin.cli.options import value_of
from zeroin.exports import as_json
from zeroin.header import Header
from zeroin.plan import Plan
from zeroin.store import read_study
from zeroin.types import Observation

PLAIN = """
import zeroin as zi
space = zi.Space(lr=zi.Float(1e-4, 1.0, scale="log", default=0.5), units=zi.Int(16, 512, scale="log2"),
                 optimizer=zi.Choice("[sgd]", "adamw", "[/b]"), decay=zi.Float(1e-5, 0.1, scale="log", zero=True))
def objective(config):
    return abs(config["lr"] - 0.03) + config["units"] / 1000 + config["decay"]
def higher(config):
    return -objective(config)
"""
EPOCHS = """
import zeroin as zi
space = zi.Space(lr=zi.Float(1e-4, 1.0, scale="log"))
max_epochs = 4
goal = "maximize"
def objective(config, run):
    for epoch in run.epochs():
        run.report(-abs(config["lr"] - 0.03) / (epoch + 1), test=0.5)
        (run.checkpoint / "state").write_text("x")
"""


@pytest.fixture
def plain(tmp_path):
    path = tmp_path / "plain.py"
    path.write_text(PLAIN)
    return path


@pytest.fixture
def epochs(tmp_path):
    path = tmp_path / "epochs.py"
    path.write_text(EPOCHS)
    return path


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


# ------------------------------------------------------------------------------------------------------------ verbs


def test_tune_shows_plan_zoom_best_and_where_everything_is(zeroin, plain):
    code, out, err = zeroin("tune", plain, "--trials", "20")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "4 hyperparameters (lr, units, optimizer, decay)" in lines[0]
    assert "20 in all" in lines[0]
    assert any(line.startswith("round 1 ") for line in lines)
    assert any(line.startswith("best ") and "lr=" in line for line in lines)
    assert "best config: lr=" in out
    assert "store zeroin.db, study plain; report zeroin.files/plain/report.html" in out
    assert (zeroin.folder / "zeroin.files" / "plain" / "report.html").is_file()
    assert len(read_study(zeroin.folder / "zeroin.db")[1].trials) == 20


def test_the_same_command_goes_on(zeroin, plain):
    zeroin("tune", plain, "--trials", "8")
    code, out, _ = zeroin("tune", plain, "--trials", "12")
    assert code == 0
    assert "Goes on: 8 trials known" in out
    assert len(read_study(zeroin.folder / "zeroin.db")[1].trials) == 12


def test_confirmation_is_shown_beside_the_default(zeroin, epochs):
    code, out, _ = zeroin("tune", epochs, "--epochs", "96", "--confirm", "3")
    assert code == 0
    assert "the best again with fresh seeds" in out
    best, default = (
        next(li for li in out.splitlines() if li.startswith(word)) for word in ("best: trial ", "default  ")
    )
    assert "3" in best
    assert "0.5" in best  # the test score
    assert float(best.split()[3]) > float(default.split()[1])
    assert "default config: lr=0.01" in out
    assert "the best config over fresh seeds, in the search -" in zeroin("status", "epochs")[1]


def test_the_plan_says_what_a_small_budget_does_not_pay_for(zeroin, epochs):
    code, out, _ = zeroin("tune", epochs, "--trials", "6", "--confirm", "2")
    assert code == 0
    assert "Coarse round alone: 6 configs to epoch 1." in out
    assert "A third of this budget pays for none of 2 fresh seeds." in out
    assert "fresh seeds." not in zeroin("tune", epochs, "--trials", "6", "--name", "unasked")[1]


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (["--epochs", "9"], "Coarse round alone: 9 configs to epoch 1. 9 epochs"),
        (["--trials", "2"], "Coarse round alone: 2 configs to epoch 1. About 2 epochs"),
        (["--epochs", "48"], "Coarse round of 12 configs to epoch 1, then about"),
    ],
)
def test_the_plan_counts_the_configs_of_the_coarse_round_that_the_budget_pays(zeroin, epochs, budget, said):
    _, out, _ = zeroin("tune", epochs, *budget)
    assert said in out
    assert "over the whole space" in out
    assert "12 trials" not in out


def test_the_plan_of_a_study_cut_short_in_its_coarse_round_counts_configs_as_a_new_one_does():
    new = Plan("x", ("lr",), (1, 2, 4), 12, Budget(epochs=40), 10.0, 3, 1, 0, None, 0)
    assert "then about 28 configs in all" in new.words()
    assert "then about 28 configs in all" in replace(new, known=3, spent=2).words()


@pytest.mark.slow
def test_the_plan_of_a_study_that_goes_on_counts_configs_as_it_took_them(zeroin, epochs):
    zeroin("tune", epochs, "--epochs", "96", "--name", "on")
    _, out, _ = zeroin("tune", epochs, "--epochs", "240", "--name", "on")
    known, spent = map(int, re.search(r"Goes on: (\d+) trials known, (\d+) epochs spent", out).groups())
    told = int(re.search(r"bout (\d+) configs in all", out).group(1))
    assert told == pytest.approx(known * 240 / spent, rel=0.02)


def test_json_is_all_of_the_output(zeroin, epochs):
    code, out, err = zeroin("tune", epochs, "--epochs", "96", "--confirm", "2", "--json", "--name", "x")
    assert code == 0
    result = json.loads(out)
    assert (result["study"], result["goal"], result["store"]) == ("x", "maximize", "zeroin.db")
    assert result["best"]["score"] <= 0
    assert set(result["best"]["config"]) == {"lr"}
    assert {s["kind"] for s in result["fresh_seeds"]} == {"confirm", "default"}
    assert result["fresh_seeds"][0]["test"] == {"mean": 0.5, "sd": 0.0}
    assert result["all_epochs"] <= 96
    assert "round 0" in err


def test_a_metric_that_is_no_number_is_null_in_json():
    study = zi.Study(zi.Space(x=zi.Float(0, 1)), store=None)
    (job,) = study.ask()
    study.observe(job, Observation(1, 0.5, {"recall": float("nan"), "accuracy": 0.5}))
    header = Header(study.name, study.goal, study.max_epochs, study.seed, study.space)
    (trial,) = json.loads(as_json(header, study.history))["trials"]
    assert trial["metrics"] == [{"recall": None, "accuracy": 0.5}]


def test_a_file_on_standard_output_has_what_it_has_elsewhere(zeroin):
    """Also what looks like a terminal's colours."""
    study = zi.Study(zi.Space(x=zi.Float(0, 1)), store=zeroin.folder / "zeroin.db", name="red")
    study.tell(study.ask()[0], status="failed", note="\x1b[31mno\x1b[0m")
    assert zeroin("export", "red", "--csv", "trials.csv") == (0, "trials.csv\n", "")
    written = (zeroin.folder / "trials.csv").read_bytes().decode()
    assert "\x1b[31mno" in written
    assert zeroin("export", "red", "--csv", "-") == (0, written, "")


def test_status_report_and_export(zeroin, plain, epochs):
    zeroin("tune", plain, "--trials", "12")
    zeroin("tune", epochs, "--epochs", "40", "--name", "second")
    _, history = read_study(zeroin.folder / "zeroin.db", "plain")
    best = min(t.loss for t in history.trials)

    code, out, _ = zeroin("status")
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()] == ["plain", "second"]
    assert f"12 trials, best {best:.5g} (minimize)" in out  # a trial has no epochs
    code, out, _ = zeroin("status", "plain")
    assert code == 0
    assert "round 1: " in out
    rows = json.loads(zeroin("status", "--json")[1])
    assert [(r["name"], r["goal"], r["epochs"]) for r in rows] == [
        ("plain", "minimize", 12),
        ("second", "maximize", 40),
    ]
    assert rows[1]["best"] <= 0

    code, out, _ = zeroin("report", "plain", "--output", "deep/page.html")
    assert (code, out) == (0, "deep/page.html\n")
    assert "plain" in (zeroin.folder / "deep" / "page.html").read_text()
    assert zeroin("report")[1] == "zeroin.files/second/report.html\n"  # the newest
    assert zeroin("report", "plain", "-o", "-")[1] == (zeroin.folder / "deep" / "page.html").read_text()
    assert not (zeroin.folder / "-").exists()

    code, out, _ = zeroin("export", "plain", "--csv", "-")
    table = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [float(r["loss"]) for r in table] == [t.loss for t in history.trials]
    assert {"lr", "units", "optimizer", "decay"} <= set(table[0])
    code, out, _ = zeroin("export", "second", "--json", "all.json")
    whole = json.loads((zeroin.folder / "all.json").read_text())
    assert (code, out) == (0, "all.json\n")
    assert all(loss <= 0 for t in whole["trials"] for loss in t["losses"])
    assert zi.Space.from_json(whole["space"]) == read_study(zeroin.folder / "zeroin.db", "second")[0].space


def test_an_export_that_fails_leaves_what_was_there(zeroin, plain, monkeypatch):
    zeroin("tune", plain, "--trials", "2")
    (zeroin.folder / "all.json").write_text("old")
    monkeypatch.setattr("zeroin.atomic.os.fsync", lambda file: os.open("/nowhere/at/all", os.O_RDONLY))
    code, _, err = zeroin("export", "--json", "all.json")
    assert (code, "an export goes to a file that can be written" in err) == (2, True)
    assert (zeroin.folder / "all.json").read_text() == "old"


def test_status_of_one_study_has_its_best_config_and_that_ones_score(zeroin, plain):
    plain.write_text(f"{PLAIN}def lucky(config, run):\n    return config['lr'] + run.seed % 100 / 50")
    end = zeroin("tune", f"{plain}:lucky", "--trials", "20", "--confirm", "3", "--name", "s")[1]
    assert all("had a better loss" in out for out in (end, zeroin("status", "s")[1]))  # why it is not the lowest
    (row,) = json.loads(zeroin("status", "s", "--json")[1])
    study = zi.load("s", zeroin.folder / "zeroin.db")
    assert (row["best"], row["config"]) == (study.best.loss, study.best.config)
    (lowest,) = json.loads(zeroin("status", "--json")[1])
    assert "config" not in lowest
    assert lowest["best"] < row["best"]  # of a luckier one, which fresh seeds passed over


NAMED = """
import zeroin as zi
space = zi.Space(**{"学習率": zi.Float(1e-4, 1.0, scale="log")})
def objective(config):
    return config["学習率"]
"""


def installed(*words, folder, out=subprocess.PIPE, **environment):
    command = [sys.executable, "-c", "from zeroin.cli import main; main()", *map(str, words)]
    done = subprocess.run(
        command, cwd=folder, stdout=out, stderr=subprocess.PIPE, env=os.environ | environment, timeout=120
    )
    return done.returncode, (done.stdout or b"").decode("ascii", "replace"), done.stderr.decode("utf-8", "replace")


def test_a_terminal_without_the_characters_shows_them_written_out(tmp_path):
    (tmp_path / "own.py").write_text(NAMED, encoding="utf-8")
    code, out, err = installed("tune", "own.py", "--trials", 3, folder=tmp_path, PYTHONIOENCODING="ascii")
    assert (code, err) == (0, "")
    assert r"best config: \u5b66\u7fd2\u7387=" in out


CHATTY = """
import os, sys
import zeroin as zi
print("imported")
space = zi.Space(x=zi.Float(0, 1))
def objective(config):
    print("trained")
    os.system("echo from a child")
    return config["x"]
"""


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_an_objective_prints_is_no_part_of_json(workers, tmp_path):
    (tmp_path / "own.py").write_text(CHATTY)
    code, out, err = installed("tune", "own.py", "--trials", 3, "--workers", workers, "--json", folder=tmp_path)
    assert code == 0
    assert json.loads(out)["trials"] == 3
    assert {"imported", "trained", "from a child"} <= set(err.split("\n"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device here")
@pytest.mark.parametrize("words", [["tune", "own.py", "--trials", "3"], ["tasks"]])
def test_an_output_without_room_is_told_in_one_sentence(words, tmp_path):
    (tmp_path / "own.py").write_text(NAMED, encoding="utf-8")
    with open("/dev/full", "wb") as full:
        code, _, err = installed(*words, folder=tmp_path, out=full)
    assert code == 2
    assert err.startswith("zeroin: what is shown goes where there is room; standard output: No space left")
    assert err.count("\n") == 1


def test_catalogue(zeroin):
    code, out, _ = zeroin("catalogue")
    assert code == 0
    assert "momentum" in out
    code, out, _ = zeroin("catalogue", "beta1")
    assert code == 0
    assert "β₁" in out


def test_set_and_fix_change_the_space(zeroin, plain):
    words = ["--set", "lr=0.01..0.1", "--fix", "units=128", "--set", "optimizer=[sgd],adamw", "--fix", "decay=0"]
    code, _, err = zeroin("tune", plain, "--trials", "15", *words)
    assert code == 0, err
    for trial in read_study(zeroin.folder / "zeroin.db")[1].trials:
        assert 0.01 <= trial.config["lr"] <= 0.1
        assert trial.config["units"] == 128
        assert trial.config["optimizer"] in ("[sgd]", "adamw")
        assert trial.config["decay"] == 0


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0.0), ("0.0", 0.0), ("1e-5", 1e-5), ("16", 16), ("1", "1"), ("True", True), ("3", 3)]
)
def test_a_word_is_the_option_that_it_looks_like(text, value):
    found = value_of(zi.Space(o=zi.Choice(True, "1", 0.0, 1e-5, 16)), "o", text)
    assert (found, type(found)) == (value, type(value))


def test_a_changed_space_is_allowed_and_says_what_changed(zeroin, plain, caplog):
    zeroin("tune", plain, "--trials", "10")
    code, _, _ = zeroin("tune", plain, "--trials", "14", "--set", "lr=1e-3..1e-1")
    assert code == 0
    assert "goes on with a changed space: lr 1e-4..1 -> 0.001..0.1; trials outside it still count" in caplog.text
    _, history = read_study(zeroin.folder / "zeroin.db")
    assert len(history.trials) == 14
    assert all(1e-3 <= t.config["lr"] <= 0.1 for t in history.trials[10:])


def test_a_function_of_another_name_and_what_its_file_says_of_it(zeroin, plain, epochs):
    code, out, _ = zeroin("tune", f"{plain}:higher", "--trials", "3")
    assert code == 0
    assert "study plain-higher" in out
    zeroin("tune", epochs, "--epochs", "20")
    header, _ = read_study(zeroin.folder / "zeroin.db", "epochs")
    assert (header.max_epochs, header.goal) == (4, "maximize")
    zeroin("tune", epochs, "--epochs", "20", "--max-epochs", "2", "--name", "short")
    assert read_study(zeroin.folder / "zeroin.db", "short")[0].max_epochs == 2


def test_brackets_and_colons_in_what_users_write_are_printed_as_they_are(zeroin, tmp_path):
    path = tmp_path / "odd.py"
    path.write_text(
        "import zeroin as zi\nspace = zi.Space(o=zi.Choice('[red]', '[/b]'), x=zi.Float(0, 1))\n"
        "def objective(config):\n    if config['x'] > 0.4:\n        raise ValueError('not [/b] so [0]:x:y')\n"
        "    return config['x']\n"
    )
    code, out, err = zeroin("tune", path, "--trials", "15")
    assert (code, err) == (0, "")
    assert "ValueError: not [/b] so [0]:x:y" in out
    assert "o=[red]" in out or "o=[/b]" in out


# --------------------------------------------------------------------------------------------------------- mistakes


def told(result, *words):
    """One sentence on the error output, exit status 2, no traceback."""
    code, out, err = result
    assert code == 2, (out, err)
    assert "Traceback" not in out + err
    sentence = err.strip().splitlines()[-1]
    for word in words:
        assert word in sentence, err
    return sentence


TARGETS = {
    "raises.py": "import zeroin\n1 / 0\n",
    "syntax.py": "def objective(config:\n",
    "missing.py": "import no_such_package\n",
    "leaves.py": "import sys\nsys.exit(3)\n",
    "empty.py": "x = 1\n",
    "spaceless.py": "def objective(config):\n    return 1.0\n",
    "number.py": "import zeroin as zi\nspace = zi.Space(x=zi.Float(0, 1))\nobjective = 3\n",
    "arity.py": "import zeroin as zi\nspace = zi.Space(x=zi.Float(0, 1))\ndef objective(a, b, c):\n    return 1.0\n",
    "epochless.py": "import zeroin as zi\nspace = zi.Space(x=zi.Float(0, 1))\nmax_epochs = 5\n"
    "def objective(config):\n    return 1.0\n",
    "wordy.py": "import zeroin as zi\nspace = zi.Space(x=zi.Float(0, 1))\nmax_epochs = 'ten'\n"
    "def objective(config, run):\n    return 1.0\n",
    "upside.py": "import zeroin as zi\nspace = zi.Space(x=zi.Float(0, 1))\ngoal = 'max'\n"
    "def objective(config):\n    return 1.0\n",
    "low_high.py": "import zeroin as zi\nspace = zi.Space(x=zi.Float(2, 1))\n",
    "log_zero.py": "import zeroin as zi\nspace = zi.Space(x=zi.Float(0, 1, scale='log'))\n",
    "default.py": "import zeroin as zi\nspace = zi.Space(x=zi.Float(0, 1, default=3))\n",
    "when.py": "import zeroin as zi\nspace = zi.Space(x=zi.Float(0, 1, when={'opt': 'a'}), o=zi.Choice('a', 'b'))\n",
    "fixed.py": "import zeroin as zi\nspace = zi.Space(x=zi.Float(0, 1, fixed=2))\n",
}


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nowhere.py", ("a target file must exist", "nowhere.py", "check the path")),
        ("data/nowhere", ("a data file or folder must exist", "'data/nowhere'", "check the path")),
        ("", ("a target is a ready-made task (", "'' is none of them", "zeroin tune digits")),
        ("digit", ("a target is a ready-made task (", "'digit'", "zeroin tune digits")),
        ("raises.py", ("imports without error", "ZeroDivisionError: division by zero", "run `python ")),
        ("syntax.py", ("imports without error", "SyntaxError", "run `python ")),
        ("missing.py", ("imports without error", "No module named 'no_such_package'", "run `python ")),
        ("leaves.py", ("imports without error", "SystemExit", "run `python ")),
        ("empty.py", ("a file to tune holds a Task, or a function `objective`", "'objective'", "empty.py:name")),
        ("empty.py:x", ("a file to tune holds a Task, or a function", "'x'", ":name")),
        ("empty.py:y", ("a file to tune holds a Task, or a function", "'y'", ":name")),
        ("spaceless.py", ("a function is tuned over a space", "no Space named `space`", "add space = zi.Space(")),
        ("number.py", ("a file to tune holds a Task, or a function", "'objective'", ":name")),
        ("arity.py", ("an objective is f(config) or f(config, run)", "needs 3 arguments", "lambda config")),
        ("epochless.py", ("max_epochs is for an objective f(config, run)", "config alone", "add run")),
        ("wordy.py", ("max_epochs is a whole number from 1", "'ten'", "leave it out")),
        ("upside.py", ("a goal is 'minimize' or 'maximize'", "'max'", "goal='maximize'")),
        ("low_high.py", ("low is below high", "Float(2, 1)", "use Float(1, 2)")),
        ("log_zero.py", ("needs low > 0", "0..1", "zero=True")),
        ("default.py", ("a default lies in its range", "default=3", "use 1")),
        ("when.py", ("`when` names another hyperparameter", "'opt'", "use one of o")),
        ("fixed.py", ("fixed", "fixed=2", "use 1")),
    ],
)
def test_a_target_that_cannot_be_tuned(zeroin, tmp_path, target, words):
    name, _, rest = target.partition(":")
    if name in TARGETS:
        (tmp_path / name).write_text(TARGETS[name])
        target = str(tmp_path / name) + (f":{rest}" if rest else "")
    told(zeroin("tune", target), *words)
    assert files(zeroin.folder) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--epochs", "0"], ("a budget is positive", "epochs=0", "use epochs=100")),
        (["--trials", "-5"], ("a budget is positive", "trials=-5", "use trials=100")),
        (["--minutes", "-1"], ("a budget is positive", "minutes=-1.0", "leave it out")),
        (["--minutes", "nan"], ("a budget is positive", "minutes=nan", "leave it out")),
        (["--confirm", "-1"], ("fresh seeds are counted from 0", "confirm=-1", "confirm=0")),
        (["--max-epochs", "0"], ("max_epochs is a whole number from 1", "max_epochs=0", "leave it out")),
        (["--max-epochs", "9"], ("max_epochs is for an objective f(config, run)", "config alone", "add run")),
        (["--name", "a/b"], ("a study's name has", "'a/b'", "use 'a-b'")),
        (["--name", ""], ("a study's name has", "''", "use 'study'")),
        (["--name", ".."], ("a study's name has", "'..'", "use 'study'")),
        (["--set", "lr"], ("a change is name=value", "'lr'", "--set lr=1e-4..1e-1")),
        (["--fix", "=3"], ("a change is name=value", "'=3'", "--fix units=128")),
        (["--set", "lr=0.1..0.01"], ("low is below high", "0.1, 0.01", "Float(0.01, 0.1")),
        (["--set", "lr=0..1"], ("needs low > 0", "0.0..1.0", "zero=True")),
        (["--set", "lr=a..b"], ("lr is a number", "'a'", "lr=1..10 for a range")),
        (["--set", "lr=nan..1"], ("low is a finite number", "nan", "write the range")),
        (["--set", "lr=0.1"], ("a range is low..high", "lr=(0.1,)", "lr=0.0001..1.0")),
        (["--set", "rate=1..2"], ("the space has lr, units, optimizer, decay", "'rate'", "check the spelling")),
        (["--set", "rate=a,b"], ("the space has lr, units, optimizer, decay", "'rate'", "check the spelling")),
        (["--fix", "rate=1"], ("the space has lr, units, optimizer, decay", "'rate'", "check the spelling")),
        (["--fix", "lr=7"], ("a fixed value is a legal Float, 0.0001..1", "lr=7.0", "use lr=0.5")),
        (["--fix", "optimizer=lion"], ("optimizer is one of", "'lion'", "use '[sgd]'")),
        (["--set", "units=16..100"], ("powers of two", "100", "use 128")),
        (["--set", "units=16.5..64"], ("whole numbers", "low=16.5", "use Float")),
        (["--store", "/dev/null/z.db"], ("can be written", "/dev/null", "--store")),
        (["--store", "."], ("a store is a file", "'.' is a folder", "use 'zeroin.db'")),
    ],
)
def test_a_wrong_option_is_told_and_nothing_is_written(zeroin, plain, options, words):
    told(zeroin("tune", plain, *options), *words)
    assert files(zeroin.folder) == []


@pytest.mark.parametrize("words", [["tune"], ["tune", "digits", "--epochs", "many"], ["frobnicate"], ["tune", "--no"]])
def test_a_wrong_command_shows_how_it_is_used(zeroin, words):
    code, _, err = zeroin(*words)
    assert code == 2
    assert "Usage:" in err
    assert "Traceback" not in err
    assert files(zeroin.folder) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["status"],
            "a store is a file that a study has written; 'zeroin.db' is not there: check store='...' (--store).",
        ),
        (
            ["report"],
            "a store is a file that a study has written; 'zeroin.db' is not there: check store='...' (--store).",
        ),
        (["export", "--csv", "-"], "a store is a file that a study has written"),
        (["export"], "an export goes to a file; none was named: add --csv trials.csv"),
        (["catalogue", "leaning_rate"], "a name is one of the catalogue's; got 'leaning_rate': use "),
    ],
)
def test_reading_what_is_not_there(zeroin, words, sentence):
    told(zeroin(*words), sentence)
    assert files(zeroin.folder) == []


def test_reading_wrongly_what_is_there(zeroin, plain):
    zeroin("tune", plain, "--trials", "2", "--name", "s")
    told(zeroin("status", "t"), "has no 't'")
    told(zeroin("report", "t"), "has s, not 't'")
    told(zeroin("report", "-o", "/dev/null/page.html"), "a report goes to a file that can be written")
    told(zeroin("export", "--csv", "/dev/null/x.csv"), "an export goes to a file that can be written")
    for over in (("export", "--csv", "zeroin.db"), ("report", "-o", "zeroin.db")):
        told(zeroin(*over), "an output does not overwrite a SQLite file; 'zeroin.db' is one")
    told(
        zeroin("export", "--model", "best.pt"), "checkpoints of a Task's trials; none is left", "with this store again"
    )


@pytest.mark.parametrize("verb", [["tune"], ["status"], ["report"], ["export", "--csv", "-"]])
def test_what_is_no_store(zeroin, plain, verb):
    verb = [*verb, plain] if verb == ["tune"] else verb
    (zeroin.folder / "zeroin.db").write_text("a,b\n1,2\n" * 50)
    told(zeroin(*verb), "a store is a SQLite file", "'zeroin.db'", "--store")
    (zeroin.folder / "zeroin.db").unlink()
    with sqlite3.connect("zeroin.db") as db:
        db.execute("CREATE TABLE t (a)")
        db.execute("PRAGMA user_version = 99")
    db.close()
    told(zeroin(*verb), "this one has format 99", "pip install --upgrade zeroin")
    assert files(zeroin.folder) == ["zeroin.db"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--max-epochs", "8"], "a study keeps its max_epochs; 'epochs' in zeroin.db has 4, not 8: use max_epochs=4"),
        (["--seed", "3"], "a study keeps its seed; 'epochs' in zeroin.db has 0, not 3: use seed=0"),
    ],
)
def test_what_a_study_is_cannot_be_changed(zeroin, epochs, options, sentence):
    zeroin("tune", epochs, "--epochs", "12")
    before = read_study(zeroin.folder / "zeroin.db")
    told(zeroin("tune", epochs, "--epochs", "20", *options), sentence)
    epochs.write_text(EPOCHS.replace('"maximize"', '"minimize"'))
    told(zeroin("tune", epochs, "--epochs", "20"), "a study keeps its goal", "use goal='maximize'")
    assert read_study(zeroin.folder / "zeroin.db")[1].trials == before[1].trials


def test_an_objective_that_never_works(zeroin, tmp_path):
    (tmp_path / "bad.py").write_text(
        "import zeroin as zi\nspace = zi.Space(x=zi.Float(0, 1))\ndef objective(config):\n    return config['lr']\n"
    )
    told(zeroin("tune", tmp_path / "bad.py"), "all of the first 5 trials raised KeyError: 'lr'", "fix it")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return None", "this one did neither"),
        ("return 'low'", "a reported loss is a number; got 'low' of type str"),
        ("return [1.0, 2.0]", "a reported loss is a number"),
    ],
)
def test_an_objective_that_returns_no_loss(zeroin, tmp_path, body, sentence):
    (tmp_path / "bad.py").write_text(
        f"import zeroin as zi\nspace = zi.Space(x=zi.Float(0, 1))\ndef objective(config):\n    {body}\n"
    )
    told(zeroin("tune", tmp_path / "bad.py"), sentence)


def test_a_study_where_nothing_worked_says_so(zeroin, tmp_path):
    (tmp_path / "nan.py").write_text(
        "import zeroin as zi\nspace = zi.Space(x=zi.Float(0, 1))\ndef objective(config):\n    return float('nan')\n"
    )
    told(
        zeroin("tune", tmp_path / "nan.py", "--trials", "8"),
        "8 trials, none with a loss (the last diverged: the loss was not finite in epoch 1): fix that",
    )


TASK = """
import numpy as np, torch
from torch import nn
import zeroin as zi
from zeroin.nn import Task
torch.set_num_threads(1)
rng = np.random.default_rng(0)
X, y = rng.normal(size=(65, 4)).astype("float32"), rng.integers(0, 3, 65)
{before}
def build(config):
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
space = zi.Space(lr=zi.Float(1e-4, 1.0, scale="log"), batch_size={batch})
task = Task(build, train=(X, y), valid=(X, y), space=space, max_epochs=2)
{after}
"""


@pytest.mark.parametrize(
    ("before", "batch", "after", "words"),
    [
        ("X[3, 2] = np.nan", "zi.Int(16, 32)", "", ("data are finite numbers", "1 of 260", "fill the gaps")),
        ("y[5] = 3", "zi.Int(16, 32)", "", ("labels under cross_entropy are 0 to", "a label 3", "Linear(..., 4)")),
        ("y[5] = -1", "zi.Int(16, 32)", "", ("labels under cross_entropy are whole numbers from 0", "-1", "np.unique")),
        ("", "zi.Int(1, 32)", "", ("batch normalisation needs two examples", "batch_size=1", "use batch_size=2")),
        ("", "zi.Int(16, 32)", "other = task", ("a file with several tasks needs a name", "task, other", ":task")),
    ],
    ids=["nan", "labels", "negative", "batch of one", "several"],
)  # fmt: skip
def test_a_task_whose_data_or_network_do_not_fit(zeroin, tmp_path, before, batch, after, words):
    (tmp_path / "net.py").write_text(TASK.format(before=before, batch=batch, after=after))
    told(zeroin("tune", tmp_path / "net.py", "--epochs", "4"), *words)
    assert files(zeroin.folder) == []


def test_a_space_set_on_the_command_line_is_checked_with_the_task(zeroin, tmp_path):
    (tmp_path / "net.py").write_text(TASK.format(before="", batch="zi.Int(16, 32, limits=(1, 64))", after=""))
    sentence = ("batch normalisation needs two examples", "batch_size=1")
    told(zeroin("tune", tmp_path / "net.py", "--epochs", "4", "--set", "batch_size=1..8"), *sentence)
    told(zeroin("tune", tmp_path / "net.py", "--epochs", "4", "--fix", "batch_size=1"), *sentence)
    assert files(zeroin.folder) == []


@pytest.mark.parametrize("change", [("--set", "flag=yes,no"), ("--fix", "flag=1")])
def test_what_is_true_or_false_has_no_other_words(zeroin, tmp_path, change):
    (tmp_path / "f.py").write_text(
        "import zeroin as zi\nspace = zi.Space(flag=zi.Choice(True, False))\n"
        "def objective(config): return config['flag']\n"
    )
    told(zeroin("tune", tmp_path / "f.py", *change), "flag is true or false", "neither: write flag=true")
    assert zeroin("tune", tmp_path / "f.py", "--trials", "2", "--fix", "flag=false")[0] == 0


def test_an_objective_without_epochs_is_not_told_of_epochs(zeroin, tmp_path):
    (tmp_path / "f.py").write_text(
        "import zeroin as zi\nspace = zi.Space(x=zi.Float(0, 1))\n"
        "def objective(config):\n    if config['x'] > 0.6: raise ValueError('too large')\n    return config['x']\n"
    )
    code, out, err = zeroin("tune", tmp_path / "f.py", "--trials", "9")
    assert code == 0, err
    assert "epoch" not in out
    assert "in the search: loss " in out
    page = (zeroin.folder / "zeroin.files" / "f" / "report.html").read_text()
    assert "): ValueError: too large" in page  # without its traceback
    assert "Traceback" not in page.partition('<h2 id="happened">')[2].partition("<footer>")[0]


def test_none_is_an_option_that_can_be_held(zeroin, tmp_path):
    (tmp_path / "f.py").write_text(
        "import zeroin as zi\nspace = zi.Space(x=zi.Float(0, 1), norm=zi.Choice('batch', None))\n"
        "def objective(config): return config['x']\n"
    )
    code, _, err = zeroin("tune", tmp_path / "f.py", "--trials", "3", "--fix", "norm=None")
    assert code == 0, err
    assert {trial.config["norm"] for trial in read_study(zeroin.folder / "zeroin.db")[1].trials} == {None}


def test_the_printed_lines_load_a_ready_made_task_whatever_the_study_is_called(zeroin):
    torch = pytest.importorskip("torch")
    short = ["--trials", "1", "--max-epochs", "1", "--confirm", "0", "--no-playbook"]
    assert zeroin("tune", "digits", "--name", "mine", *short)[0] == 0
    lines, names = zeroin("export", "mine", "--model", "best.pt")[1].splitlines()[:3], {}
    assert 'load("digits")' in lines[0]
    exec("\n".join(lines), names)
    assert names["net"](torch.zeros(2, 64)).shape == (2, 10)


@pytest.mark.parametrize("by", ["command", "script", "notebook"])
def test_the_printed_lines_load_the_network_of_a_file_of_any_name_and_of_a_script(zeroin, tmp_path, by):
    torch = pytest.importorskip("torch")
    (zeroin.folder / "runs").mkdir()
    file = zeroin.folder / "runs" / "01-net.py"
    begun = "if __name__ == '__main__':\n    zi.tune(task, trials=1, confirm=0, playbook=False, name='net')\n"
    file.write_text(TASK.format(before="", batch="zi.Int(16, 32)", after="") + begun)
    if by == "command":
        assert zeroin("tune", "runs/01-net.py", "--trials", "1", "--confirm", "0", "--name", "net")[0] == 0
    else:
        start = [sys.executable, "runs/01-net.py"] if by == "script" else [sys.executable, "-c", file.read_text()]
        subprocess.run(start, cwd=zeroin.folder, check=True)
    names = {}
    lines = zeroin("export", "net", "--model", "best.pt")[1]
    if by == "notebook":
        exec(file.read_text().replace("__main__", ""), names)
        assert "task is the Task that was tuned" in lines
    exec(lines, names)
    assert not names["net"].training
    assert torch.equal(names["net"][0].weight, names["saved"]["state_dict"]["0.weight"])


def test_recalibrate_scores_and_keeps_exact_batch_statistics(zeroin, tmp_path, plain):
    torch = pytest.importorskip("torch")
    (tmp_path / "net.py").write_text(TASK.format(before="", batch="zi.Int(16, 32)", after=""))
    status, _, said = zeroin("tune", tmp_path / "net.py", "--trials", "1", "--confirm", "0", "--recalibrate")
    assert status == 0, said
    state = torch.load(next(zeroin.folder.rglob("state.pt")), weights_only=True)["model"]
    x = torch.tensor(np.random.default_rng(0).normal(size=(65, 4)).astype("float32"))
    z = (x - x.mean(0)) / x.std(0, correction=0) @ state["0.weight"].T + state["0.bias"]
    torch.testing.assert_close(state["1.running_mean"], z.mean(0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(state["1.running_var"], z.var(0), atol=1e-5, rtol=1e-4)
    told(zeroin("tune", tmp_path / "net.py", "--trials", "2"), "keeps its recalibrate; 'net'", "has True, not False")
    told(
        zeroin("export", "net", "--model", "/dev/null/b.pt"), "an export goes to a file that can be written; /dev/null"
    )
    told(zeroin("tune", plain, "--recalibrate"), "is for a Task", "plain has a function", "nn.recalibrate")
    told(zeroin("tune", plain, "--compile"), "is for a Task", "plain has a function", "torch.compile(model)")
    told(zeroin("tune", plain, "--device", "cuda"), "is for a Task", "plain has a function", "model.to(device)")
    told(zeroin("tune", "digits", "--device", "cuda:99"), "a device is one that PyTorch has here", "'cuda:99'")


def test_the_installed_command_ends_with_the_status(tmp_path):
    """What the tests above call in this process, once as a person would."""
    command = [sys.executable, "-c", "from zeroin.cli import main; main()", "tune", "no.py"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "zeroin: a target file must exist; 'no.py' does not: check the path.\n"
    assert list(tmp_path.iterdir()) == []
