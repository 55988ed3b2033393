"""Going through a graph, be it of a network's calls, of torch.fx or of autograd."""

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

N = TypeVar("N", bound=Hashable)


def reached(start: Iterable[N], onward: Callable[[N], Iterable[N]]) -> list[N]:
    """All nodes that can be reached from some, which come first, each once; the nearest before the others.

    >>> reached([3], lambda n: [n - 1, n - 2] if n > 1 else [])
    [3, 2, 1, 0]
    """
    found = list(start)
    seen = set(found)
    for node in found:  # which grows meanwhile
        new = [other for other in dict.fromkeys(onward(node)) if other not in seen]
        found += new
        seen.update(new)
    return found
