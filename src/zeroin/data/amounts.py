"""Numbers as people write them: thousands set apart, a decimal comma, a minus behind, a sign of currency or a unit."""

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype, is_numeric_dtype

SIGNS = "$€£¥₹₽₩₺฿"
SPACES = " \u00a0\u202f\u2009"  # of which three are not to be broken
BEFORE, AFTER = rf"[{SIGNS}]|[A-Z]{{1,3}}[{SIGNS}]|[A-Z]{{3}}(?=[{SPACES}])", rf"[{SIGNS}%‰]|[^\W\d_]{{1,4}}\.?"


@dataclass(frozen=True, slots=True)
class Style:
    """How the numbers of a column are written.

    Args:
        mark: what stands before their decimals, "." or ",".
        before, after: the sign or unit that all of them have, or none has.
    """

    mark: str = "."
    before: str = ""
    after: str = ""

    @property
    def example(self) -> str:
        """A number written so."""
        return f"{self.before}1{',' if self.mark == '.' else '.'}234{self.mark}5{self.after}"


def style_of(values: pd.Series, mark: str | None = None) -> Style | None:
    """How all words of a column write numbers; None where they do not, or not all alike.

    Args:
        values: the column.
        mark: what stands before decimals where separators could be of thousands or of decimals (`1,250` and `2,500`
            alone); None: they are of thousands.

    >>> style_of(pd.Series(["$1,250.50", "$990"]))
    Style(mark='.', before='$', after='')
    >>> style_of(pd.Series(["1.250,5", "12,5", None])).mark, style_of(pd.Series(["A1", "A2"]))
    (',', None)
    """
    words = pd.Series(values.dropna().unique())
    if not len(words) or infer_dtype(words) != "string":
        return None
    if not any(_written(one).fullmatch(words[0].strip()) for one in ".,"):
        return None
    points = mark is None and words.str.contains(r"\.\d").any()  # so the comma sets thousands apart, if there is one
    for one in (mark or ("," if points else "."), ".", ","):
        first = _written(one).fullmatch(words[0].strip())
        if first:
            style = Style(one, first["before"], first["after"])
            if _plain(words, style).all() or amounts(words, style).notna().all():
                return style
    return None


def mark_of(values: pd.Series) -> str | None:
    """What stands before decimals in a column of numbers; None where it holds none, or leaves it open.

    >>> mark_of(pd.Series(["0,35", "1.250"])), mark_of(pd.Series(["1,250"])), mark_of(pd.Series(["7"]))
    (',', None, None)
    """
    marks = {style.mark for mark in ",." if (style := style_of(values, mark))}
    return marks.pop() if len(marks) == 1 else None


def amount(word: str, style: Style) -> float | None:
    """The number that a word writes; a plain one has no sign and no unit. None: it is not written so.

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
    """The numbers that a column's words write, missing where they write none; numbers already are themselves."""
    if is_numeric_dtype(values):
        return values.astype(float)
    words = values.dropna().astype(str)
    plain = _plain(words, style)
    real = pd.to_numeric(words[plain].str.replace(style.mark, ".", regex=False)).astype(float)
    known = {word: amount(word, style) for word in words[~plain].unique()}
    return pd.concat([real, words[~plain].map(known).astype(float)]).reindex(values.index)


def are_codes(words: pd.Series) -> bool:
    """Whether words that could be amounts are names of things, as postcodes are: all as long, in full groups of three
    digits, not all of them round.

    >>> are_codes(pd.Series(["110 001", "110 092"])), are_codes(pd.Series(["110 000", "250 000"]))
    (True, False)
    >>> are_codes(pd.Series(["999 500", "1 000 250"]))
    False
    """
    known = words.astype(str).str.strip()
    full = known.str.fullmatch(rf"\d{{3}}(?:[{SPACES}]\d{{3}})+")
    return bool(full.all()) and known.str.len().nunique() == 1 and not bool(known.str.endswith("00").all())


def longest(values: pd.Series, style: Style) -> tuple[str, str] | None:
    """The longest word of a column that has more than digits and decimals, and the number that it writes, to show how
    they are read; None where none has.

    >>> longest(pd.Series(["$1,250.50", "$990"]), Style(".", "$")), longest(pd.Series(["0,35"]), Style(","))
    (('$1,250.50', '1250.5'), None)
    """
    words = values.dropna().astype(str)
    word = max(words[~_plain(words, style)].str.strip(), key=len, default=None)
    return word and (word, np.format_float_positional(amount(word, style) or 0.0, trim="-"))


def _plain(words: pd.Series, style: Style) -> pd.Series:
    """Which words are digits with decimals and no more: most are, and are read at once."""
    if style.before or style.after:
        return pd.Series(False, words.index)
    mark = re.escape(style.mark)
    return words.str.fullmatch(rf"[-+]?(?:\d+(?:{mark}\d+)?|{mark}\d+)(?:[eE][-+]?\d+)?").astype(bool)


@cache
def _written(mark: str) -> re.Pattern[str]:
    """What writes a number with this decimal mark; thousands apart by the other, a space or an apostrophe."""
    apart = rf"[{',' if mark == '.' else '.'}'’{SPACES}]"
    whole = rf"[1-9]\d{{0,2}}(?P<apart>{apart})(?:\d{{2,3}}(?P=apart))*\d{{3}}|\d+"  # twos are India's
    return re.compile(
        rf"(?P<sign>[-−+(])?[{SPACES}]?(?P<before>{BEFORE}|)[{SPACES}]?(?P<inner>[-−+(])?"
        rf"(?P<digits>(?:{whole})(?:{re.escape(mark)}\d+)?|{re.escape(mark)}\d+)(?P<power>[eE][-+]?\d+)?[{SPACES}]?"
        rf"(?P<close>[-−)])?[{SPACES}]?(?P<after>{AFTER}|)[{SPACES}]?(?P<last>[-−)])?"
    )
