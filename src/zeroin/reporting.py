"""Making a study's report and writing it to a file."""

from pathlib import Path

from zeroin.atomic import atomic_write
from zeroin.errors import StudyError
from zeroin.header import Header
from zeroin.history import History
from zeroin.search.importance import importances
from zeroin.store import check_output


def report_of(header: Header, history: History, folder: Path | None = None) -> str:
    """The report of a study as HTML, one page that opens offline.

    Args:
        header: what the study is.
        history: what it saw.
        folder: of its files, if it has any.
    """
    from zeroin.report import page, summary  # noqa: PLC0415  a fifth of the time that `import zeroin` would take

    trained = summary.trained_as(folder) if folder else ""
    return page.render(summary.summarise(header, history, trained, importances(header.space, history)))


def write_report(target: Path, text: str) -> Path:
    """Write a report atomically: whoever reads the file sees the old report or the new one, never a part of it.

    Args:
        target: the HTML file, ~ standing for the home folder; its folder is created if it is missing.
        text: the page.

    Returns:
        The path of the file.

    Raises:
        StudyError: the folder cannot be written to, or the disk is full.
        StoreError: the file is a store.
    """
    target = target.expanduser()
    try:
        check_output(target)
        target.resolve().parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as file:
            file.write(text.encode())
    except OSError as error:
        raise StudyError(
            f"a report goes to a file that can be written; {target}: {error.strerror}: choose another, or free some "
            f"space; what was observed is kept."
        ) from error
    return target
