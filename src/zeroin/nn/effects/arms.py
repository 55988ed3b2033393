"""The design of a comparison: its arms and settings, which hyperparameters are drawn, and which are held fixed."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import nn

from zeroin.errors import TaskError
from zeroin.nn.checking import check
from zeroin.nn.loop import fresh
from zeroin.nn.networks import KNOWN
from zeroin.nn.norms.batchnorm import insert_batchnorm
from zeroin.nn.problem import Problem, two_examples
from zeroin.nn.recipe import recipe
from zeroin.nn.stacking.grouping import signature
from zeroin.nn.task import Task
from zeroin.space import SCALES, Choice, Float, Hyperparameter, Space
from zeroin.space.choice import key
from zeroin.space.scales import Array
from zeroin.space.words import range_words
from zeroin.types import Config, Value

NORMS = {"batchnorm": "batch", "layernorm": "layer", "groupnorm": "group"}  # with the option of `norm`
# For norms: plain SGD over all learning rates and momenta that anyone would try, with nothing else to help.
PLAIN_SPACE = Space(lr=Float(1e-4, 10.0, scale="log"), momentum=Float(0.0, 0.99, scale="one_minus_log"))
PLAIN: dict[str, Value] = {
    "optimizer": "momentum", "batch_size": 64, "schedule": "constant", "weight_decay": 0.0, "dropout": 0.0,
    "label_smoothing": 0.0, "grad_clip": 0.0, "warmup": 0.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Arm:
    """One option of the choice.

    Args:
        name: of the arm.
        change: what it changes in a config.
        norm: the kind of norm that is put into the network, if `build` does not look at the config for it.
    """

    name: str
    change: Mapping[str, Value]
    norm: str = ""

    def of(self, problem: Problem) -> Problem:
        """The problem with this arm's norm put into its networks, if there is one to put in."""
        return replace(problem, build=partial(_with_norm, problem, self.norm)) if self.norm else problem


@dataclass(frozen=True, slots=True)
class Design:
    """A comparison to be made.

    Args:
        arms: at least two; the first is what the others are compared with.
        settings: values by name; the arms are compared in each.
        space: what is drawn, some of it fixed.
        held: all else that a config says.
    """

    arms: tuple[Arm, ...]
    settings: tuple[Mapping[str, Value], ...]
    space: Space
    held: Mapping[str, Value]

    def config(self, setting: Mapping[str, Value], arm: Arm, point: Array) -> Config:
        """The config for a draw, a point [D] in the unit cube of the ranges; every arm gets the same points."""
        said = {**setting, **arm.change}
        space = self.space
        for name in said.keys() & space.params.keys():
            space = space.fix(name, said[name])
        low, high = self.space.span(self.space.ranges).T
        return {**self.held, **space.config(low + point * (high - low)), **said}

    @property
    def drawn(self) -> dict[str, str]:
        """The ranges that are drawn from, in words by name."""
        free = {n: p for n, p in self.space.params.items() if len(set(p.range)) > 1}
        asked = {name for given in (*self.settings, *(a.change for a in self.arms)) for name in given}
        return {n: _words(p) for n, p in free.items() if n not in asked}


def design(task: Task, choice: str, at: Mapping[str, Sequence[Value]], held: Mapping[str, Value]) -> Design:
    """Design the comparison for a choice.

    Args:
        task: whose networks are trained.
        choice: batchnorm, layernorm, groupnorm, or the name of a Choice in the task's space.
        at: by name, the values of settings in which to compare; all combinations are made.
        held: values by name that every config has.

    Raises:
        TaskError: there is no such choice, it or a setting has no effect on the network, or a network does not fit the
            data.
    """
    space = None if task.space is None else task.space_for(1.0)
    found, arms = _compared(choice, space)
    settings = tuple(dict(zip(at, values, strict=True)) for values in itertools.product(*at.values()))
    base = {**(space.default if space else {}), **(PLAIN if choice in NORMS else {}), **held}
    base.setdefault("init", "default")
    for name in held.keys() & found.params.keys():
        found = found.fix(name, held[name])
    start = {**base, **found.default}
    tried = [{**start, **setting, **arm.change} for setting in settings for arm in arms]
    _check_use(task, tried, arms, (*at, *held), choice)
    if choice in NORMS:
        arms = _inserted(task, tried, arms)
    else:
        found = _alike_in_shape(task, found, {choice, *at, *held})
    rest = {n: v for n, v in base.items() if n not in at and (n not in found.params or len(set(found[n].range)) == 1)}
    rest = {n: v for n, v in rest.items() if n not in arms[0].change}
    return Design(arms, settings, found, rest)


def _compared(choice: str, space: Space | None) -> tuple[Space, tuple[Arm, ...]]:
    """The space to draw from, and an arm for each option of a choice."""
    if choice in NORMS:
        kind = NORMS[choice]
        normed = Arm(kind, {"norm": kind, "batchnorm": kind == "batch"})
        return PLAIN_SPACE, (Arm("none", {"norm": "none", "batchnorm": False}), normed)
    params = space.params if space else {}
    param = params.get(choice)
    if space and isinstance(param, Choice):
        options = [param.start, *(v for v in param.range if key(v) != key(param.start))]
        return space, tuple(Arm(str(v), {choice: v}) for v in options)
    known = [n for n, p in params.items() if isinstance(p, Choice)]
    raise TaskError(
        f"an effect is of {', '.join(NORMS)} or of a Choice of the task's space "
        f"({', '.join(known) or 'it has none'}); got {choice!r}: use `zeroin effect batchnorm`."
    )


def _with_norm(problem: Problem, kind: str, config: Config) -> nn.Module:
    """The user's network with norms inserted."""
    model, _ = insert_batchnorm(problem.build(config), two_examples(problem.train)[0], kind=kind)
    return model


def _inserted(task: Task, configs: Sequence[Config], arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
    """The arms, whose `configs` take turns, with a norm to insert if the network does not look at its config for it."""
    plain, normed = arms
    if any(_make(task, one) != _make(task, other) for one, other in zip(configs[::2], configs[1::2], strict=True)):
        return arms
    kind = str(normed.change["norm"])
    normed = replace(normed, norm=kind)
    for config in configs[1::2]:
        check(normed.of(task.problem), config, recipe(config).batch_size)
        _, told = insert_batchnorm(task.problem.build(config), two_examples(task.problem.train)[0], kind=kind)
        if not told.done:
            raise TaskError(
                f"a network is compared with and without a {kind} norm; this one takes none "
                f"({'; '.join(str(told).splitlines())}): read config['norm'] in build, none or {kind}."
            )
    return plain, normed


def _check_use(task: Task, configs: Sequence[Config], arms: Sequence[Arm], given: Collection[str], choice: str) -> None:
    """Whether the networks of these configs fit the data, and whether the names that were given, and a choice that is
    not inserted, mean something to them or to their training; and the former are not the arms' own.
    """
    asked = set(KNOWN).union(*(check(task.problem, config, recipe(config).batch_size) for config in configs))
    for name in given:
        if name in arms[0].change:
            raise TaskError(
                f"what is compared is not set; {name} differs between {' and '.join(arm.name for arm in arms)}: "
                f"leave {name} out."
            )
    for name in given if choice in NORMS else (*given, choice):
        if name not in asked:
            raise TaskError(
                f"a {'choice' if name == choice else 'setting'} changes the network or its training; neither asks for "
                f"{name}: check the spelling (the training knows {', '.join(KNOWN)}), or read config[{name!r}] in "
                f"build."
            )


def _alike_in_shape(task: Task, space: Space, free: set[str]) -> Space:
    """The space with everything that changes a network's shape held at its default, so that networks can be stacked."""
    usual = space.default
    for name, param in space.params.items():
        if name in free or len(set(param.range)) == 1:
            continue
        made = set()
        for value in param.range:
            try:
                made.add(_make(task, space.fix(name, value).default))
            except TaskError:
                made.add("")
        if len(made | {_make(task, usual)}) > 1:
            space = space.fix(name, param.start)
    return space


def _make(task: Task, config: Config) -> str:
    return signature(fresh(task.problem, config, 0), recipe(config), config)


def _words(param: Hyperparameter) -> str:
    scale = "" if isinstance(param, Choice) else f" ({SCALES[param.scale].words})"
    return range_words(param, param.range) + scale
