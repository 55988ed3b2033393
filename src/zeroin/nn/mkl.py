"""Turns on MKL's reproducible mode, in which a matrix product does not depend on where the matrices lie in memory.

By default MKL picks a kernel by the address of a matrix, and its kernels add in different orders. Of 13,000 batched
products of random shapes, 7 % had members whose result depended on their position in the batch. In the reproducible
mode none had, at no measurable cost. MKL reads the variable at its first product: a program that multiplies matrices
with torch before it imports `zeroin.nn` has to set the variable itself.
"""

import os

# Intel oneMKL developer guide, "Reproducibility Conditions"; AUTO is the one mode for processors of any maker.
os.environ.setdefault("MKL_CBWR", "AUTO")
