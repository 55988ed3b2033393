"""Ready-made real tasks, listed without importing what trains them."""

import difflib
import importlib
from dataclasses import dataclass

from zeroin.errors import TaskError
from zeroin.protocols import Trainable

INSTALL = 'pip install "zeroin[nn]"'


@dataclass(frozen=True, slots=True)
class Ready:
    """A ready-made task, as a list shows it.

    Args:
        name, field: what it is called; vision, text, tables or sequences.
        size: the data in words.
        metric: what is tuned.
        seconds: one full training on one thread of a current CPU.
        expected: the test score that a tuned config reaches.
        module: where the function of its name makes it.
    """

    name: str
    field: str
    size: str
    metric: str
    seconds: float
    expected: float
    module: str

    def make(self) -> Trainable:
        """The task with its data.

        Raises:
            TaskError: PyTorch, or the package its data come with, is not installed.
        """
        return load(self.name)


TASKS: dict[str, Ready] = {
    ready.name: ready
    for ready in (
        Ready("digits", "vision", "1,797 images 8x8, 10 classes", "accuracy", 1.0, 0.98, "zeroin.tasks.vision"),
    )
}


def load(name: str) -> Trainable:
    """A ready-made task by name.

    The one place where a module is imported by its name: the list above must be shown, and other tasks used, where
    PyTorch or the data of this one are not installed.

    Raises:
        TaskError: there is none of that name, or something it needs is not installed.

    >>> load("digits").max_epochs
    20
    """
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=1) or list(TASKS)
        raise TaskError(f"a ready-made task is one of {', '.join(TASKS)}; got {name!r}: use {near[0]!r}.")
    try:
        module = importlib.import_module(TASKS[name].module)
    except ImportError as error:
        raise TaskError(
            f"the task {name!r} needs PyTorch and the package of its data; {error.name or error} is not installed: "
            f"run {INSTALL}"
        ) from error
    task: Trainable = getattr(module, name)()
    return task
