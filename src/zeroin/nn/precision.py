"""Double precision where a device has none."""

from torch import Tensor


def exact(x: Tensor) -> Tensor:
    """Numbers in double precision; Apple's GPUs know none, so those of theirs go to the CPU."""
    return (x.cpu() if x.device.type == "mps" else x).double()
