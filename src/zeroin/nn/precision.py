"""Double precision on any device."""

import torch
from torch import Tensor


def exact(x: Tensor) -> Tensor:
    """A tensor in double precision; on the CPU if it comes from a device that may have none, as Apple's GPUs."""
    x = x if x.device.type in ("cpu", "cuda") else x.cpu()
    return x.to(torch.complex128) if x.is_complex() else x.double()
