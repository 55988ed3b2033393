"""Which of the machine's GPUs a worker sees: one of its own where there are enough, else its share of them."""

import os
import sys

VISIBLE = "CUDA_VISIBLE_DEVICES"  # CUDA and ROCm read it when a process first asks for a GPU


def visible() -> list[str]:
    """The GPUs that this process sees, as `VISIBLE` names them; where PyTorch is not imported, only those it names."""
    named = [name for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    torch = sys.modules.get("torch")  # not imported here: it is an optional dependency, and takes a second
    if torch is None:  # JAX or TensorFlow, which take all memory of all GPUs when they count them
        return named
    count = torch.cuda.device_count()
    return named[:count] if named else [str(number) for number in range(count)]


def share(number: int, workers: int) -> dict[str, str]:
    """The environment of worker `number` of several, such that the GPUs are shared out; empty where none are.

    >>> share(0, 1)
    {}
    """
    seen = visible()
    if workers == 1 or len(seen) < 2:
        return {}
    return {VISIBLE: ",".join(seen[number % len(seen) :: workers])}
