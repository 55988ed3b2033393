"""The events of a study in words: regions, moved ranges, paused trials, failures."""

import bisect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from zeroin.space import Space
from zeroin.space.changes import BY_HAND
from zeroin.space.words import range_words
from zeroin.types import Range, Region, Status, Trial
from zeroin.wording import config_words, counted, error_line

STATUS_WORDS = {
    Status.DIVERGED: "diverged",
    Status.FAILED: "failed",
    Status.OUT_OF_MEMORY: "ran out of memory",
    Status.TIMED_OUT: "timed out",
}
Happening: TypeAlias = Literal["paused", "region", "range", "failed"]  # what ended a round, then what began the next
ORDER: tuple[Happening, ...] = get_args(Happening)


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happened when `after` jobs had been asked for."""

    after: int
    kind: Happening
    text: str


def events(space: Space, trials: Sequence[Trial], regions: Sequence[Region]) -> list[Line]:
    """Everything worth a sentence, in order.

    Args:
        space: as it was declared.
        trials: all of them.
        regions: those of the history, in order.
    """
    after = [r.after for r in regions]
    jobs = 1 + max((t.jobs[-1] for t in trials if t.jobs), default=-1)
    lines = [*_regions(space, regions), *_paused(trials, after, jobs), *_failed(trials, jobs)]
    return sorted(lines, key=lambda line: (line.after, ORDER.index(line.kind)))


def _regions(space: Space, regions: Sequence[Region]) -> Iterator[Line]:
    ranges: Mapping[str, Range] = space.ranges
    if any(region.why.startswith(BY_HAND) for region in regions):
        ranges = regions[0].ranges  # what was declared then is not known
    for region in regions:
        if region.why:
            yield Line(region.after, "region", f"Round {region.round}: {region.why}")
        for name, new in region.ranges.items():
            old = ranges.get(name, new)
            if name in space.params and tuple(old) != tuple(new):
                moved = f"{range_words(space[name], old)} to {range_words(space[name], new)}"
                yield Line(region.after, "range", f"{name}: range moved from {moved}.")
        ranges = region.ranges


def _paused(trials: Sequence[Trial], after: Sequence[int], jobs: int) -> Iterator[Line]:
    rounds: dict[int, list[Trial]] = {}
    for trial in trials:
        if trial.paused and trial.jobs:
            rounds.setdefault(bisect.bisect_right(after, trial.jobs[-1]), []).append(trial)
    for i, paused in sorted(rounds.items()):
        first = paused[0]
        example = f"trial {first.number} at epoch {first.epoch}: {first.paused}"
        text = f"{counted(len(paused), 'trial')} paused; {'for example ' if len(paused) > 1 else ''}{example}"
        yield Line(after[i] if i < len(after) else jobs, "paused", text)


def _failed(trials: Sequence[Trial], jobs: int) -> Iterator[Line]:
    failed = [t for t in trials if t.status.is_failure]
    for status, n in Counter(t.status for t in failed).most_common():
        first = next(t for t in failed if t.status is status)
        note = f": {error_line(first.note)}" if first.note else ""
        told = f"{counted(n, 'trial')} {STATUS_WORDS[status]}; first trial {first.number}"
        yield Line(jobs, "failed", f"{told} ({config_words(first.config)}){note}")
