"""Double precision on any device."""

from torch import Tensor


def exact(x: Tensor) -> Tensor:
    """A tensor in double precision; on the CPU if it comes from a device that may have none, as Apple's GPUs."""
    return (x if x.device.type in ("cpu", "cuda") else x.cpu()).double()
