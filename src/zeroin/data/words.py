"""Texts as whole numbers: the words of the training texts, numbered from the most frequent."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

MOST = 5_000  # words with a number of their own
SEEN = 3  # texts to train on that have such a word
LONGEST = 120  # words of a text that are read
NONE, UNKNOWN = 0, 1

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?|[!?]")


def words_of(text: str) -> list[str]:
    """The words of a text in small letters, tags left out.

    >>> words_of("It's <br />GREAT!")
    ["it's", 'great', '!']
    """
    return WORD.findall(re.sub(r"<[^>]{1,20}>", " ", text.lower()))


def vocabulary(texts: Iterable[str]) -> list[str]:
    """The words with a number of their own, the most frequent first; number 2 is the first of them."""
    counts = Counter(word for text in texts for word in set(words_of(text)))
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return [word for word in ranked[:MOST] if counts[word] >= SEEN]


def numbered(texts: Sequence[str], words: Sequence[str], length: int = LONGEST) -> NDArray[np.int64]:
    """Texts as [N, length], filled up with 0.

    >>> numbered(["a b a", "c"], ["a", "b"], 4).tolist()
    [[2, 3, 2, 0], [1, 0, 0, 0]]
    """
    place = {word: i + 2 for i, word in enumerate(words)}
    out = np.full((len(texts), length), NONE, np.int64)
    for row, text in enumerate(texts):
        found = [place.get(word, UNKNOWN) for word in words_of(text)[:length]]
        out[row, : len(found)] = found
    return out
