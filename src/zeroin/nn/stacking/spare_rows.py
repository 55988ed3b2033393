"""How many spare rows a stack needs, so that the results of a row do not depend on its position.

Kernels process a tensor one vector register at a time, and the last few numbers, which do not fill one, individually;
for some functions (sigmoid, gelu, a power) the individual formula rounds differently. In a stack [M, ...] the last few
numbers belong to the last row. So spare rows at the end take them instead. How many are enough depends on how many
numbers of a row such a function gets. Where the rows are side by side in memory, as channels of images are, the last
few numbers of each pixel may belong to several rows. The same holds for sums of columns there.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from zeroin.nn.recording.lifetimes import COLUMNS
from zeroin.nn.stacking.convolutions import Convolution

ROWS = (11, 13, 17)  # of the stack that is watched: hardly any other axis has such a length
LAST_BYTES = 128  # two vector registers: the last few numbers are at most what fills them, less one
VECTORS = 64  # numbers in four vectors
# Operations that round every element alike, in vector registers and individually (a test tries the elementwise ones),
# and operations that compute each row separately.
ALIKE = frozenset({
    "add", "sub", "rsub", "mul", "div", "neg", "abs", "sign", "relu", "leaky_relu", "leaky_relu_backward", "clamp",
    "clamp_min", "clamp_max", "maximum", "minimum", "threshold", "threshold_backward", "hardtanh",
    "hardtanh_backward", "where", "masked_fill", "sqrt", "rsqrt", "reciprocal", "square", "addcmul", "addcdiv",
    "lerp", "mse_loss", "mse_loss_backward", "huber_loss", "huber_loss_backward", "smooth_l1_loss",
    "smooth_l1_loss_backward", "fmod", "remainder", "floor", "ceil", "round", "sum", "mean", "amax", "amin", "max",
    "min", "argmax", "argmin", "any", "all", "var", "var_mean", "std", "prod", "cumsum", "sort", "topk", "mm",
    "bmm", "addmm", "addbmm", "baddbmm", "dot", "mv", "convolution", "convolution_backward", "native_batch_norm",
    "native_batch_norm_backward", "_native_batch_norm_legit", "max_pool2d_with_indices",
    "max_pool2d_with_indices_backward", "avg_pool2d", "avg_pool2d_backward", "max_pool3d_with_indices",
    "max_pool3d_with_indices_backward", "avg_pool3d", "avg_pool3d_backward", "_adaptive_avg_pool3d",
    "_adaptive_avg_pool3d_backward", "upsample_nearest2d", "upsample_nearest2d_backward", "embedding",
    "embedding_dense_backward", "index", "index_select", "index_put", "index_add", "gather", "scatter",
    "scatter_add", "select_backward", "slice_backward", "select_scatter", "slice_scatter", "cat", "stack", "copy",
    "clone", "detach", "fill", "fill_diagonal", "zero", "zeros", "ones", "full", "scalar_tensor", "arange", "empty",
    "new_empty", "new_zeros", "new_ones", "new_full", "empty_like", "zeros_like", "ones_like", "full_like",
    "constant_pad_nd", "reflection_pad2d", "replication_pad2d", "repeat", "flip", "roll", "tril", "triu",
    "lift_fresh", "_to_copy", "native_dropout_backward", "_unsafe_view", "_reshape_alias", "resize", "set_",
    "floor_divide", "new_empty_strided", "rot90", "_prelu_kernel", "_prelu_kernel_backward",
})  # fmt: skip


# PyTorch computes the gradients of these by another formula while operations are watched; a recording would keep that.
WATCHED_OTHERWISE = ("prod", "cumprod", "linalg_", "_linalg_")


class SpareRows:
    """Watches a step to find out how many spare rows it needs.

    Args:
        rows: of the stack that is watched, one of `ROWS`.

    Attributes:
        spare: how many rows are needed beyond a stack's networks.
        convolutions: those of the step.
        bytes: the size of all results.
        replays: whether the step computes the same while it is watched, as far as its operations tell.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.spare = 0
        self.replays = True
        self.convolutions: set[Convolution] = set()
        self.bytes = 0

    def see(self, func: Any, args: Sequence[Any], out: Any) -> None:
        """Look at an operation and its result.

        Raises:
            RuntimeError: it computes with complex numbers, whose kernels were not examined.
        """
        found = [value for value in tree_leaves(out) if isinstance(value, Tensor)]
        if any(value.is_complex() for value in found):
            raise RuntimeError("it computes with complex numbers")
        if func.overloadpacket.__name__.startswith(WATCHED_OTHERWISE):
            self.replays = False
        if func is torch.ops.aten.convolution.default:
            self.convolutions.add(Convolution.of(args, self.rows))
        if func in COLUMNS and not _sums_vectors(args[0], args[1]):
            self._see_mixed([args[0]], VECTORS - 1, is_flat=False)
        is_view = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        self.bytes += 0 if is_view else sum(value.nbytes for value in found)
        if is_view or func.overloadpacket.__name__.rstrip("_") in ALIKE or func.overloadpacket.__name__ in ALIKE:
            return
        is_flat = torch.Tag.pointwise in func.tags
        floating = [value for value in found if value.is_floating_point() and value.numel()]
        for value in floating:
            if self._run(value) is None:
                # What does not go element by element may take a function of a sum over the last axis.
                count = value.numel() // (1 if is_flat else value.shape[-1])
                if count % self.rows == 0 and count // self.rows % VECTORS:
                    self._spare(count // self.rows, LAST_BYTES // value.itemsize - 1)
        taken = [value for value in tree_leaves(args) if isinstance(value, Tensor) and value.dim()]
        if floating:
            self._see_mixed([*taken, *floating], LAST_BYTES // 4 - 1, is_flat)

    def _see_mixed(self, values: Sequence[Tensor], last_few: int, is_flat: bool) -> None:
        """Look at tensors in which the rows are interleaved in memory, as the channels of images are.

        `is_flat`: the operation processes them in memory order, if they are of equal size.
        """
        is_flat = is_flat and len({value.numel() for value in values}) == 1 and all(map(_is_dense, values))
        for value in values:
            run = self._run(value)
            if run and run % VECTORS and not (is_flat and value.numel() % (self.rows * VECTORS) == 0):
                self._spare(run, last_few)

    def _run(self, value: Tensor) -> int | None:
        """How many numbers of a row are adjacent in memory, at least; None: all of them; 0: there are no rows."""
        axes = [(size, step) for size, step in zip(value.shape, value.stride(), strict=True) if size > 1 and step]
        if axes and axes[0] == (self.rows, max(step for _, step in axes)):
            return None
        return min((step * size // self.rows for size, step in axes if size % self.rows == 0), default=0)

    def _spare(self, run: int, last_few: int) -> None:
        """Note that rows have `run` adjacent numbers, and that the `last_few` numbers are computed differently."""
        self.spare = max(self.spare, math.ceil(last_few / run))


def _sums_vectors(x: Tensor, axes: Sequence[int] | None) -> bool:
    """Whether a reduction includes the innermost axis in memory."""
    inner = min((step, i) for i, (step, size) in enumerate(zip(x.stride(), x.shape, strict=True)) if size > 1 or i == 0)
    return inner[1] in {axis % x.dim() for axis in axes or range(x.dim())}


def _is_dense(x: Tensor) -> bool:
    return bool(torch.ops.aten.is_non_overlapping_and_dense(x))
