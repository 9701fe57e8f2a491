"""The images that networks are trained on: a train and a test set, as rows of one scale.

MNIST and Fashion-MNIST come from a folder of IDX files or are downloaded once; what is downloaded must have the right
contents (its checksum is that of the decompressed file, as the same contents are packed in more than one way).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from meanfield.checks import whole_number
from simulate.data import IDX_NAMES, Images, load_images, unpacked

CLASSES = 10

# sha256 of the decompressed files
CHECKSUMS = {
    "mnist": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}
URLS = {
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "fashion-mnist": "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
}
TORCHVISION = {"mnist": "MNIST/raw", "fashion-mnist": "FashionMNIST/raw"}


@dataclass(frozen=True)
class Source:
    """Which images, in plain values, so that it can be sent to another process.

    Attributes
    ----------
    name : ``"digits"``, ``"mnist"`` or ``"fashion-mnist"``
    data_dir : folder with the IDX files; None downloads them into pooch's cache. The digits need neither.
    train, test : how many images to use, from the first; None uses all
    """

    name: str = "digits"
    data_dir: str | None = None
    train: int | None = None
    test: int | None = None

    def __post_init__(self) -> None:
        if self.name != "digits" and self.name not in CHECKSUMS:
            raise ValueError(f"name must be 'digits', {' or '.join(map(repr, CHECKSUMS))}, got {self.name!r}")
        for field in ("train", "test"):
            if getattr(self, field) is not None:
                whole_number(field, getattr(self, field), 1)


@dataclass(frozen=True, repr=False)
class Data:
    """Train and test images with labels.

    Attributes
    ----------
    name : str
    canonical : whether every file used has the contents of the data set it is named after
    train, test : float32 (images, features), each of norm sqrt(features)
    train_labels, test_labels : int64 (images,)
    """

    name: str
    canonical: bool
    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray

    def __repr__(self) -> str:
        return f"Data({self.name}: {len(self.train)} to train, {len(self.test)} to test, {self.features} features)"

    @property
    def features(self) -> int:
        return self.train.shape[1]

    @cached_property
    def digest(self) -> str:
        """sha256 of images and labels, as they are trained on."""
        return digest(self.train, self.train_labels, self.test, self.test_labels)


@lru_cache(maxsize=2)
def load(source: Source) -> Data:
    """Read the images of a source; the same arrays for every caller in this process, which must not change them.

    Raises
    ------
    FileNotFoundError
        When the folder or a file is missing.
    ValueError
        For damaged files (:func:`simulate.load_images`), labels outside 0..9, black images, train and test images of
        different sizes, more images asked for than there are, a folder that holds another data set than the one named,
        and downloads with the wrong contents.
    """
    if source.name == "digits":
        train, test = _digits()
        canonical = True
    else:
        folder, canonical = locate(source.name, source.data_dir)
        train, test = load_images(folder, "train"), load_images(folder, "test")
    check(train, test)
    parts = (_rows(train, source.train, "train"), _rows(test, source.test, "test"))
    return Data(source.name, canonical, *parts[0], *parts[1])


def check(train: Images, test: Images) -> None:
    """Whether two sets of images can be trained and tested on.

    Raises
    ------
    ValueError
        For images of two sizes, and labels outside 0..9.
    """
    if train.pixels.shape[1:] != test.pixels.shape[1:]:
        raise ValueError(
            f"train and test images must have one size, got {train.pixels.shape[1:]} and {test.pixels.shape[1:]}"
        )
    for split, images in (("train", train), ("test", test)):
        labels = images.labels
        if labels.min() < 0 or labels.max() >= CLASSES:
            raise ValueError(f"labels of {images.name} must be 0..{CLASSES - 1}, got {labels.max()} in the {split} set")


def locate(name: str, data_dir: str | Path | None) -> tuple[Path, bool]:
    """The folder with the IDX files of a data set, and whether they have its contents; without `data_dir` a download.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`load`.
    """
    folder = _download(name) if data_dir is None else find(name, data_dir)
    return folder, _identify(name, folder)


def find(name: str, data_dir: str | Path) -> Path:
    """The folder with the IDX files of a data set: `data_dir`, or torchvision's or a like-named folder in it.

    Raises
    ------
    FileNotFoundError
        When there is none.
    ValueError
        For another name than ``"mnist"`` and ``"fashion-mnist"``.
    """
    if name not in TORCHVISION:
        raise ValueError(f"name must be {' or '.join(map(repr, TORCHVISION))}, got {name!r}")
    root = Path(data_dir)
    if not root.is_dir():
        raise FileNotFoundError(f"data_dir must be a folder with IDX files, got {root}, which is no folder")
    wanted = IDX_NAMES["train"][0]
    inside = TORCHVISION[name]
    # the data set's own folder first: a folder may hold several of them
    for folder in (root / inside, root / name, root / Path(inside).parent, root, root / "raw"):
        if any((folder / f"{wanted}{ending}").is_file() for ending in ("", ".gz")):
            return folder
    raise FileNotFoundError(f"no {wanted} (or .gz) of {name} in {root}, {root / inside} or {root / name}")


def digest(*arrays: np.ndarray) -> str:
    """sha256 of arrays' numbers, one after the other."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


def checksum(path: str | Path) -> str:
    """sha256 of a file's contents, decompressed where it is gzipped.

    Raises
    ------
    ValueError
        For a damaged gzip stream.
    """
    return hashlib.sha256(unpacked(Path(path))).hexdigest()


def _identify(name: str, folder: Path) -> bool:
    """Whether the files have the contents of the data set; an error where they have those of another one."""
    found = {}
    for file in CHECKSUMS[name]:
        paths = (folder / file, folder / f"{file}.gz")
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise FileNotFoundError(f"no {file} (or .gz) in {folder}")
        found[file] = checksum(path)
    for other, sums in CHECKSUMS.items():
        if other != name and any(found[file] == sums[file] for file in found):
            raise ValueError(f"data_dir must hold {name}, got {folder}, which holds files of {other}")
    return found == CHECKSUMS[name]


def _download(name: str) -> Path:
    try:
        import pooch  # only where something is to be downloaded
    except ModuleNotFoundError as error:
        told = f"a download needs {error.name}: pip install goldstone-propagation[training]"
        raise ImportError(told) from error
    folder = Path(pooch.os_cache("goldstone-propagation")) / name
    for file, wanted in CHECKSUMS[name].items():
        path = Path(pooch.retrieve(f"{URLS[name]}{file}.gz", known_hash=None, fname=f"{file}.gz", path=folder))
        try:
            got = checksum(path)
        except ValueError:
            got = "none: a damaged gzip stream"
        if got != wanted:
            path.unlink()  # so that the next attempt downloads it again
            raise ValueError(f"{URLS[name]}{file}.gz must contain a file of sha256 {wanted}, got {got}; it was removed")
    return folder


def _digits() -> tuple[Images, Images]:
    """Every fifth of scikit-learn's digits is a test image."""
    images = load_images()
    held_out = np.arange(len(images.labels)) % 5 == 4
    train, test = (
        Images(images.name, images.pixels[which], images.labels[which], images.white) for which in (~held_out, held_out)
    )
    return train, test


def _rows(images: Images, count: int | None, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images of norm sqrt(features), and labels."""
    if count is not None and count > len(images.labels):
        raise ValueError(f"{split} must be at most {len(images.labels)}, the images of {images.name}, got {count}")
    features, labels = images.features(slice(count)), images.labels[:count]
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    if not norms.all():
        raise ValueError(f"images must not be all black, got one at index {int(np.argmin(norms))} of the {split} set")
    return features * (np.float32(np.sqrt(features.shape[1])) / norms), labels
