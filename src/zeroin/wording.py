"""Counts, times and values in words."""

import math
import traceback
from collections.abc import Iterable, Mapping

from zeroin.types import Value

LONGEST = 200  # characters of an error that are shown


def counted(n: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "trial"), counted(2000, "trial")
    ('1 trial', '2,000 trials')
    """
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def duration(seconds: float) -> str:
    """A time in fitting units.

    >>> duration(0.00022), duration(0.25), duration(3.2), duration(75), duration(7300)
    ('0.22 ms', '0.25 s', '3 s', '1 min 15 s', '2 h 02 min')
    """
    whole, minutes = round(seconds), round(seconds / 60)
    if 0 < seconds < 0.01:
        return f"{value_words(1000 * seconds, 2)} ms"
    if seconds < 1:
        return f"{seconds:.2g} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def listed(words: Iterable[str], most: int) -> str:
    """Words in a row: so many of them, and the number of the others.

    >>> listed(["lr", "units"], 3), listed("abcd", 2)
    ('lr, units', 'a, b and 2 more')
    """
    every = list(words)
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


def percent(share: float) -> str:
    """A share in whole per cent, the same wherever a person reads one.

    >>> percent(0.857), percent(0.0)
    ('86 %', '0 %')
    """
    return f"{100 * share:.0f} %"


def part(share: float) -> str:
    """A share of something, readable however small it is.

    >>> part(0.36), part(0.0123), part(2.4e-7), part(1e-20)
    ('36 %', '1/81', '1/4,200,000', 'less than a billionth')
    """
    if share >= 0.095:
        return percent(share)
    return f"1/{float(f'{1 / share:.2g}'):,.0f}" if share >= 1e-9 else "less than a billionth"


def minutes(of: float) -> str:
    """Minutes as they were asked for.

    >>> minutes(1.0), minutes(0.5)
    ('1 minute', '0.5 minutes')
    """
    return f"{of:g} minute" + ("" if of == 1 else "s")


def moment(stored: str) -> str:
    """A moment as it is stored, in words to the second; of no time zone but UTC, so that it is the same everywhere.

    >>> moment("2026-12-01T04:06:11.520572+00:00")
    '2026-12-01 04:06:11 UTC'
    """
    return f"{stored[:19].replace('T', ' ')} UTC"


def storable(text: str) -> str:
    """Text that can be encoded in UTF-8: lone surrogates, as in undecodable file names, are escaped.

    >>> storable("a\\ud800")
    'a\\\\ud800'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def value_words(value: Value, digits: int = 4) -> str:
    """A value as short text of so many digits; more digits if it is close to 1, so that 0.99986 is not shown as 1.

    >>> value_words(0.00023), value_words(123456.0), value_words(True), value_words(0.99986, 3)
    ('2.3e-4', '1.235e5', 'True', '0.99986')
    """
    if not isinstance(value, float) or not math.isfinite(value):
        return str(value)
    if 0.9 < abs(value) < 1:
        digits = max(digits, 1 + math.ceil(-math.log10(1 - abs(value))))
    if value and not 1e-3 <= abs(value) < 1e5:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(exponent)}"
    text = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e" in text else text


def score_words(score: float) -> str:
    """A trial's score, to the same digits wherever a person reads it.

    >>> score_words(0.9916667), score_words(1.2086e-6)
    ('0.99167', '1.2086e-6')
    """
    return value_words(score, 5)


def config_words(config: Mapping[str, Value]) -> str:
    """A config in one line.

    >>> config_words({"lr": 0.0032, "layers": 2})
    'lr=0.0032 layers=2'
    """
    return " ".join(f"{name}={value_words(value)}" for name, value in config.items())


def error_line(text: str) -> str:
    """The error of a traceback, or the first line of its message if it has several; of other text the last line.

    >>> error_line('Traceback:\\n  File "a.py", line 1, in f\\n    f()\\nValueError: too large\\nby 2')
    'ValueError: too large'
    """
    lines = [line for line in text.splitlines() if line.strip()]
    places = [i for i, line in enumerate(lines) if line.startswith('  File "')]
    after = [line for line in lines[places[-1] + 1 :] if not line.startswith(" ")] if places else lines[-1:]
    line = after[0].strip() if after else ""
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def traced(error: Exception | SystemExit) -> str:
    """An error's traceback, as it is kept in the note of a job: its end, if it is long.

    >>> traced(ValueError("too large"))
    'ValueError: too large\\n'
    """
    return storable("".join(traceback.format_exception(error))[-4000:])


def first_line(error: Exception) -> str:
    """The first line of an error's message; the name of its class if it has none.

    >>> first_line(ValueError("too large\\nby 2")), first_line(EOFError())
    ('too large', 'EOFError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def measured(mean: float, error: float | None) -> str:
    """A mean with its spread, rounded to the digits that the spread leaves certain.

    >>> measured(0.69871, 0.0103), measured(0.5, None)
    ('0.699 ± 0.010', '0.5')
    """
    if not error or not math.isfinite(error):
        return score_words(mean)
    places = _places(error, mean)
    if places is None:
        return f"{value_words(mean)} ± {value_words(error, 2)}"
    return f"{mean:.{places}f} ± {error:.{places}f}"


def between(low: float, high: float, error: float | None) -> str:
    """Where a mean lies, to the digits that its spread leaves sure.

    >>> between(0.9797, 0.987, 0.0029), between(0.25, 0.5, None)
    ('0.9797 to 0.9870', '0.25 to 0.5')
    """
    places = _places(error, max(abs(low), abs(high))) if error and math.isfinite(error) else None
    if places is None:
        return f"{value_words(low)} to {value_words(high)}"
    return f"{low:.{places}f} to {high:.{places}f}"


def _places(error: float, value: float) -> int | None:
    """Decimal places down to the second digit of a spread; None where that is no plain number."""
    places = 1 - math.floor(math.log10(error))
    return places if 0 <= places <= 5 and abs(value) < 1e5 else None
