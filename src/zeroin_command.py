"""The command `zeroin` begins here, outside the package, as importing that takes half a second in which one may think
better of it: Ctrl-C then ends it as quietly as later."""

import sys


def main() -> None:
    """Import the command line and run it; interrupted in between, exit status 130."""
    try:
        from zeroin.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
