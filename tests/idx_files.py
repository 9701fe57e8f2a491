"""Small IDX files for the tests."""

import gzip
from pathlib import Path

import numpy as np

SIDE = 6


def idx(array, magic=None):
    """Contents of a file; its magic number is that of bytes in so many dimensions, if left out."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return (magic or 0x0800 + array.ndim).to_bytes(4, "big") + sizes + array.tobytes()


def images(count, seed, classes=10):
    """Images in which the label can be seen: noise, and one bright pixel for each class."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % classes).astype(np.uint8)
    pixels = rng.integers(0, 60, (count, SIDE, SIDE), dtype=np.uint8)
    pixels.reshape(count, -1)[np.arange(count), labels] = 255
    return pixels, labels


def write(folder: Path, train=60, test=30, packed=False, seed=0):
    """Both splits; returns the raw contents by file name."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for prefix, count, own in (("train", train, seed), ("t10k", test, seed + 1)):
        pixels, labels = images(count, own)
        found[f"{prefix}-images-idx3-ubyte"], found[f"{prefix}-labels-idx1-ubyte"] = idx(pixels), idx(labels)
    for name, raw in found.items():
        (folder / f"{name}{'.gz' if packed else ''}").write_bytes(gzip.compress(raw) if packed else raw)
    return found
