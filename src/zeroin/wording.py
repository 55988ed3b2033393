"""Counts and times as a person says them."""


def counted(n: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "trial"), counted(2000, "trial")
    ('1 trial', '2,000 trials')
    """
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def duration(seconds: float) -> str:
    """A time in the unit that fits.

    >>> duration(0.25), duration(3.2), duration(75), duration(7300)
    ('0.25 s', '3 s', '1 min 15 s', '2 h 02 min')
    """
    whole, minutes = round(seconds), round(seconds / 60)
    if seconds < 1:
        return f"{seconds:.2g} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
