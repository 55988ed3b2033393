"""The command line: a file for each group of verbs. Verbs themselves import what is slow: rich and PyTorch."""

import errno
import io
import os
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
    """The command `zeroin`. A user's mistake is reported in one sentence with exit status 2, never as a traceback."""
    warnings.showwarning = lambda message, *_: click.echo(f"note: {message}", err=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names and words that the terminal has no characters for
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
    except OSError as error:  # of standard output: refusals of files have sentences of their own
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes what is left when it ends
        click.echo(
            f"zeroin: what is shown goes where there is room; standard output: {error.strerror}: free some space, and "
            f"give the same command again; what was observed is kept.",
            err=True,
        )
        sys.exit(2)
