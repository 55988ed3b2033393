"""A study's report, written: its numbers, what mattered by the model, and how it trained, on one page."""

from pathlib import Path

from zeroin.history import History
from zeroin.search.importance import importances
from zeroin.space import Space


def write_report(
    target: Path, name: str, space: Space, history: History, goal: str, folder: Path | None = None
) -> Path:
    """Write the report of a study, one HTML file that opens offline.

    Args:
        target: the file.
        name, space, history, goal: of the study.
        folder: where its files lie, if it has any.

    Returns:
        The path of the page.

    Raises:
        StudyError: the page cannot be written.
    """
    from zeroin.report import page, summary  # noqa: PLC0415  a fifth of the time that `import zeroin` would take

    mattered = importances(space, history, max_epochs=history.max_epochs)
    said = summary.settings_of(folder) if folder else {}
    return page.write(summary.summarise(name, space, history, goal, settings=said, importance=mattered), target)
