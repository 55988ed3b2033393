"""Results for other programs: a study as CSV, as JSON, and as the summary that `--json` prints."""

import csv
import io
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zeroin import trialtable
from zeroin.errors import StudyError
from zeroin.executors.checkpoint import trial_folder
from zeroin.goal import shown
from zeroin.header import Header
from zeroin.history import History, rank
from zeroin.report.compare import Group, Stat, groups
from zeroin.space.plain import same_config
from zeroin.study import Study
from zeroin.trialtable import FIELDS
from zeroin.types import Trial
from zeroin.winner import contenders, winner


def as_csv(header: Header, history: History) -> str:
    """A study as CSV: one line for each trial, scores in the user's own sense."""
    out, trials = io.StringIO(), [shown(header.goal, trial) for trial in history.trials]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(trialtable.columns(header.space, trials))
    writer.writerows(trialtable.rows(header.space, trials))
    return out.getvalue()


def as_json(header: Header, history: History) -> str:
    """The whole study as JSON: space, trials with every epoch's score and metrics, regions.

    Numbers that JSON does not have, such as infinity, become null.
    """
    trials = [_trial(shown(header.goal, t)) for t in history.trials]
    regions = [asdict(region) for region in history.regions]
    head = {"study": header.name, "goal": header.goal, "max_epochs": header.max_epochs, "seed": header.seed}
    whole = head | {"space": header.space.to_json(), "trials": trials, "regions": regions}
    return json.dumps(finite(whole), indent=1, allow_nan=False) + "\n"


def result(study: Study) -> dict[str, Any]:
    """The summary of a study that `zeroin tune --json` prints; numbers that JSON does not have are None.

    The best score was reached after `best_epoch` of the `epoch` epochs that the trial was trained for.
    """
    best = study.best
    found: dict[str, Any] = {
        "study": study.name,
        "goal": study.goal,
        "best": {
            "config": dict(best.config),
            "score": best.loss,
            "best_epoch": best.best_epoch,
            "trial": best.number,
            "epoch": best.epoch,
        },
        "fresh_seeds": [_group(group) for group in groups(study.header, study.history)],
        "trials": len(study.history.trials),
        "search_epochs": study.history.spent,
        "all_epochs": study.history.epochs.total(),
        "seconds": round(study.history.seconds, 3),
    }
    return {name: finite(value) for name, value in found.items()}


def trial_with_weights(history: History, folder: Path) -> Trial:
    """The trial whose weights to export: the best of the winning config, or of the next best that has a checkpoint.

    One that was trained after the search, with a fresh seed, goes before one of the search, whose score won among many
    and whose test score is not known.

    Raises:
        StudyError: no trial worked, or no checkpoint is left.
    """
    config = winner(history)
    if config is None:
        raise StudyError("weights are those of a trial that worked; none did yet: tune for longer.")
    left = [t for t in history.trials if t.loss is not None and any(trial_folder(folder, t.number).glob("epoch-*"))]
    for wanted in (config, *contenders(history, len(history.trials), config)) if left else ():
        if runs := [t for t in left if same_config(t.config, wanted)]:
            return min(runs, key=lambda t: (t.kind.is_search, rank(t)))
    raise StudyError(
        f"weights come from the checkpoints of a Task's trials; none is left below {folder}: tune the task with this "
        f"store again (what a function saved to run.checkpoint, it alone can read)."
    )


def _trial(trial: Trial) -> dict[str, Any]:
    return {f: getattr(trial, f) for f in FIELDS} | {
        "config": dict(trial.config),
        "losses": trial.losses,
        "metrics": trial.metrics,
    }


def finite(data: Any) -> Any:
    """Plain data with None in place of numbers that JSON does not have."""
    match data:
        case float():
            return data if math.isfinite(data) else None
        case dict():
            return {name: finite(value) for name, value in data.items()}
        case list() | tuple():
            return [finite(value) for value in data]
    return data


def _group(group: Group) -> dict[str, Any]:
    ends = group.score.interval if group.score else None
    return {
        "kind": str(group.kind),
        "config": dict(group.config),
        "seeds": group.trained - group.failed,
        "failures": group.failed,
        "validation": _spread(group.score) | {"interval": list(ends) if ends else None},
        "test": _spread(group.test),
    }


def _spread(stat: Stat | None) -> dict[str, float | None]:
    return {"mean": stat.mean, "sd": stat.sd} if stat else {"mean": None, "sd": None}
