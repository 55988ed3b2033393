"""Functions that replace PyTorch's in the step of a stack, whether a layer or the user's own code calls them."""

import math
import types as types_of
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zeroin.nn.stacking.convolutions import adaptive_avg_pool2d, conv2d, max_pool2d
from zeroin.nn.stacking.linear import linear


def attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """`F.scaled_dot_product_attention` by its formula; PyTorch's kernels for it know no stacks."""
    by_formula = torch.ops.aten._scaled_dot_product_attention_math.default
    if attn_mask is not None and attn_mask.dtype == torch.bool:  # it would add 1 where there is attention
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype).masked_fill_(~attn_mask, -math.inf)
    out: Tensor = by_formula(
        query, key, value, attn_mask, dropout_p, is_causal, None, scale=scale, enable_gqa=enable_gqa
    )[0]
    return out


def heads(*args: Any, **kwargs: Any) -> Any:
    """`F.multi_head_attention_forward`, what it calls being ours as well; left to itself it hides that from a mode."""
    with Stacking():
        return _UNHIDDEN(*args, **kwargs)


def projected(q: Tensor, k: Tensor, v: Tensor, weight: Tensor, bias: Tensor | None = None) -> Sequence[Tensor]:
    """Queries, keys and values of self-attention as parts of one product; their gradients are joined in one pass."""
    if q is k and k is v:
        return torch.chunk(linear(q, weight, bias), 3, -1)
    return _whole.__globals__["_in_projection_packed"](q, k, v, weight, bias)  # type: ignore[no-any-return]


_whole: Any = F.multi_head_attention_forward
_UNHIDDEN = types_of.FunctionType(
    _whole.__code__,
    vars(F) | {"has_torch_function": lambda _: False, "_in_projection_packed": projected},
    _whole.__name__,
    _whole.__defaults__,
)

DEVICES = ("cpu", "cuda", "mps")
OURS: Mapping[Any, Callable[..., Any]] = {
    F.linear: linear,
    torch.conv2d: conv2d,
    F.max_pool2d: max_pool2d,
    F.adaptive_avg_pool2d: adaptive_avg_pool2d,
    F.scaled_dot_product_attention: attention,
    F.multi_head_attention_forward: heads,
}


class Stacking(TorchFunctionMode):
    """Within, those functions are ours; others that cannot do with what ours return are given it contiguous.

    Such are `view`, and group norm under vmap, of images whose channels are last.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in OURS and not any(map(torch.is_autocast_enabled, DEVICES)):
            if "input" in kwargs:
                args, kwargs = (kwargs["input"],), {n: v for n, v in kwargs.items() if n != "input"}
            return OURS[func](*args, **kwargs)
        try:
            return func(*args, **kwargs)
        except RuntimeError:
            plain = tuple(a.contiguous() if isinstance(a, Tensor) else a for a in args)
            is_in_place = getattr(func, "__name__", "_").endswith("_")
            if is_in_place or all(a is b for a, b in zip(plain, args, strict=True)):
                raise
            return func(*plain, **kwargs)
