"""Mistakes of the user, each told in one sentence: the rule, the value that broke it, the remedy."""


class ZeroinError(Exception):
    """Base of all errors that a user can mend; the command line prints the sentence and exits with 2."""


class SpaceError(ZeroinError):
    """A hyperparameter or a space that cannot be searched."""


class TaskError(ZeroinError):
    """A task, its data or its objective that cannot be trained."""


class StoreError(ZeroinError):
    """A store that cannot be opened, read or written."""


class PlaybookError(ZeroinError):
    """A playbook that cannot be read or written, or a study that teaches nothing."""


class StudyError(ZeroinError):
    """A study that cannot be started or continued as asked."""
