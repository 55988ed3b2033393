"""Double precision on any device."""

from torch import Tensor


def exact(x: Tensor) -> Tensor:
    """A tensor in double precision; on the CPU if it comes from an Apple GPU, which has no double precision."""
    return (x.cpu() if x.device.type == "mps" else x).double()
