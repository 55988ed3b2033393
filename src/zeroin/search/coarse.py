"""Quasi-random points for the coarse round: they fill the unit cube evenly, and each is a function of its index."""

from functools import lru_cache

import numpy as np

from zeroin.rng import generator
from zeroin.space.scales import Array

_PRIMES = (
    *(2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107),
    *(109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173, 179, 181, 191, 193, 197, 199, 211, 223, 227, 229),
)
BLOCK = 256  # points computed at once


def points(first: int, count: int, dimensions: int, seed: int) -> Array:
    """Points `first` .. `first + count - 1` of a randomly permuted Halton sequence, shape [count, D].

    Each coordinate alone is uniform on (0, 1), and consecutive points fill the cube more evenly than random ones.
    Coordinates beyond the 50th are random.

    Source: A. B. Owen, "A randomized Halton algorithm in R", arXiv 1706.02808, section 3: every digit of the
    radical inverse gets a permutation of its own.

    >>> points(0, 4, 2, seed=0).shape
    (4, 2)
    """
    blocks = range(first // BLOCK, max(first, first + count - 1) // BLOCK + 1)
    found = [_block(number, dimensions, seed) for number in blocks]
    together = found[0] if len(found) == 1 else np.vstack(found)
    return np.asarray(together[first - BLOCK * blocks[0] :][:count])


@lru_cache(maxsize=4)
def _block(number: int, dimensions: int, seed: int) -> Array:
    index = np.arange(BLOCK * number, BLOCK * (number + 1))
    columns = []
    for d in range(dimensions):
        if d >= len(_PRIMES):
            columns.append(np.array([generator(seed, "halton", d, int(i)).random() for i in index]))
            continue
        columns.append(_radical_inverse(index, _PRIMES[d], seed, d))
    return np.stack(columns, axis=1)


def _radical_inverse(index: np.ndarray, base: int, seed: int, dimension: int) -> Array:
    rng = generator(seed, "halton", dimension)
    value, weight, left = np.zeros(len(index)), 1.0 / base, index.copy()
    while weight > 1e-12:  # digits beyond do not matter
        permutation = rng.permutation(base)
        value += permutation[left % base] * weight
        left, weight = left // base, weight / base
    return np.clip(value + 0.5 * weight, 1e-9, 1.0 - 1e-9)
