"""The searcher's constants."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The searcher's constants; each was chosen by measurement (docs/search-experiments.md)."""

    rungs: int = 3  # below the full budget; 0: full-length mode
    eta: int = 2  # ratio of neighbouring rungs
    screen: int = 12  # trials of the screening round with several rungs
    sure: int = 3  # configs of the playbook, the best bets, that go on to the full budget after a first look
    keep: int = 3  # one in so many goes on to the next rung of the screening round, and two at least
    keep_known: int = 6  # the same where it is known how much losses still fall, and one at least
    glances: int = 24  # further trials of the screening round, looked at for T/32 where that tells enough; 0: never
    alike: float = 0.7  # the rank correlation with the lowest rung from which it does
    held: float = 0.3  # of the shares below where the advice of the playbook holds: fresh configs are no better
    hopeless: float = 0.2  # a trial is paused below this chance to beat the best
    share: float = 0.15  # of the epochs after screening for exploring, where the model is to be trusted
    trust: float = 0.8  # the correlation of left-out predictions from which it is
    doubt: float = 0.6  # the share below that
    leap: float = 1.0  # how far below the best every second new trial aims, in standard deviations of what was seen
    region_every: int = 8  # proposals between regions
    agree: float = 0.5  # a config that agrees with others under way is taken from this share of the best's expectation
