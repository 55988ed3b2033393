"""The file that says how a study's data were prepared, so that its best network can be used without the data."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zeroin.atomic import atomic_write

FILE = "preparation.json"  # in the study's folder


def write_preparation(folder: Path, preparation: Mapping[str, Any]) -> None:
    """Write the preparation to a study's folder, replacing the one that is there."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / FILE) as file:
        file.write(json.dumps(preparation).encode())


def read_preparation(folder: Path) -> dict[str, Any] | None:
    """The preparation in a study's folder, if there is one."""
    path = folder / FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
