"""What a way of tuning took, told as lines of JSON; the time in which its networks are tested does not count."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Account:
    """Wall and CPU seconds from its making on.

    Args:
        file: that lines are appended to.
        cpu: seconds of CPU so far.
    """

    def __init__(self, file: Path, cpu: Callable[[], float] = time.process_time) -> None:
        self._file, self._cpu = file, cpu
        self._wall_from, self._cpu_from = time.perf_counter(), cpu()

    def now(self) -> dict[str, Any]:
        """The seconds until now."""
        return {"wall": time.perf_counter() - self._wall_from, "cpu": self._cpu() - self._cpu_from}

    def write(self, told: dict[str, Any]) -> None:
        """Append a line."""
        with self._file.open("a") as file:
            file.write(json.dumps(told) + "\n")

    @contextmanager
    def line(self) -> Iterator[dict[str, Any]]:
        """A line to fill, with the seconds until now; what is done until it is written does not count."""
        wall, cpu = time.perf_counter(), self._cpu()
        told: dict[str, Any] = {"wall": wall - self._wall_from, "cpu": cpu - self._cpu_from}
        yield told
        self.write(told)
        self._wall_from += time.perf_counter() - wall
        self._cpu_from += self._cpu() - cpu
