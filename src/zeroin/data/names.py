"""What the name of a file says that it holds."""

from pathlib import Path

TEXT, PARQUET, ARRAYS = (".csv", ".tsv", ".txt"), (".parquet", ".pq"), (".npz",)
DATA = (*TEXT, *PARQUET, *ARRAYS)
PACKED = ".gz"


def suffix(path: Path) -> str:
    """How a file's name ends, in small letters, without what says that it is packed.

    >>> suffix(Path("houses.CSV")), suffix(Path("houses.csv.gz"))
    ('.csv', '.csv')
    """
    return (path.with_suffix("") if is_packed(path) else path).suffix.lower()


def stem(path: Path) -> str:
    """A file's name without how it ends.

    >>> stem(Path("data/houses.csv.gz")), stem(Path("v1.2.csv"))
    ('houses', 'v1.2')
    """
    return (path.with_suffix("") if is_packed(path) else path).stem


def is_packed(path: Path) -> bool:
    """Whether a file is packed by gzip."""
    return path.suffix.lower() == PACKED
