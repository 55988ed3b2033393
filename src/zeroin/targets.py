"""What `zeroin tune TARGET` can name: a ready-made task, data, or a file with a Task, or an objective and its space."""

import difflib
import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from zeroin.data import install
from zeroin.data.names import DATA, remedy, suffix
from zeroin.errors import TaskError, ZeroinError
from zeroin.protocols import Trainable
from zeroin.space import Space
from zeroin.store import fitting
from zeroin.tasks import TASKS, load

INSTEAD = {  # by option of a task: what a user's function has to do itself
    "recalibrate": "zeroin.nn.recalibrate(model, x_train) in it before it evaluates",
    "compile": "torch.compile(model) in it",
    "device": "model.to(device) in it",
}


@dataclass(frozen=True, slots=True)
class Target:
    """Something to tune: a Task, or an objective with what its file says about it."""

    name: str
    objective: Any
    space: Space | None = None
    max_epochs: int | None = None
    goal: str | None = None


def find(target: str, data: Mapping[str, Any] | None = None) -> Target:
    """The target that a word on the command line names.

    Args:
        target: the word.
        data: options about data, as `zeroin.data.own.task_of` takes them; options that were not given are None or ().

    Raises:
        TaskError: it is neither a ready-made task, nor data, nor a file with a Task or an objective.
    """
    asked = {name: value for name, value in (data or {}).items() if value}
    if target and target not in TASKS and (suffix(Path(target)) in DATA or Path(target).is_dir()):
        return _from_data(target, asked)
    if target not in TASKS and Path(target).is_file() and not target.endswith(".py"):
        raise TaskError(
            f"a file to tune holds data ({', '.join(DATA)}) or code (.py); {target!r} does neither: "
            f"{remedy(Path(target))}."
        )
    if asked:
        options = f"--{', --'.join(asked)}".replace("_", "-")
        raise TaskError(f"{options}: about data of your own alone; {target!r} is none: leave out, or name a table.")
    if target in TASKS:
        return Target(target, load(target))
    path, _, name = target.partition(":") if ".py:" in target else (target, "", "")
    if not path.endswith(".py"):
        if os.sep in target and not Path(target).exists():
            raise TaskError(f"a data file or folder must exist; {target!r} does not: check the path.")
        near = difflib.get_close_matches(target.lower(), TASKS, n=1) or [next(iter(TASKS))]
        raise TaskError(
            f"a target is a ready-made task ({', '.join(TASKS)}), a table ({', '.join(DATA)}), a folder of images or "
            f"path/to/file.py[:name]; {target!r} is none of them: use `zeroin tune {near[0]}`."
        )
    module = _module(Path(path))
    return _from_task(module, path, name) or _from_function(module, path, name)


def changed(target: Target, option: str, value: bool | str) -> Target:
    """The target with an option of its task changed.

    Args:
        target: to be changed.
        option: a field of `Task`, one of `INSTEAD`.
        value: its new value.

    Raises:
        TaskError: the target is a function, which has no such option.
    """
    if not hasattr(target.objective, option):
        raise TaskError(f"--{option} is for a Task; {target.name} has a function: call {INSTEAD[option]}.")
    return replace(target, objective=replace(target.objective, **{option: value}))


def _from_data(target: str, asked: Mapping[str, Any]) -> Target:
    try:
        from zeroin.data import own  # optional dependency
    except ImportError as error:
        raise TaskError(
            f"data of your own are read with pandas, pyarrow, Pillow and scikit-learn and trained on with PyTorch; "
            f"{error.name or error} is not installed: run {install.line(*install.OWN)}"
        ) from error
    task = own.task_of(target, **asked)
    return Target(task.name, task)


def _from_task(module: ModuleType, path: str, name: str) -> Target | None:
    found = {k: v for k, v in vars(module).items() if isinstance(v, Trainable) and not isinstance(v, type)}
    if name:
        found = {k: v for k, v in found.items() if k == name}
    if len(found) > 1:
        raise TaskError(
            f"a file with several tasks needs a name; {path} has {', '.join(found)}: use {path}:{next(iter(found))}."
        )
    for key, task in found.items():
        return Target(fitting(f"{Path(path).stem}-{key}" if key != "task" else Path(path).stem), task)
    return None


def _from_function(module: ModuleType, path: str, name: str) -> Target:
    name = name or "objective"
    objective, space = getattr(module, name, None), getattr(module, "space", None)
    if not callable(objective):
        raise TaskError(
            f"a file to tune holds a Task, or a function `objective` with a Space named `space`; {path} has no task or "
            f"function {name!r}: name yours as {path}:name."
        )
    if not isinstance(space, Space):
        raise TaskError(
            f"a function is tuned over a space; {path} has no Space named `space`: "
            f"add space = zi.Space(lr=zi.Float(1e-5, 1.0, scale='log'))."
        )
    stem = Path(path).stem if name == "objective" else f"{Path(path).stem}-{name}"
    return Target(fitting(stem), objective, space, getattr(module, "max_epochs", None), getattr(module, "goal", None))


def _module(path: Path) -> ModuleType:
    if not path.is_file():
        raise TaskError(f"a target file must exist; {str(path)!r} does not: check the path.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))  # as `python path/to/file.py` would
    sys.modules[path.stem] = module  # so that what it defines can be pickled to workers
    try:
        # Not by its loader: Python's cache misses a change within the second in which the file was written.
        exec(compile(path.read_bytes(), str(module.__file__), "exec", dont_inherit=True), module.__dict__)
    except (ZeroinError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit too
        missing = isinstance(error, ModuleNotFoundError) and error.name == "torch"
        remedy = f"run {install.line('torch')}" if missing else f"run `python {path}` to see where."
        raise TaskError(
            f"a target file imports without error; {path} raised {type(error).__name__}: {error}: {remedy}"
        ) from error
    return module
