"""Reading folders of images, one folder for each class, as arrays of one size."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageOps

from zeroin.errors import TaskError
from zeroin.wording import counted, first_line

LARGEST, SMALLEST = 64, 8  # pixels of a side; larger images are scaled down
GREY = ("1", "L", "LA", "I;16", "I", "F")  # Pillow's modes without colour
SIXTEEN = 257  # one of 256 levels is so many of 65,536
UNREAD = (".heic", ".heif", ".jxl", ".svg", ".dcm", ".dng", ".raw", ".arw", ".cr2", ".cr3", ".nef")  # not by Pillow
LOOKED_AT = 200  # images from which the size and the number of channels are inferred
SHOWN = 5  # files that an error names at most
UNOPENED = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # Pillow's errors for unreadable files

Pixels = NDArray[np.uint8]


def labelled(folder: Path, *, inner: bool = False) -> tuple[list[Path], pd.Series]:
    """The images of a folder, and the class of each: the name of the folder that it is in.

    Args:
        folder: with a folder for each class.
        inner: whether images are in folders within that of their class.

    Raises:
        TaskError: there is no folder with images in it; or, with `inner`, an image is directly in the folder of its
            class.
    """
    below = _folders(folder)
    found = {f.name: images_in(f) for f in below}
    if inner:
        if loose := [image for some in found.values() for image in some]:
            raise TaskError(
                f"with --group each image is in a folder within that of its class; {loose[0]} does not: make it "
                f"{loose[0].parent / 'tom' / loose[0].name}, or leave --group out."
            )
        found = {f.name: [image for one in _folders(f) for image in images_in(one)] for f in below}
    deeper = [f.name for f in below if not found[f.name] and any(g.is_dir() for g in f.iterdir())]
    deeper.sort(key=lambda name: "train" not in name.lower())
    if not any(found.values()):
        remedy = f"use {folder / deeper[0]}" if deeper else "make folder/cats/1.png, folder/dogs/1.png, ..."
        raise TaskError(
            f"a folder of images has one folder a class with images in it; {str(folder)!r} has "
            f"{f'folders such as {below[0].name!r} without images' if below else 'no folders'}: {remedy}."
        )
    paths = [path for images in found.values() for path in images]
    classes = [name for name, images in found.items() for _ in images]
    return paths, pd.Series(classes, name="class", dtype=object)


def left_out(folder: Path, *, inner: bool = False) -> Iterator[str]:
    """Notes on images and folders that are left out; `inner` as for `labelled`."""
    if loose := images_in(folder):
        yield f"beside the folders, and left out: {counted(len(loose), 'image')}, such as {loose[0].name!r}"
    for place in _folders(folder):
        depth = 2 if inner else 1  # of the images that are read, below their class
        depths = {len(image.relative_to(place).parts) for image in _below(place)}
        if depth not in depths:
            yield f"folder {place.name!r} has no images of its own and is left out"
        elif max(depths) > depth:
            yield f"images in folders within {place.name!r} are left out"
        yield from _unread(place)


def _unread(place: Path) -> Iterator[str]:
    """Notes on images in formats that Pillow cannot open, such as those of some telephones."""
    if unread := sorted(p for p in place.rglob("*") if p.suffix.lower() in UNREAD and not p.name.startswith(".")):
        kind = unread[0].suffix.lower()
        yield (
            f"{counted(len(unread), 'image')} of {place.name!r}, such as {unread[0].name!r}, "
            f"{'is' if len(unread) == 1 else 'are'} left out: Pillow opens no {kind}; save as .jpg or .png"
        )


def _folders(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))


def _below(folder: Path) -> list[Path]:
    """The images of a folder and of all folders in it, by name."""
    return sorted(p for p in folder.rglob("*") if _is_image(p.relative_to(folder)))


def images_in(folder: Path) -> list[Path]:
    """The images directly in a folder, by name."""
    return sorted(p for p in folder.iterdir() if _is_image(p.relative_to(folder)))


def images_below(place: Path) -> list[Path]:
    """The images of a folder and of the folders in it; or the single image that a path names.

    Raises:
        TaskError: there are none.
    """
    found = [place] if place.is_file() else _below(place)
    if not found:
        raise TaskError(f"images are predicted from a folder of them, or from one; {str(place)!r}: check the path.")
    return found


def _is_image(path: Path) -> bool:
    """Whether a file is an image by its name, and not hidden: macOS writes `._1.jpg` beside `1.jpg`."""
    hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix.lower() in Image.registered_extensions() and not hidden


def form_of(paths: Sequence[Path]) -> tuple[int, int]:
    """The channels (1 for grey, 3 for colour) and the pixels of a side that suit these images.

    Unreadable files are ignored here; `pixels` reports them all.
    """
    chosen = [paths[int(i)] for i in np.linspace(0, len(paths) - 1, min(len(paths), LOOKED_AT))]
    sides: list[int] = []
    grey = True
    for path in chosen:
        try:
            with _opened(path) as image:
                sides.append(max(image.size))
                grey &= image.mode in GREY
        except UNOPENED:
            continue
    return 1 if grey else 3, int(np.clip(np.median(sides or SMALLEST), SMALLEST, LARGEST))


def pixels(paths: Sequence[Path], channels: int, size: int) -> Pixels:
    """Images as [N, channels, size, size], stretched to squares.

    Raises:
        TaskError: some files cannot be read; it names them together, so that they can be removed at once.
    """
    out = np.empty((len(paths), channels, size, size), np.uint8)
    odd: dict[Path, str] = {}
    for place, path in zip(out, paths, strict=True):
        try:
            with _opened(path) as image:
                mode = "L" if channels == 1 else "RGB"
                square = _plain(ImageOps.exif_transpose(image)).convert(mode).resize((size, size))
        except UNOPENED as error:
            odd[path] = first_line(error).partition(",")[0]
        else:
            place[:] = np.asarray(square).reshape(size, size, channels).transpose(2, 0, 1)
    if odd:
        told = "; ".join(f"{path.parent.name}/{path.name}: {why}" for path, why in list(odd.items())[:SHOWN])
        more = f"{len(odd):,} of {len(paths):,} are not, such as " if len(odd) > 1 else ""
        them, it = ("them", "each") if more else ("it", "it")
        raise TaskError(f"an image file is one that Pillow can open; {more}{told}: remove {them}, or save {it} anew.")
    return out


def _plain(image: Image.Image) -> Image.Image:
    """The image with eight bits per channel, on a white background where it is transparent.

    Pillow itself would clip deeper images at 255, and show the hidden colour of transparent pixels, usually black.
    """
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image, np.float64) / SIXTEEN).clip(0, 255).astype(np.uint8))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return image


def _opened(path: Path) -> Image.Image:
    image = Image.open(path)
    image.load()
    if image.mode == "F" or (image.mode == "I" and np.asarray(image).max() > 255 * SIXTEEN):
        raise ValueError("more than 16 bits a pixel")
    return image
