"""Numbers as people write them: with thousands separators, a decimal comma, a trailing minus, a currency or a unit."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

SIGNS = "$€£¥₹₽₩₺฿"
SPACES = " \u00a0\u202f\u2009"  # the ordinary space, and three that do not break
POINT = re.compile(r"\.\d")
BEFORE, AFTER = rf"[{SIGNS}]|[A-Z]{{1,3}}[{SIGNS}]|[A-Z]{{3}}(?=[{SPACES}])", rf"[{SIGNS}%‰]|[^\W\d_]{{1,4}}\.?"


@dataclass(frozen=True, slots=True)
class Style:
    """How the numbers of a column are written.

    Args:
        mark: the decimal mark, "." or ",".
        before, after: the currency or unit, which all of them have or none has.
    """

    mark: str = "."
    before: str = ""
    after: str = ""

    @property
    def example(self) -> str:
        """A number that is written like this."""
        return f"{self.before}1{',' if self.mark == '.' else '.'}234{self.mark}5{self.after}"


def style_of(values: pd.Series, mark: str | None = None) -> Style | None:
    """The style in which all words of a column write numbers; None if they do not, or not all in the same style.

    Args:
        values: the column.
        mark: the decimal mark, for columns that could be read either way (`1,250` and `2,500` alone); None: then the
            separator is one of thousands.

    >>> style_of(pd.Series(["$1,250.50", "$990"]))
    Style(mark='.', before='$', after='')
    >>> style_of(pd.Series(["1.250,5", "12,5", None])).mark, style_of(pd.Series(["A1", "A2"]))
    (',', None)
    """
    words = _words(values)
    if not any(_written(one).fullmatch(word.strip()) for word in words[:1] for one in ".,"):
        return None
    points = mark is None and any(POINT.search(word) for word in words)  # so a comma sets thousands apart
    marks = (mark or ("," if points else "."), ".", ",")
    return next((style for one in marks if (style := _style(words, one))), None)


def mark_of(values: pd.Series) -> str | None:
    """The decimal mark of a column of numbers; None if it does not hold numbers, or could be read either way.

    >>> mark_of(pd.Series(["0,35", "1.250"])), mark_of(pd.Series(["1,250"])), mark_of(pd.Series(["7"]))
    (',', None, None)
    """
    words = _words(values)
    marks = [mark for mark in ",." if _style(words, mark)]
    return marks[0] if len(marks) == 1 else None


def _words(values: pd.Series) -> list[str]:
    """The different words of a column; none if it holds anything else."""
    words = list(values.dropna().unique())
    return words if all(isinstance(word, str) for word in words) else []


def _style(words: Sequence[str], mark: str) -> Style | None:
    """The style with this decimal mark in which all the words write numbers; None if they do not, or there is none."""
    first = _written(mark).fullmatch(words[0].strip()) if words else None
    if not first:
        return None
    style = Style(mark, first["before"], first["after"])
    plain, has_unit = _digits(mark), bool(style.before or style.after)
    known = ((not has_unit and plain.fullmatch(word)) or amount(word, style) is not None for word in words)
    return style if all(known) else None


def amount(word: str, style: Style) -> float | None:
    """The number that a word writes in a style; None if it is not written in that style.

    >>> amount("-1.250,50 €", Style(",", "", "€")), amount("12", Style(",", "", "€")), amount("12 $", Style(after="€"))
    (-1250.5, None, None)
    >>> amount("1,02-", Style(",")), amount("(1.02)", Style()), amount("(1.02-", Style())  # as accountants write them
    (-1.02, -1.02, None)
    """
    found = _written(style.mark).fullmatch(word.strip())
    if not found or (found["before"], found["after"]) != (style.before, style.after):
        return None
    digits = re.sub(rf"[^\d{re.escape(style.mark)}]", "", found["digits"]).replace(style.mark, ".")
    size = float(digits + (found["power"] or ""))
    sign = "".join(found[part] or "" for part in ("sign", "inner", "close", "last"))
    return {"": size, "+": size, "-": -size, "−": -size, "()": -size}.get(sign)


def amounts(values: pd.Series, style: Style) -> pd.Series:
    """The numbers that a column's words write, missing if they do not write one; numbers are returned as they are."""
    if is_numeric_dtype(values):
        return values.astype(float)
    words = values.dropna().astype(str)
    plain = _plain(words, style)
    real = pd.to_numeric(words[plain].str.replace(style.mark, ".", regex=False)).astype(float)
    known = {word: amount(word, style) for word in words[~plain].unique()}
    return pd.concat([real, words[~plain].map(known).astype(float)]).reindex(values.index)


def are_codes(words: pd.Series) -> bool:
    """Whether words that could be amounts are codes, such as postcodes.

    Codes have equal length, and full groups of three digits that are not all round, or zeros in front.

    >>> are_codes(pd.Series(["110 001", "110 092"])), are_codes(pd.Series(["110 000", "250 000"]))
    (True, False)
    >>> are_codes(pd.Series(["999 500", "1 000 250"])), are_codes(pd.Series(["02139", "10001"]))
    (False, True)
    """
    known = words.astype(str).str.strip()
    grouped = known.str.fullmatch(rf"\d{{3}}(?:[{SPACES}]\d{{3}})+").all() and not known.str.endswith("00").all()
    padded = known.str.fullmatch(r"\d{4,}").all() and known.str.startswith("0").any()
    return bool(grouped or padded) and known.str.len().nunique() == 1


def longest(values: pd.Series, style: Style) -> tuple[str, str] | None:
    """An example of how a column is read: its longest word that is not a plain number, and the number that it writes.

    None if all words are plain numbers.

    >>> longest(pd.Series(["$1,250.50", "$990"]), Style(".", "$")), longest(pd.Series(["0,35"]), Style(","))
    (('$1,250.50', '1250.5'), None)
    """
    words = values.dropna().astype(str)
    word = max(words[~_plain(words, style)].str.strip(), key=len, default=None)
    return word and (word, np.format_float_positional(amount(word, style) or 0.0, trim="-"))


def _plain(words: pd.Series, style: Style) -> pd.Series:
    """Which words are plain numbers; most are, and these are read faster."""
    if style.before or style.after:
        return pd.Series(False, words.index)
    return words.str.fullmatch(_digits(style.mark).pattern).astype(bool)


@cache
def _digits(mark: str) -> re.Pattern[str]:
    """A pattern for plain numbers with this decimal mark."""
    mark = re.escape(mark)
    return re.compile(rf"[-+]?(?:[0-9]+(?:{mark}[0-9]+)?|{mark}[0-9]+)(?:[eE][-+]?[0-9]+)?")


@cache
def _written(mark: str) -> re.Pattern[str]:
    """A pattern for numbers with this decimal mark, and with the other mark, spaces or apostrophes for thousands."""
    apart = rf"[{',' if mark == '.' else '.'}'’{SPACES}]"
    whole = rf"[1-9]\d{{0,2}}(?P<apart>{apart})(?:\d{{2,3}}(?P=apart))*\d{{3}}|\d+"  # twos are India's
    return re.compile(
        rf"(?P<sign>[-−+(])?[{SPACES}]?(?P<before>{BEFORE}|)[{SPACES}]?(?P<inner>[-−+(])?"
        rf"(?P<digits>(?:{whole})(?:{re.escape(mark)}\d+)?|{re.escape(mark)}\d+)(?P<power>[eE][-+]?\d+)?[{SPACES}]?"
        rf"(?P<close>[-−)])?[{SPACES}]?(?P<after>{AFTER}|)[{SPACES}]?(?P<last>[-−)])?"
    )
