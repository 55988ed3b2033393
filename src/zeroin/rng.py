"""Randomness is an argument: every stream is a function of the study's seed and of what it is for."""

import hashlib

import numpy as np


def seed_of(*parts: int | str) -> int:
    """A seed in 0 .. 2^31 - 1 that depends on all the parts and on nothing else, such as the type of a whole number.

    >>> seed_of(0, "trial", 7) == seed_of(np.int64(0), "trial", 7) != seed_of(0, "trial", 8)
    True
    """
    plain = tuple(part if isinstance(part, str) else int(part) for part in parts)
    digest = hashlib.blake2b(repr(plain).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") & 0x7FFFFFFF


def generator(*parts: int | str) -> np.random.Generator:
    """A numpy generator whose stream depends on all the parts and on nothing else."""
    return np.random.Generator(np.random.PCG64(seed_of(*parts)))
