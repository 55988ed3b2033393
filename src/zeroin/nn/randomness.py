"""The global random generators of PyTorch, NumPy and Python, from which networks and data sets draw, under control."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def seeded(seed: int, device: str = "") -> Iterator[None]:
    """Seed the generators of PyTorch, NumPy and Python, and restore their states afterwards."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  # the user's code draws from it
    with torch.random.fork_rng(devices=[]):
        # For all devices `manual_seed` formats the stack three times: a tenth of a short epoch.
        if device == "cpu" or not torch.accelerator.is_available():
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % (1 << 32))  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def generator_states() -> tuple[Any, ...]:
    """The states of the generators of Python, NumPy and PyTorch."""
    numpy: Any = np.random.get_state()  # noqa: NPY002
    there = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    torchs = [state.numpy().tobytes() for state in (torch.get_rng_state(), *there)]
    return random.getstate(), numpy[1].tobytes(), numpy[2], torchs
