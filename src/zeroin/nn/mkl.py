"""Products of matrices that round alike wherever the matrices lie in memory.

MKL picks a kernel by the address of a matrix, and its kernels add in different orders: of 13,000 batches of products
of random shapes, 7 % had members that felt their place in the batch. Its reproducible mode made all of them equal, at
no cost beyond the noise. MKL reads the variable at its first product: a program that multiplies with torch before it
imports `zeroin.nn` has to set the variable itself.
"""

import os

# Intel oneMKL developer guide, "Reproducibility Conditions"; AUTO is the one mode for processors of any maker.
os.environ.setdefault("MKL_CBWR", "AUTO")
