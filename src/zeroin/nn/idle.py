"""Hyperparameters that have no effect on a task, though the training loop knows their names."""

import warnings
from collections.abc import Collection, Iterator
from contextlib import suppress

from torch import nn

from zeroin.catalogue import CATALOGUE, common
from zeroin.nn.layers import BATCHNORMS, DROPOUTS
from zeroin.nn.networks import KNOWN, Build, built
from zeroin.space import Choice, Int, Space
from zeroin.types import Config, Value

USERS = {name: tuple(CATALOGUE[name].by_optimizer) for name in ("beta1", "beta2", "eps")}
USERS["momentum"] = ("sgd", *CATALOGUE["momentum"].by_optimizer)  # sgd becomes SGD with momentum where it has one
LAYERS: dict[str, tuple[str, type[nn.Module]]] = {  # what is applied to layers of a kind
    "dropout": ("nn.Dropout", DROPOUTS),
    "bn_momentum": ("batch norm", BATCHNORMS),
    "bn_eps": ("batch norm", BATCHNORMS),
}


def warn_of_idle(space: Space, build: Build, loss: object, asked: Collection[str]) -> None:
    """Warn of hyperparameters of the default config that nothing asks for, or that what they belong to is not there.

    Args:
        space: what is searched.
        build, loss: of the task.
        asked: what `build` asked the default config for.
    """
    unknown = [name for name in space.default if name not in (*asked, *KNOWN)]
    if unknown:
        meant = ", ".join(f"{name} to {common(name)}" for name in unknown if common(name) in KNOWN)
        mend = f"rename {meant}, or check the spelling" if meant else "check the spelling"
        warnings.warn(
            f"a hyperparameter has an effect; neither build nor the training loop asked the default config for "
            f"{', '.join(unknown)}: {mend} (the loop knows {', '.join(KNOWN)}), or give it when={{...}} if only other "
            f"configs have it",
            stacklevel=2,
        )
    for name in space.default:
        why = "" if name in asked else _why_idle(name, space, build, loss)
        if why:
            warnings.warn(
                f"a hyperparameter has an effect; {name} has none, because {why}, or leave it out", stacklevel=2
            )


def _why_idle(name: str, space: Space, build: Build, loss: object) -> str:
    """Why a hyperparameter that is left to the loop has no effect, and what to do; empty where it has one."""
    if name in USERS:
        kinds = _options(space, "optimizer", "adamw")
        if not {*kinds} & {*USERS[name]}:
            others = f"add optimizer=Choice({', '.join(map(repr, USERS[name][:2]))})"
            return f"{' and '.join(map(str, kinds))} does without it: {others}"
    if name == "lr_decay" and {*_options(space, "schedule", "constant")} == {"constant"}:
        return "the schedule is constant: add schedule=Choice('constant', 'cosine')"
    if name == "label_smoothing" and loss != "cross_entropy":
        if isinstance(loss, str):
            return f"the loss is {loss!r}, which smooths no labels: leave it out"
        return "the loss is not 'cross_entropy' but your own: smooth labels there"
    if name in LAYERS:
        what, kind = LAYERS[name]
        if not any(isinstance(m, kind) for net in _networks(space, build) for m in net.modules()):
            return f"the network has no {what}: put it in, or ask for config[{name!r}] in build"
    return ""


def _options(space: Space, name: str, usual: Value) -> tuple[Value, ...]:
    """The values that a hyperparameter of words may have."""
    param = space.params.get(name)
    if param is None:
        return (usual,)
    return tuple(param.range) if param.fixed in (..., None) else (space.default[name],)


def _networks(space: Space, build: Build) -> Iterator[nn.Module]:
    """That of the default config, and those with another option, or another end of a range of whole numbers."""
    changes: list[Config] = [{}]
    for name, param in space.params.items():
        if isinstance(param, Choice | Int):
            changes += [{name: value} for value in param.range]
    for change in changes:
        with suppress(Exception):  # whatever ails it, training tells
            yield built(build, {**space.default, **change})[0]
