"""Ready-made tasks on texts."""

from functools import partial

import numpy as np

from zeroin.data.split import split
from zeroin.data.vocabulary import numbered, vocabulary
from zeroin.nn import Task
from zeroin.nn.sequences import text_cnn
from zeroin.nn.spaces import text_space
from zeroin.tasks import sources


def reviews() -> Task:
    """Whether a review of fine food gave five stars: 4,000 texts of some 70 words to train and validate, 1,000 to test.

    An embedding, convolutions over the words, and the mean over the words.

    Source: McAuley & Leskovec 2013, WWW; R package modeldata `training_data`, `testing_data`.
    """
    known, unseen = (sources.table("modeldata", f"{part}_data") for part in ("training", "testing"))
    y = (known.score == "great").to_numpy(np.int64)
    cut = split(y)
    train, valid = np.sort(np.concatenate([cut.train, cut.test])), cut.valid  # a test set comes with the data
    words = vocabulary(known.review.iloc[train])
    x = numbered(list(known.review), words)
    test = numbered(list(unseen.review), words), (unseen.score == "great").to_numpy(np.int64)
    return Task(
        build=partial(text_cnn, len(words) + 2, 2),
        train=(x[train], y[train]),
        valid=(x[valid], y[valid]),
        test=test,
        name="reviews",
        space=text_space,
        max_epochs=6,
    )
