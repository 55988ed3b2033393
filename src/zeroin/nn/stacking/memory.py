"""How many rows of a stack fit into the available memory."""

import importlib
import math
from contextlib import suppress
from pathlib import Path

import torch

from zeroin.nn.stacking.layout import Layout

# Of the parameters: they, their gradients and the optimizer's state where the stack lies, where it trains and where it
# is recorded. Measured: 8 to 9, in stacks of 8 of networks of 0.2 and 3 million parameters.
COPIES = 10
SHARE = 0.5  # of what is at hand; other processes of the study may want as much
GROUP = Path("/sys/fs/cgroup")  # of a container
FREE = Path("/proc/meminfo")
OWN = Path("/proc/self/statm")


def room(layout: Layout, device: str) -> int:
    """How many rows of a layout fit, beside those that are running already; very many if that is not known."""
    held = sum(shape.numel() for shape in layout.shapes.values())
    return int(min(SHARE * at_hand(device) / (layout.bytes + COPIES * 4 * held), 1e6))


def at_hand(device: str) -> float:
    """How many bytes this process may still allocate, as far as the system says; else infinite."""
    kind = torch.device(device).type
    if kind == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    if kind == "mps":
        return float(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    found = [math.inf]
    with suppress(OSError, ValueError, StopIteration):
        line = next(one for one in FREE.read_text().splitlines() if one.startswith("MemAvailable:"))
        found.append(1024.0 * int(line.split()[1]))
    with suppress(OSError, ValueError):  # "max" is no number
        found.append(_in_a_container())
    with suppress(ImportError, OSError, ValueError):
        found.append(_limited())
    return max(0.0, min(found))


def _in_a_container() -> float:
    """Bytes below a container's limit; copies of files that the system keeps make room when it is needed.

    Raises:
        OSError, ValueError: there is no container, or no limit.
    """
    limit, used = (int((GROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
    held = dict(line.split() for line in (GROUP / "memory.stat").read_text().splitlines())
    return float(limit - used + sum(int(held.get(name, 0)) for name in ("active_file", "inactive_file")))


def _limited() -> float:
    """Bytes below the limit that a shell's `ulimit -v` sets.

    Raises:
        ImportError: the system knows no such limits.
    """
    resource = importlib.import_module("resource")
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = int(OWN.read_text().split()[0]) * resource.getpagesize()
    return math.inf if limit == resource.RLIM_INFINITY else float(limit - used)
