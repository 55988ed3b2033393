"""`zeroin tasks`: lists the ready-made tasks."""

import json
from dataclasses import asdict

import click

from zeroin.cli.options import JSON, print_table
from zeroin.tasks import PROMISED, TASKS, Ready
from zeroin.wording import value_words

MINUTES = "\nCore minutes: on %s. Others may take a quarter or several times as much, as `zeroin tune NAME` tells."
COLUMNS = ("task", "field", "data", "metric", "core minutes", "default", "tuned")


@click.command()
@JSON
def tasks(as_json: bool) -> None:
    """List the ready-made tasks; `zeroin tune NAME` tunes one.

    Each with its data, its metric (for mase lower is better), the minutes that tuning takes on one core, and the test
    scores of the default config and of the tuned one.
    """
    if as_json:
        rows = [{k: v for k, v in asdict(ready).items() if k != "module"} for ready in TASKS.values()]
        click.echo(json.dumps(rows, indent=1))
        return
    print_table(COLUMNS, map(_row, TASKS.values()), 120)
    click.echo(MINUTES % PROMISED["machine"], err=True)  # beside the table, not in it


def _row(ready: Ready) -> tuple[str, ...]:
    figures = (ready.minutes, ready.default, ready.tuned)
    known = ("-" if value is None else value_words(value) for value in figures)
    return ready.name, ready.field, ready.size, ready.metric, *known
