"""Exporting the best network of a trial to a single file, which can be loaded with PyTorch alone."""

from pathlib import Path
from typing import Any

import torch

from zeroin.atomic import atomic_write
from zeroin.errors import TaskError
from zeroin.nn.preparation_file import read_preparation
from zeroin.nn.state import STATE
from zeroin.nn.task import Task
from zeroin.types import Config


def export(task: Task | str, folder: str | Path, config: Config, target: str | Path, source: str | None = None) -> str:
    """Write the weights of a trial's best epoch, with its config and the preparation of inputs, to one file.

    Args:
        task: the task, or its name.
        folder: the trial's checkpoint folder.
        config: of the trial.
        target: the file to write; an existing one is replaced.
        source: a line of Python that defines `task`, such as "from own_network import task".

    Returns:
        Three lines of Python that load the file, or the command that predicts with it.

    Raises:
        TaskError: the folder holds no network, or one of another config.

    >>> print(export("digits", folder, config, "best.pt"))  # doctest: +SKIP
    """
    folder, target = Path(folder), Path(target)
    saved = newest(folder)
    if saved["config"] != dict(config):
        raise TaskError(
            f"a trial's folder holds the network of its own config; {folder} has {saved['config']}, "
            f"asked was {dict(config)}: give the folder of that trial."
        )
    name = task if isinstance(task, str) else task.name
    best, norm, preparation = saved["best"], saved["normalisation"], read_preparation(folder.parent)
    what = {"format": 1, "task": name, "config": dict(config), "state_dict": best["weights"], **(norm or {})}
    what |= {"epoch": best["epoch"], "metric": saved["metric"], "seed": saved.get("seed", 0)}
    what |= {"preparation": preparation} if preparation else {}
    with atomic_write(target) as file:  # torch opens a file with errors of its own
        torch.save(what, file)
    if preparation:
        return f"zeroin predict {target} NEW-DATA"
    return loading(target, source or f'from zeroin.tasks import load; task = load("{name}")', norm is not None)


def loading(target: Path, source: str, normalised: bool) -> str:
    """Lines of Python that load an exported file; `source` defines `task`."""
    inputs = '((x - saved["mean"]) / saved["scale"]).float()' if normalised else "x"
    return (
        f"import torch; {source}\n"
        f'saved = torch.load("{target.as_posix()}", weights_only=True)\n'
        f'net = task.network(saved["config"], saved["seed"]); net.load_state_dict(saved["state_dict"]); net.eval()'
        f"  # net({inputs})"
    )


def newest(folder: Path) -> dict[str, Any]:
    """The newest checkpoint in a trial's folder.

    Raises:
        TaskError: there is none.
    """
    states = sorted(folder.glob(f"epoch-*/{STATE}"), key=lambda p: int(p.parent.name.removeprefix("epoch-")))
    if not states:
        raise TaskError(
            f"export reads what a trained trial of a Task saved; {folder} holds no such network: give the folder of "
            f"one that does, or load yourself what a function of yours saved to run.checkpoint, below {folder}."
        )
    loaded: dict[str, Any] = torch.load(states[-1], map_location="cpu", weights_only=True)
    return loaded
