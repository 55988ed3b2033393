"""Keras' batch norm against the same reference, on whichever backend KERAS_BACKEND names; skipped without Keras.

`for b in tensorflow torch; do KERAS_BACKEND=$b pytest tests/test_batchnorm_keras.py; done`
"""

import numpy as np
import pytest

import batchnorm_reference as reference

keras = pytest.importorskip("keras")
TOLERANCE = 1e-6  # of the largest value: Keras normalises in float32 whatever the dtype, with E[z²] − E[z]²
SHAPES = {"N": (16, 5), "NT": (8, 7, 5), "NHW": (6, 4, 3, 5)}  # Keras: channels last


def made(momentum=0.99, epsilon=1e-3):
    return keras.layers.BatchNormalization(momentum=momentum, epsilon=epsilon, dtype="float64")


def apart(got, expected):
    return np.abs(got - expected).max() / max(1.0, np.abs(expected).max())


def test_the_defaults_are_kerass():
    layer = keras.layers.BatchNormalization()
    assert (layer.momentum, layer.epsilon) == (0.99, 1e-3)


@pytest.mark.parametrize("kind", SHAPES)
def test_forward_and_running_statistics(kind):
    layer, running = made(), reference.Running(5, 0.01, unbiased=False)
    rng = np.random.default_rng(0)
    for _ in range(50):
        x = rng.normal(rng.normal(0, 0.3, 5), rng.uniform(0.5, 2, 5), SHAPES[kind])
        y = keras.ops.convert_to_numpy(layer(x, training=True))
        expected, _ = reference.forward(x, np.ones(5), np.zeros(5), 1e-3, last=True)
        running.update(x, last=True)
        assert apart(y, expected) <= TOLERANCE
    assert apart(keras.ops.convert_to_numpy(layer.moving_mean), running.mean) <= TOLERANCE
    assert apart(keras.ops.convert_to_numpy(layer.moving_variance), running.variance) <= TOLERANCE
    y = keras.ops.convert_to_numpy(layer(x, training=False))
    expected = reference.inference(x, np.ones(5), np.zeros(5), running.mean, running.variance, 1e-3, last=True)
    assert apart(y, expected) <= TOLERANCE


@pytest.mark.parametrize("kind", SHAPES)
def test_gradients(kind):
    rng = np.random.default_rng(1)
    x, dy = rng.normal(0.2, 1, SHAPES[kind]), rng.normal(size=SHAPES[kind])
    layer = made()
    layer.build(x.shape)
    layer.gamma.assign(gamma := rng.normal(size=5))
    layer.beta.assign(beta := rng.normal(size=5))
    found = gradients(layer, x, dy)
    _, kept = reference.forward(x, gamma, beta, 1e-3, last=True)
    for got, expected in zip(found, reference.backward(dy, kept), strict=True):
        assert apart(got, expected) <= TOLERANCE


def gradients(layer, x, dy):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        t = tf.Variable(x)
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(layer(t, training=True) * dy)
        return [g.numpy() for g in tape.gradient(total, [t, layer.gamma.value, layer.beta.value])]
    import torch

    t = torch.tensor(x, requires_grad=True)
    (layer(t, training=True) * torch.tensor(dy)).sum().backward()
    return [g.numpy() for g in (t.grad, layer.gamma.value.grad, layer.beta.value.grad)]
