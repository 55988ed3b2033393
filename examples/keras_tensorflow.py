"""A Keras network: `python examples/keras_tensorflow.py`; KERAS_BACKEND=torch in front of it trains with PyTorch.

Needs `pip install ".[keras]" scikit-learn` in a clone. Tunes a small convolutional network on handwritten digits.
"""

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import zeroin as zi
from zeroin.integrations.keras import batchnorm, report, seed

images, labels = load_digits(return_X_y=True)
images = images.reshape(-1, 8, 8, 1) / 16  # [N, H, W, C]: Keras has the channels last
x, x_test, y, y_test = train_test_split(images, labels, test_size=360, stratify=labels, random_state=1)
x, x_valid, y, y_valid = train_test_split(x, y, test_size=240, stratify=y, random_state=0)

space = zi.Space(
    lr=zi.Float(1e-4, 1.0, scale="log", default=1e-3),
    batch_size=zi.Int(64, 256, scale="log2"),
    units=zi.Int(8, 32, scale="log", limits=(8, 64)),
    bn_momentum=zi.Float(0.01, 0.5, scale="log", default=0.1),  # as PyTorch counts; Keras' 0.9
)
max_epochs = 8
goal = "maximize"


def build(config):
    blocks = [keras.Input((8, 8, 1))]
    for width in (config["units"], 2 * config["units"]):
        blocks += [
            keras.layers.Conv2D(width, 3, padding="same", use_bias=False),  # batch norm takes a bias away
            keras.layers.BatchNormalization(**batchnorm(config)),
            keras.layers.Activation("relu"),
            keras.layers.MaxPooling2D(2),
        ]
    model = keras.Sequential([*blocks, keras.layers.Flatten(), keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(config["lr"]), loss, metrics=["accuracy"], jit_compile=False)
    return model


def objective(config, run):
    keras.backend.clear_session()  # networks of earlier trials
    keras.utils.set_random_seed(seed(run))
    model = build(config)
    model.fit(x, y, batch_size=config["batch_size"], validation_data=(x_valid, y_valid), verbose=0,
              initial_epoch=run.start, epochs=run.stop, callbacks=[report(run, "val_accuracy")])  # fmt: skip


if __name__ == "__main__":
    name = f"keras-{keras.backend.backend()}"
    study = zi.tune(objective, space, max_epochs=max_epochs, epochs=20, goal=goal, name=name)
    print(study.best.config, "validation accuracy", study.best.loss)
    model = build(study.best.config)  # once more, also on the examples that judged it
    both, both_labels = np.concatenate([x, x_valid]), np.concatenate([y, y_valid])
    model.fit(both, both_labels, batch_size=study.best.config["batch_size"], epochs=max_epochs, verbose=0)
    print("test accuracy", model.evaluate(x_test, y_test, verbose=0)[1])
