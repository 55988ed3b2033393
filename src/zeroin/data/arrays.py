"""Reading arrays from .npz files."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroin.data.files import bytes_of
from zeroin.errors import TaskError
from zeroin.wording import first_line

LARGEST = float(np.finfo(np.float32).max)
ZIP = (b"PK\3\4", b"PK\5\6")  # how an .npz file begins, and one without arrays


def arrays(path: Path, *names: str, option: str = "") -> list[NDArray[Any]]:
    """The arrays with these names, which may be in upper or lower case.

    Args:
        path: of the .npz file.
        *names: of the arrays.
        option: of the command line that named them, if any, for errors.

    Raises:
        TaskError: it is not an .npz file, an array is missing, or one holds something other than numbers and words.
    """
    try:
        raw = bytes_of(path)
        if not raw.startswith(ZIP):
            raise TaskError(f"an .npz file holds arrays; {path.name} is none: use np.savez({path.name!r}, X=X, y=y).")
        with np.load(io.BytesIO(raw), allow_pickle=False) as file:
            held = {key.lower(): key for key in file.files}
            gone = [name for name in names if name.lower() not in held]
            if gone and option:
                raise TaskError(
                    f"{option} names an array; there is no array {gone[0]!r} among {', '.join(file.files)}: "
                    f"use {option} {file.files[-1]}."
                )
            if gone:
                raise TaskError(
                    f"an .npz file has {' and '.join(names)}; {path.name} has "
                    f"{', '.join(file.files) or 'none'}: use np.savez({path.name!r}, X=X, y=y)."
                )
            return [_usual(file[held[name.lower()]]) for name in names]
    except ValueError as error:  # what only pickle can read
        raise TaskError(
            f"an .npz file holds arrays of numbers; {path.name} has one of Python objects: "
            f"use np.savez({path.name!r}, X=X.astype(float), y=y.astype(str)), shorter sequences filled up with "
            f"zeros at their beginning."
        ) from error
    except (OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise TaskError(
            f"an .npz file holds arrays of numbers; {path.name}: {first_line(error)}: "
            f"use np.savez({path.name!r}, X=X, y=y)."
        ) from error


def _usual(array: NDArray[Any]) -> NDArray[Any]:
    """An array in this machine's order of bytes and in double precision at most, as pandas and PyTorch have it."""
    found = array.astype(array.dtype.newbyteorder("="), copy=False)
    return found.astype(np.float64) if found.dtype == np.longdouble else found


def as_inputs(path: Path, x: NDArray[Any]) -> NDArray[Any]:
    """Inputs as a network takes them: [N, F], [N, T, F], or images [N, C, S, S], which are padded to squares.

    Bytes [N, height, width] are grey images, not steps; of four axes the last holds the channels if it is the shortest.

    Raises:
        TaskError: they are not numbers, not finite, or have another number of axes.
    """
    if x.dtype.kind not in "fiub" or x.ndim not in (2, 3, 4) or not x.size:
        raise TaskError(
            f"X holds numbers [N, features], [N, steps, features] or images [N, channels, height, width]; "
            f"{path.name} has {x.dtype} {list(x.shape)}: reshape it."
        )
    if odd := int((~np.isfinite(x)).sum() if x.dtype.kind == "f" else 0):
        raise TaskError(
            f"data are finite numbers; {odd:,} of {x.size:,} of X in {path.name} are NaN or infinite: leave those "
            f"examples out, or fill the gaps."
        )
    if x.dtype.kind == "f" and (largest := float(np.abs(x).max())) > LARGEST:
        raise TaskError(
            f"numbers are at most {LARGEST:g}, as networks compute in float32; X in {path.name} has "
            f"{largest:g}: divide it."
        )
    if x.ndim == 3 and x.dtype == np.uint8:
        x = x[:, None]
    if x.ndim < 4:
        return x.astype(np.result_type(x, np.float32))  # of a time in seconds, single precision would leave minutes
    if x.shape[3] < min(x.shape[1:3]):
        x = x.transpose(0, 3, 1, 2)
    size = max(x.shape[2:])
    square = np.zeros((*x.shape[:2], size, size), np.uint8 if x.dtype == np.uint8 else np.float32)
    square[:, :, : x.shape[2], : x.shape[3]] = x
    return square
