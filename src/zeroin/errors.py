"""The user's mistakes. Each message is one sentence: the rule, the value that broke it, and what to do instead."""


class ZeroinError(Exception):
    """Base class of all errors that a user can fix; the command line prints the message and exits with status 2.

    >>> from zeroin import Float
    >>> try:
    ...     Float(1.0, 0.1)
    ... except ZeroinError as error:
    ...     print(error)
    low is below high; Float(1.0, 0.1): use Float(0.1, 1.0).
    """


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
