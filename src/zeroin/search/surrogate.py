"""The surrogate: a Gaussian process with a Matérn-5/2 kernel, its hyperparameters fitted by maximum a posteriori.

Rows are observations, columns are features. Columns of one group, such as those of a choice, share a length scale.
Targets are standardised internally. Everything is float64, and jitter grows as far as needed, so a fit never fails.

Source: Rasmussen & Williams, "Gaussian Processes for Machine Learning", 2006: equations 2.25, 2.26 (prediction),
5.8, 5.9 (marginal likelihood and its gradient), 5.12 (leave-one-out); Ament et al., "Unexpected Improvements to
Expected Improvement", NeurIPS 2023 (log EI).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np
from scipy.linalg import lapack
from scipy.special import erfcx, ndtr
from threadpoolctl import ThreadpoolController

from zeroin.space.scales import Array

SQRT5 = 5.0**0.5
NOISE_PRIOR = (float(np.log(1e-3)), 1.5)  # mean and sd of log noise variance, targets standardised
SIGNAL_PRIOR = (0.0, 1.0)  # of log signal variance
LENGTH_SD = 0.8  # sd of the log length scales around their prior mean
JITTER = 1e-8
ENOUGH = 1e-5  # a fit ends once a step gains no larger part of its log posterior
BLOCK = 128  # points predicted at once

_POOLS = ThreadpoolController()  # of numpy's and scipy's BLAS
np.empty(1 << 20)  # once a block of 8 MB was freed, glibc keeps freed ones, whose pages it would map anew each time
P = ParamSpec("P")
R = TypeVar("R")


def one_blas_thread(function: Callable[P, R]) -> Callable[P, R]:
    """A decorator that limits BLAS to one thread; for all functions that use the surrogate.

    The matrices are small: with a second thread a fit takes ten times as long, and its last digits change.
    """

    @wraps(function)
    def alone(*args: P.args, **more: P.kwargs) -> R:
        with _POOLS.limit(limits=1):
            return function(*args, **more)

    return alone


@dataclass(frozen=True, slots=True)
class Prior:
    """Groups of columns and the prior mean of each group's log length scale.

    `groups[j]` is the group of column j; `lengths[g]` the mean for group g.
    """

    groups: np.ndarray
    lengths: Array

    @property
    def mean(self) -> Array:
        """Prior means of all hyperparameters: log lengths, log noise, log signal."""
        return np.concatenate([self.lengths, [NOISE_PRIOR[0], SIGNAL_PRIOR[0]]])

    @property
    def sd(self) -> Array:
        """Prior standard deviations, in the same order."""
        return np.concatenate([np.full(len(self.lengths), LENGTH_SD), [NOISE_PRIOR[1], SIGNAL_PRIOR[1]]])

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """The bounds of the optimisation, in the same order."""
        return [(-3.5, 4.0)] * len(self.lengths) + [(float(np.log(1e-6)), 0.0), (-2.5, 2.5)]


@dataclass(frozen=True, slots=True)
class Posterior:
    """A Gaussian process given rows; predictions are in units of the targets.

    Args:
        rows: features divided by their length scales [n, F].
        factor: the lower Cholesky factor of the kernel matrix K [n, n].
        weights: K^-1 y [n].
        targets: standardised [n].
        inverse_lengths: of each column [F].
        signal: variance.
        mean, scale: by which the targets were standardised.
    """

    rows: Array
    factor: Array
    weights: Array
    targets: Array
    inverse_lengths: Array
    signal: float
    mean: float
    scale: float

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Posterior mean and sd at points [m, F], without the noise (eq. 2.25, 2.26)."""
        mean, explained = np.empty((2, len(points)))
        for at, k in self._blocks(points):
            mean[at] = k @ self.weights
            v = lapack.dtrtrs(self.factor, k.T, lower=1, overwrite_b=1)[0]
            explained[at] = np.einsum("ij,ij->j", v, v)
        variance = np.maximum(self.signal - explained, 1e-10)
        return self.mean + self.scale * mean, self.scale * np.sqrt(variance)

    def expected(self, points: Array) -> Array:
        """Posterior mean alone at points [m, F]."""
        mean = np.empty(len(points))
        for at, k in self._blocks(points):
            mean[at] = k @ self.weights
        return self.mean + self.scale * mean

    def joint(self, points: Array) -> tuple[Array, Array]:
        """Posterior mean [m] and covariance [m, m] at points, standardised: jitter would drown small targets' own."""
        z = points * self.inverse_lengths
        k = self.signal * matern(z, self.rows)[0]
        v = lapack.dtrtrs(self.factor, k.T, lower=1)[0]
        return k @ self.weights, self.signal * matern(z, z)[0] - v.T @ v

    def _blocks(self, points: Array) -> Iterator[tuple[slice, Array]]:
        """The kernel between points and rows, in blocks that fit into the processor's cache."""
        z = points * self.inverse_lengths
        for first in range(0, len(z), BLOCK):
            at = slice(first, first + BLOCK)
            yield at, self.signal * matern(z[at], self.rows)[0]

    def left_out(self, owners: np.ndarray) -> tuple[Array, Array, Array]:
        """Leave-one-out predictions: for each owner, its last row's target, and mean and sd predicted from all others.

        The block form of eq. 5.12: the residual is ((K^-1)_II)^-1 (K^-1 y)_I, its covariance ((K^-1)_II)^-1.

        Args:
            owners: the owner of each row [n], a trial.
        """
        inverse = _symmetric(lapack.dpotri(self.factor, lower=1)[0])
        order = np.argsort(owners, kind="stable")
        _, first, count = np.unique(owners[order], return_index=True, return_counts=True)
        seen, predicted, sd = np.empty((3, len(first)))
        for size in np.unique(count):  # blocks of one size at once
            which = np.flatnonzero(count == size)
            block = order[first[which, None] + np.arange(size)]
            covariance = np.linalg.inv(inverse[block[:, :, None], block[:, None, :]])[:, -1]
            seen[which] = self.targets[block[:, -1]]
            predicted[which] = seen[which] - (covariance * self.weights[block]).sum(1)
            sd[which] = np.sqrt(covariance[:, -1])
        return seen, predicted, sd


def matern(x: Array, z: Array) -> tuple[Array, Array, Array]:
    """Matérn-5/2 correlation of rows [n, F] and [m, F], with sqrt(5) r and exp(-sqrt(5) r), each [n, m]."""
    correlation = (x * x).sum(1)[:, None] + (z * z).sum(1)  # in place: these are a decision's largest arrays
    correlation -= (2.0 * x) @ z.T
    np.maximum(correlation, 1e-30, out=correlation)
    r = np.sqrt(correlation)
    r *= SQRT5
    decay = np.negative(r)
    np.exp(decay, out=decay)
    correlation *= 5.0 / 3.0
    correlation += r
    correlation += 1.0
    correlation *= decay
    return correlation, r, decay


def fit(features: Array, targets: Array, prior: Prior, iterations: int, *, doubt: Array | float = 0.0) -> Array:
    """The hyperparameters of highest posterior density; the optimisation always starts at the prior's mean.

    Args:
        features: [n, F]; targets: [n].
        iterations: of L-BFGS-B.
        doubt: noise variance of single rows [n] beyond what all have, targets standardised.

    Returns:
        log length scales by group, log noise variance, log signal variance.
    """
    from scipy.optimize import minimize  # noqa: PLC0415  a quarter of the time that `import zeroin` would take

    y = (targets - targets.mean()) / _spread(targets)
    result = minimize(
        _negative_log_posterior,
        prior.mean,
        args=(features, y, prior, np.eye(len(prior.lengths))[prior.groups], doubt),
        jac=True,
        bounds=prior.bounds,
        method="L-BFGS-B",
        options={"maxiter": iterations, "maxcor": 8, "ftol": ENOUGH},
    )
    ok = np.isfinite(result.fun) and result.fun < 1e9
    return np.asarray(result.x) if ok else prior.mean


def condition(
    features: Array, targets: Array, theta: Array, groups: np.ndarray, *, doubt: Array | float = 0.0
) -> Posterior:
    """The posterior of rows [n, F] with targets [n] under hyperparameters `theta`; `doubt` as in `fit`."""
    mean, scale = float(targets.mean()), _spread(targets)
    y = (targets - mean) / scale
    inverse_lengths = np.exp(-theta[:-2])[groups]
    noise, signal = (float(v) for v in np.exp(theta[-2:]))
    rows = features * inverse_lengths
    factor = root(signal * matern(rows, rows)[0], noise + doubt)
    weights = lapack.dpotrs(factor, y, lower=1)[0]
    return Posterior(rows, factor, weights, y, inverse_lengths, signal, mean, scale)


def root(covariance: Array, noise: Array | float = 0.0) -> Array:
    """The lower Cholesky factor of a covariance plus noise (one for all rows, or one each) and minimal jitter."""
    jitter = JITTER
    while jitter < np.inf:
        noisy = covariance.copy()
        noisy.flat[:: len(noisy) + 1] += noise + jitter
        factor, failed = lapack.dpotrf(noisy.T, lower=1, clean=1, overwrite_a=1)  # symmetric, in LAPACK's order
        if not failed:
            return np.asarray(factor)
        jitter *= 10.0
    raise AssertionError("a covariance is finite")


def log_ei(mean: Array, sd: Array, best: float) -> Array:
    """The logarithm of the expected improvement below `best`, accurate also where the improvement is tiny.

    Source: Ament et al. 2023, eq. 9, and its asymptote below z = -1e5, where the difference is rounding alone.
    """
    z = (best - mean) / sd
    out = np.empty_like(z)
    near = z > -1.0
    q = z[near]
    out[near] = np.log(np.exp(-0.5 * q * q) / np.sqrt(2.0 * np.pi) + q * ndtr(q))
    q = -z[~near]
    tail = 1.0 - np.sqrt(np.pi / 2.0) * q * erfcx(q / np.sqrt(2.0))  # of phi(z)
    out[~near] = -0.5 * q * q - 0.5 * np.log(2.0 * np.pi) + np.log(np.where(q > 1e5, 1.0 / q**2, tail))
    return out + np.log(sd)


def _negative_log_posterior(
    theta: Array, features: Array, y: Array, prior: Prior, membership: Array, doubt: Array | float
) -> tuple[float, Array]:
    groups = len(prior.lengths)
    rows = features * np.exp(-theta[:groups])[prior.groups]
    correlation, r, decay = matern(rows, rows)
    noise, signal = np.exp(theta[groups:])
    kernel = signal * correlation
    kernel.flat[:: len(kernel) + 1] += noise + doubt + JITTER
    factor, failed = lapack.dpotrf(kernel.T, lower=1, clean=1, overwrite_a=1)
    if failed:
        return 1e10, np.zeros_like(theta)
    weights = lapack.dpotrs(factor, y, lower=1)[0]
    root_determinant = np.log(factor.diagonal()).sum()
    outer = _symmetric(lapack.dpotri(factor, lower=1, overwrite_c=1)[0])
    outer -= np.multiply.outer(weights, weights)  # eq. 5.9: dL/dtheta = tr(outer dK/dtheta) / 2
    slope = r  # of the Matérn by squared distance, times `outer`; in place of r
    slope += 1.0
    slope *= decay
    slope *= signal * 5.0 / 3.0
    slope *= outer
    gradient = np.empty_like(theta)
    per_column = (rows * rows).T @ slope.sum(1) - np.einsum("ij,ij->j", rows, slope @ rows)
    gradient[:groups] = membership.T @ per_column
    gradient[groups] = 0.5 * noise * outer.trace()
    gradient[groups + 1] = 0.5 * signal * np.vdot(outer, correlation)
    z = (theta - prior.mean) / prior.sd
    value = 0.5 * y @ weights + root_determinant + 0.5 * z @ z  # eq. 5.8, and the prior
    return float(value), gradient + z / prior.sd


def _spread(targets: Array) -> float:
    return float(targets.std()) + 1e-9


def _symmetric(lower: Array) -> Array:
    """The symmetric matrix of a lower triangle with zeros above it."""
    whole = lower + lower.T
    whole.flat[:: len(whole) + 1] *= 0.5
    return np.asarray(whole)
