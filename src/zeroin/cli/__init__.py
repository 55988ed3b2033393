"""The command line: a file for each group of verbs. A verb imports what it needs: reading a store stays quick."""

import sys
import warnings

import click

from zeroin.cli import norm, playbook, predict, read, tasks, tune
from zeroin.errors import ZeroinError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="zeroin")
def cli() -> None:
    """Find good hyperparameters for a neural network."""


for verb in (
    tune.tune,
    tasks.tasks,
    predict.predict,
    read.status,
    read.watch,
    read.report,
    read.export,
    read.catalogue,
    norm.audit,
    norm.effect,
    playbook.playbook,
    playbook.compare,
):
    cli.add_command(verb)


def main() -> None:
    """The command `zeroin`: a user's mistake is one sentence and exit status 2, never a traceback."""
    warnings.showwarning = lambda message, *_: click.echo(f"note: {message}", err=True)
    try:
        cli(standalone_mode=False)
    except ZeroinError as error:
        click.echo(f"zeroin: {error}", err=True)
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
