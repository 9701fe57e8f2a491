"""Real images: scikit-learn's bundled digits, or IDX files such as MNIST's."""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

IDX_NAMES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


@dataclass(frozen=True, repr=False)
class Images:
    """Grey images with labels.

    Attributes
    ----------
    name : str
    pixels : integer array (images, height, width), from 0 to `white`
    labels : int64 array (images,)
    white : the largest value a pixel can have
    """

    name: str
    pixels: np.ndarray
    labels: np.ndarray
    white: int

    def __repr__(self) -> str:
        count, height, width = self.pixels.shape
        return f"Images({self.name}: {count} of {height} x {width} pixels, {np.unique(self.labels).size} classes)"

    def features(self, which=slice(None)) -> np.ndarray:
        """Images as rows of float32 numbers in [0, 1], shape (images, height * width).

        Parameters
        ----------
        which : an index, indices, a mask or a slice; all if left out

        Raises
        ------
        ValueError
            When it is none of these, or chooses no image, or one that is not there.
        """
        told = f"which must be indices, a mask or a slice that choose of {len(self.pixels)} images, got {which!r}"
        try:
            chosen = self.pixels[which if isinstance(which, slice) else np.asarray(which)]
        except (IndexError, TypeError, ValueError) as error:
            raise ValueError(f"{told}: {error}") from error
        if chosen.ndim == 2:
            chosen = chosen[None]
        if chosen.ndim != 3 or not len(chosen):
            raise ValueError(told)
        return chosen.reshape(len(chosen), -1).astype(np.float32) / np.float32(self.white)


def load_images(data_dir: str | Path | None = None, split: str = "train") -> Images:
    """scikit-learn's digits (1797 images of 8 x 8), or the IDX files under `data_dir`.

    Parameters
    ----------
    data_dir : path, optional
        A folder with ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte`` (``t10k-...`` for the test split), or
        without them torchvision's layout ``<data_dir>/MNIST/raw``; each file plain or with ``.gz``.
    split : ``"train"`` or ``"test"``
        The digits come in one piece, which is called ``"train"``.

    Raises
    ------
    FileNotFoundError
        When the folder or a file is missing.
    ValueError
        For a damaged file (see :func:`read_idx`), images and labels that do not belong together, an unknown split, or
        a test split of the digits.
    """
    if not isinstance(split, str) or split not in IDX_NAMES:
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    if data_dir is None:
        if split != "train":
            raise ValueError(f"split must be 'train' for the digits, which come in one piece, got {split!r}")
        return _digits()
    image_file, label_file = _find_files(Path(data_dir), IDX_NAMES[split])
    pixels, labels = read_idx(image_file, 3), read_idx(label_file, 1)
    if len(pixels) != len(labels):
        raise ValueError(
            f"{image_file} and {label_file} must have as many labels as images, "
            f"got {len(labels)} labels and {len(pixels)} images"
        )
    return Images(str(data_dir), pixels, labels.astype(np.int64), 255)


def _digits() -> Images:
    try:
        from sklearn.datasets import load_digits  # a second of import time that IDX users need not pay
    except ModuleNotFoundError as error:
        raise ImportError("the digits need scikit-learn: pip install goldstone-propagation[simulate]") from error

    digits = load_digits()
    return Images("digits", digits.images.astype(np.uint8), digits.target.astype(np.int64), 16)


def _find_files(data_dir: Path, names: tuple[str, str]) -> tuple[Path, Path]:
    if not data_dir.is_dir():
        raise FileNotFoundError(f"data_dir must be a folder with IDX files, got {data_dir}, which is no folder")
    inside = [folder for folder in sorted(data_dir.glob("*/raw")) if _file_in(folder, names[0])]
    folders = [data_dir] if _file_in(data_dir, names[0]) else inside
    if not folders:
        raise FileNotFoundError(f"no {names[0]} (or .gz) in {data_dir} or {data_dir}/*/raw")
    if len(folders) > 1:
        raise ValueError(f"data_dir must hold one data set, got {data_dir} with {', '.join(map(str, folders))}")
    image_file, label_file = (_file_in(folders[0], name) for name in names)
    if image_file is None or label_file is None:
        raise FileNotFoundError(f"no {names[1]} (or .gz) in {folders[0]}, beside {image_file}")
    return image_file, label_file


def _file_in(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def read_idx(path: str | Path, dimensions: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes, plain or gzipped.

    The format: a magic number 0x000008nn with nn the number of dimensions, that many sizes as big-endian 32-bit
    integers, and the bytes.

    Returns
    -------
    uint8 array with `dimensions` axes.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        For a wrong magic number, an empty, truncated or overlong file, or a damaged gzip stream.
    """
    path = Path(path)
    raw = unpacked(path)
    header = 4 * (1 + dimensions)
    wanted = 0x0800 + dimensions
    magic = int.from_bytes(raw[:4], "big")
    if len(raw) >= 4 and magic != wanted:
        raise ValueError(f"{path} must begin with the magic number 0x{wanted:08x}, got 0x{magic:08x}")
    if len(raw) < header:
        raise ValueError(f"{path} must have a header of {header} bytes, got {len(raw)} bytes: the file is truncated")
    shape = tuple(int(size) for size in np.frombuffer(raw, ">u4", dimensions, 4))
    if math.prod(shape) == 0:
        raise ValueError(f"{path} must not be empty, got the shape {shape}")
    if len(raw) != header + math.prod(shape):
        fault = "truncated" if len(raw) < header + math.prod(shape) else "too long"
        raise ValueError(
            f"{path} must hold {math.prod(shape)} bytes for the shape {shape}, got {len(raw) - header}: it is {fault}"
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)


def unpacked(path: Path) -> bytes:
    raw = path.read_bytes()
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} must be a whole gzip stream, got a truncated or damaged one: {error}") from error
