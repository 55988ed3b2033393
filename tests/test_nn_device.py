"""What a device without double precision is asked for: a tensor that says it lies on one, its numbers on the CPU."""

import pytest
import torch
from torch.utils._pytree import tree_map

from zeroin.nn import Task, mlp
from zeroin.nn.auditing.measure import _level
from zeroin.nn.metrics import METRICS
from zeroin.nn.norms.recalibration import Moments
from zeroin.nn.problem import judged


class Elsewhere(torch.Tensor):
    """As on "mps": no float64, and nothing of it is NumPy's."""

    @staticmethod
    def __new__(cls, values):
        made = torch.Tensor._make_wrapper_subclass(cls, values.shape, dtype=values.dtype, device="mps")
        made.values_here = values
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        comes_here = kwargs.pop("device", None) == torch.device("cpu")
        args, kwargs = tree_map(lambda t: t.values_here if isinstance(t, Elsewhere) else t, (args, kwargs))
        out = func(*args, **kwargs)
        return out if comes_here else tree_map(cls.there, out)

    @classmethod
    def there(cls, value):
        if isinstance(value, torch.Tensor) and value.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return cls(value) if isinstance(value, torch.Tensor) else value


OUT, Y = torch.randn(20, 2), torch.arange(20) % 2


def test_the_fake_device_has_no_double_precision():
    with pytest.raises(TypeError, match="float64"):
        Elsewhere(OUT).double()


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "roc_auc"])
def test_scores_of_a_device_without_double_precision(metric):
    x = torch.randn(20, 3).numpy()
    loss = lambda out, y: torch.zeros(1)  # noqa: E731  # PyTorch's stop where there is no such device
    problem = Task(build=lambda c: mlp(3, 2, c), train=(x, Y), valid=(x, Y), loss=loss, metric=metric).problem
    assert judged(problem, Elsewhere(OUT), Elsewhere(Y))[0] == METRICS[metric].compute(OUT, Y)


def test_an_audit_measures_on_a_device_without_double_precision():
    assert _level("0", "relu", Elsewhere(OUT), None) == _level("0", "relu", OUT, None)


def test_statistics_of_a_device_without_double_precision():
    ours, theirs = Moments(), Moments()
    ours.add(OUT)
    theirs.add(Elsewhere(OUT))
    assert torch.equal(ours.variance(), theirs.variance())
