"""Encoding texts as numbers of words, which are numbered by their frequency in the training texts."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MOST = 5_000  # words with a number of their own
SEEN = 3  # a word needs to occur in so many training texts
LONGEST = 120  # words of a text that are read
NONE, UNKNOWN = 0, 1
LONG = 30  # mean number of characters from which a column holds texts; a character of `ALONE` counts as three
OWN = 0.5  # and this share of the rows must have a text of their own
LOOKED_AT = 1_000  # texts that are examined

# Scripts that do not separate words (Han, kana, Thai, Lao, Burmese, Khmer): each character is read as a word.
ALONE = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
MARKS = r"\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"  # vowels, which \w leaves out
LETTER = rf"(?:[^\W_{ALONE}]|[{MARKS}])"
PICTURES = r"\u2600-\u27bf\U0001f000-\U0001f3fa\U0001f400-\U0001faff"  # each a word; shades of skin left out
WORD = re.compile(rf"[{ALONE}{PICTURES}]|{LETTER}+(?:'{LETTER}+)?|[!?！？]")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without HTML tags.

    >>> words_of("It's <br />GREAT!"), words_of("很好吃"), words_of("no 😡")
    (["it's", 'great', '!'], ['很', '好', '吃'], ['no', '😡'])
    """
    return WORD.findall(re.sub(r"<[^>]{1,20}>", " ", unicodedata.normalize("NFC", text).lower()))


def is_text(values: pd.Series) -> bool:
    """Whether a column holds texts rather than categories or names: they are long, mostly unique, and share words.

    >>> is_text(pd.Series([f"of {i} trees that stood here, the last one fell" for i in range(9)]))
    True
    >>> is_text(pd.Series([f"{i:040x}" for i in range(9)]))
    False
    """
    there = values.dropna()
    if not len(there) or pd.api.types.is_numeric_dtype(there) or there.nunique() <= OWN * len(there):
        return False
    some = [str(one) for one in there.iloc[:LOOKED_AT]]
    return sum(len(re.sub(f"[{ALONE}]", "...", one)) for one in some) >= LONG * len(some) and bool(vocabulary(some))


def vocabulary(texts: Iterable[str]) -> list[str]:
    """The words that get a number of their own, the most frequent first; the first of them has number 2."""
    counts = Counter(word for text in texts for word in set(words_of(text)))
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return [word for word in ranked[:MOST] if counts[word] >= SEEN]


def numbered(texts: Sequence[str], words: Sequence[str], length: int = LONGEST) -> NDArray[np.int64]:
    """Texts as numbers of words [N, length], padded with 0.

    >>> numbered(["a b a", "c"], ["a", "b"], 4).tolist()
    [[2, 3, 2, 0], [1, 0, 0, 0]]
    """
    place = {word: i + 2 for i, word in enumerate(words)}
    out = np.full((len(texts), length), NONE, np.int64)
    for row, text in enumerate(texts):
        found = [place.get(word, UNKNOWN) for word in words_of(text)[:length]]
        out[row, : len(found)] = found
    return out
