"""What a file contains, by its name."""

from pathlib import Path

TEXT, PARQUET, ARRAYS = (".csv", ".tsv", ".txt"), (".parquet", ".pq"), (".npz",)
DATA = (*TEXT, *PARQUET, *ARRAYS)
PACKED, OTHERWISE = ".gz", (".zip", ".bz2", ".xz", ".zst", ".7z", ".tar", ".tgz")  # the others are not read


def suffix(path: Path) -> str:
    """The suffix of a file's name in lower case, without that of a packed file.

    >>> suffix(Path("houses.CSV")), suffix(Path("houses.csv.gz"))
    ('.csv', '.csv')
    """
    return (path.with_suffix("") if is_packed(path) else path).suffix.lower()


def stem(path: Path) -> str:
    """A file's name without its suffixes.

    >>> stem(Path("data/houses.csv.gz")), stem(Path("v1.2.csv"))
    ('houses', 'v1.2')
    """
    return (path.with_suffix("") if is_packed(path) else path).stem


def is_packed(path: Path) -> bool:
    """Whether a file is packed by gzip."""
    return path.suffix.lower() == PACKED


def remedy(path: Path) -> str:
    """What to do with a file that is no table by its name.

    >>> remedy(Path("a.csv.zip")), remedy(Path("a.xlsx"))
    ('unpack it, or pack it by gzip', 'save it as CSV with commas')
    """
    return "unpack it, or pack it by gzip" if path.suffix.lower() in OTHERWISE else "save it as CSV with commas"
