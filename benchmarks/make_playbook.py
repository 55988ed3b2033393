"""Makes the playbook that comes with zeroin, and the page of what works in which scenario.

    python benchmarks/make_playbook.py                     # all, about an hour on one core; LCBench alone 3 min
    python benchmarks/make_playbook.py --only lcbench digits
    python benchmarks/make_playbook.py --only digits cells --live FOLDER     # lessons that playbook_live.py left there

One study without a playbook of each ready-made task whose data are here, and as many as `STUDIES` says of each task of
the tables of real runs (families/), then a lesson of each task. Lessons of what is not asked for with `--only`, or not
here, stay as they are. Written: src/zeroin/playbook/shipped.json, docs/what-works.md and its pictures. Seeds follow
from the tasks' names.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import playbook_live
from families import Absent, load, places
from playbook import lesson_from
from playbook_live import LIVE
from zeroin.errors import ZeroinError
from zeroin.playbook import Lesson, as_data, shipped
from zeroin.playbook.compare import compare
from zeroin.playbook.lesson import from_json
from zeroin.playbook.picture import svg
from zeroin.playbook.pool import pool
from zeroin.playbook.sentences import sentences
from zeroin.search.outlook import shipped as outlook
from zeroin.tasks import TASKS
from zeroin.wording import percent

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "src" / "zeroin" / "playbook" / "shipped.json"
PAGE = ROOT / "docs" / "what-works.md"
READY = "ready-made"
STUDIES = {"lcbench": (4, 30), "taskset": (1, 60)}  # of a task, which are one lesson, and full trainings of each
TABLES = {  # what is known of the tables' networks
    "lcbench": {"inputs": "row", "network": "fully connected", "loss": "cross_entropy", "optimizer": "momentum"},
    "taskset": {"inputs": "words", "network": "recurrent", "loss": "cross_entropy", "optimizer": "adam"},
}
HEAD = """# What works in which scenario

Which hyperparameters matter, which of their values did well on which kind of data, where studies agree and where they
differ. All of it is made by `python benchmarks/make_playbook.py` from the studies that the shipped playbook was learned
from: studies without a playbook, {studies}, and 1 of {live} of a ready-made one,
by {packages}.
[How to read it](#how-to-read-it). For your own studies: `zeroin compare STUDY...`. What batch norm does is measured by
itself in [batch-normalisation.md](batch-normalisation.md); what tuning brought on each ready-made task stands in
[tasks.md](tasks.md)."""
READ = """## How to read it

*Good* is where the middle eight tenths of the best fifth of a study's configs lie, which is also where the search
looked most; *mattered* is the share of the spread of scores that is gone when that hyperparameter is held, by the
study's model and over the ranges that it searched last: a tenth or more counts as mattering, and the share in the
sentences is the middle study's. *Set* is said
where nearly all studies agree in which it mattered, *try* where these are less than half, *search* where they differ,
*leave* where it mattered in no more than a quarter. *Good where it matters* are the values that are good in the most
studies of those in which it mattered, where that is more than half of them and more than one. *Luck* is the share of
the spread that the configs of the other trials do not tell of one that is left out: the more of it, the less the study
counts, here and in the advice for new ones.

Few studies a task: read a single range with care, and what many have in common with more trust. When
the ready-made tasks were studied twice, of all that mattered only the learning rate [did so
again](playbook-experiments.md#lessons-made-twice) nearly everywhere. Epochs are what is counted, so small batches and
wide networks look better than they do by the clock."""
WORDS = {
    READY: "Ready-made tasks: images, tables, sequences and texts, AdamW, 5 to 30 epochs",
    "lcbench": "LCBench: fully connected networks on 17 tables, SGD with momentum, 52 epochs",
    "taskset": "TaskSet: recurrent networks on 6 text tasks, Adam, 50 evaluations",
}


def from_tables(family: str, given: argparse.Namespace) -> Iterator[Lesson]:
    for task in load(family, given.data, given.cache):
        studies, trainings = STUDIES[family]
        yield replace(
            pool([lesson_from(task, n, trainings, facts=TABLES[family], names=outlook()) for n in range(studies)]),
            created="",
        )


def from_ready(name: str, folder: Path) -> Lesson:
    """A lesson of a ready-made task, made now unless `playbook_live.py` left it in the folder."""
    file = folder / f"lesson-{name}.json"
    return from_json(json.loads(file.read_text())) if file.exists() else playbook_live.lesson_from(name, folder)


def learned(given: argparse.Namespace) -> dict[str, list[Lesson]]:
    """Lessons by family; those of ready-made tasks by their name."""
    found: dict[str, list[Lesson]] = {}
    for name in given.only:
        began = time.process_time()
        try:
            found[name] = list(from_tables(name, given)) if name in TABLES else [from_ready(name, given.live)]
        except (Absent, ZeroinError) as error:
            print(f"{name} left as it was: {error}", file=sys.stderr)
            continue
        print(f"{name}: {len(found[name])} lessons, {time.process_time() - began:.0f} s of CPU", file=sys.stderr)
    return found


def family_of(lesson: Lesson) -> str:
    family = lesson.name.partition("-")[0]
    return family if family in TABLES else READY


def key_of(lesson: Lesson) -> str:
    family = family_of(lesson)
    return lesson.name if family == READY else family


# ------------------------------------------------------------------------------------------------- the page


def page(lessons: Sequence[Lesson], about: dict[str, Any]) -> str:
    """What works in which scenario, in Markdown: for each family sentences, a table and the picture."""
    packages = ", ".join(f"{k} {v}" for k, v in about["versions"].items())
    studies = ", ".join(f"{n} of {k} full trainings a task of {family}" for family, (n, k) in STUDIES.items())
    out = [HEAD.format(studies=studies, live=LIVE, packages=packages), "", in_all(lessons)]
    for family, words in WORDS.items():
        mine = of(family, lessons)
        if mine:
            out += ["", f"## {words}", "", *(f"- {sentence}" for sentence in sentences(compare(mine))), ""]
            out += [compare(mine).table() if family == READY else across_tasks(mine), ""]
            out += [f"![Where the good configs of each task lie](what-works-{family}.svg)"]
    return "\n".join([*out, "", READ]) + "\n"


def of(family: str, lessons: Sequence[Lesson]) -> list[Lesson]:
    """The lessons of a family, tasks of one kind of data side by side."""
    mine = [lesson for lesson in lessons if family_of(lesson) == family]
    return sorted(mine, key=lambda lesson: (str(lesson.scenario.get("inputs")), lesson.name))


def in_all(lessons: Sequence[Lesson]) -> str:
    """What mattered in most studies of all, and in how many of each family what most of them searched."""
    rows = [row for row in compare(lessons).rows if 2 * row.searched > len(lessons)]
    first, *_ = rows = sorted(rows, key=lambda row: -row.matters / row.searched)
    families = {words.partition(":")[0]: of(family, lessons) for family, words in WORDS.items()}
    known = {name: {row.name: row for row in compare(mine).rows} for name, mine in families.items() if mine}
    out = [
        f"**`{first.name}` first**: it mattered in {first.matters} of {first.searched} studies. All of them:",
        "",
        f"| mattered in | {' | '.join(known)} |",
        "|---" * (1 + len(known)) + "|",
    ]
    for name in (row.name for row in rows):
        found = [family.get(name) for family in known.values()]
        cells = (f"{row.matters} of {row.searched}" if row else "" for row in found)
        out.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(out)


def across_tasks(lessons: Sequence[Lesson]) -> str:
    """One row a hyperparameter: in how many tasks it mattered, where its good values lie, and where the best ones."""
    out = ["| | mattered, median | in so many tasks | best values, quartiles | good where it matters |"]
    out += ["|---" * 5 + "|"]
    for row in compare(lessons).rows:
        cells = [cell for cell in row.cells if cell]
        weight = [cell.importance for cell in cells]
        units = np.quantile([row.param.unit(cell.best) for cell in cells], [0.25, 0.5, 0.75])
        best = " / ".join(row.values((row.param.value(float(u)),)) for u in units)
        matters = f"{row.matters} of {row.searched}"
        out.append(f"| `{row.name}` | {percent(np.median(weight))} | {matters} | {best} | {row.words()} |")
    return "\n".join(out)


def main() -> None:
    given = arguments()
    found = learned(given)
    kept = [lesson for lesson in shipped() if key_of(lesson) not in found]
    lessons = sorted([*kept, *(x for group in found.values() for x in group)], key=lambda x: (key_of(x), x.name))
    versions = {p: version(p) for p in ("zeroin", "torch", "numpy", "scipy")} | {"Python": platform.python_version()}
    about = {
        "made_by": "benchmarks/make_playbook.py",
        "versions": versions,
        "seeds": "crc32 of TASK@past, of further studies of TASK@past1, ...",
        "studies and trainings": {**STUDIES, READY: (1, LIVE)},
        "sources": "LCBench by way of YAHPO Gym 1.0.2 and TaskSet, both Apache-2.0; zeroin's ready-made tasks",
    }
    data = as_data(lessons, **about)
    rows = ",\n".join(json.dumps(row) for row in data.pop("lessons"))
    SHIPPED.write_text(json.dumps(data, indent=1).removesuffix("\n}") + f',\n "lessons": [\n{rows}\n]}}\n', "utf-8")
    PAGE.write_text(page(lessons, about), "utf-8")
    for family in WORDS:
        mine = of(family, lessons)
        if mine:
            PAGE.with_name(f"what-works-{family}.svg").write_text(svg(compare(mine)), "utf-8")
    print(f"{len(lessons)} lessons in {SHIPPED} ({SHIPPED.stat().st_size / 1024:.0f} KB); {PAGE}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="*", default=[*TABLES, *TASKS], help="tables and ready-made tasks; none: the page"
    )
    parser.add_argument("--live", type=Path, default=Path("playbook-live"), help="folder of playbook_live.py")
    places(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
