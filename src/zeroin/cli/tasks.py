"""`zeroin tasks`: lists the ready-made tasks."""

import json
import sys
from dataclasses import asdict

import click

from zeroin.tasks import TASKS
from zeroin.wording import value_words

COLUMNS = ("task", "field", "data", "metric", "core minutes", "default", "tuned")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def tasks(as_json: bool) -> None:
    """List the ready-made tasks; `zeroin tune NAME` tunes one.

    Each with its data, its metric (for mase lower is better), the minutes that tuning takes on one core, and the test
    scores of the default config and of the tuned one.
    """
    from rich.console import Console
    from rich.table import Table

    if as_json:
        rows = [{k: v for k, v in asdict(ready).items() if k != "module"} for ready in TASKS.values()]
        click.echo(json.dumps(rows, indent=1))
        return
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for r in TASKS.values():
        known = (r.minutes, r.default, r.tuned)
        figures = ["-" if value is None else value_words(value) for value in known]
        table.add_row(r.name, r.field, r.size, r.metric, *figures)
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)
