"""What differs between two spaces, in words."""

from zeroin.space.params import Hyperparameter
from zeroin.space.space import Space
from zeroin.space.words import range_words

BY_HAND = "changed by hand: "  # begins the reason of a round in which the user changed the space


def changed(before: Space, after: Space) -> str:
    """What differs between two spaces, in words."""
    words = [f"{name} is new" for name in after if name not in before.params]
    words += [f"{name} is gone" for name in before if name not in after.params]
    for name in after:
        if name in before.params and before[name] != after[name]:
            words.append(f"{name} {_difference(before[name], after[name])}")
    return "; ".join(words)


def _difference(before: Hyperparameter, after: Hyperparameter) -> str:
    was, now = range_words(before, before.range), range_words(after, after.range)
    if was != now:
        return f"{was} -> {now}"
    old, new = before.to_json(), after.to_json()
    fields = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return ", ".join(f"{key} {old.get(key)} -> {new.get(key)}" for key in fields)
