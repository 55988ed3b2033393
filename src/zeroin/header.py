"""What a study is, apart from what it saw."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from zeroin.plan import Plan
from zeroin.space import Space
from zeroin.types import Value


@dataclass(frozen=True, slots=True)
class Header:
    """What a study is, apart from its history.

    Args:
        name, goal, max_epochs, seed, space: as for `Study`.
        task: what the user named on the command line, a ready-made task or a file.
        created: when, to the microsecond; with the name it tells studies apart.
        scenario: facts by which the playbook recognises similar studies.
        measure: what its scores measure, which must not change.
        plan: of its last run.
    """

    name: str
    goal: str
    max_epochs: int
    seed: int
    space: Space
    task: str = ""
    created: str = ""
    scenario: Mapping[str, Value] = field(default_factory=dict)
    measure: Mapping[str, Value] = field(default_factory=dict)
    plan: Plan | None = None

    @property
    def score_name(self) -> str:
        """What its scores are called: by a Task's metric, or by a function's goal.

        >>> from zeroin.space import Float
        >>> Header("digits", "maximize", 1, 0, Space(x=Float(0, 1)), measure={"metric": "accuracy"}).score_name
        'validation accuracy'
        """
        if "metric" in self.measure:
            return f"validation {self.measure['metric'] or 'loss'}"
        return "loss" if self.goal == "minimize" else "score"
