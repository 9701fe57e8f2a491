import gzip

import numpy as np
import pytest

from simulate import Images, load_images, read_idx
from tests.idx_files import idx

PIXELS = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
LABELS = np.array([7, 1, 7], dtype=np.uint8)


def write(folder, pixels=PIXELS, labels=LABELS, prefix="train", pack=lambda raw: raw, ending=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{prefix}-images-idx3-ubyte{ending}").write_bytes(pack(idx(pixels)))
    (folder / f"{prefix}-labels-idx1-ubyte{ending}").write_bytes(pack(idx(labels)))


def test_digits_are_the_default():
    images = load_images()
    assert images.pixels.shape == (1797, 8, 8)
    assert images.features().dtype == np.float32
    assert images.features().max() == 1.0
    assert images.features().min() == 0.0
    assert repr(images) == "Images(digits: 1797 of 8 x 8 pixels, 10 classes)"
    np.testing.assert_array_equal(images.labels[:10], np.arange(10))  # scikit-learn's order


@pytest.mark.parametrize(
    ("which", "chosen"),
    [(1, [1]), (np.int64(-1), [2]), ((2, 0), [2, 0]), (LABELS == 7, [0, 2]), (slice(1, None), [1, 2])],
)
def test_images_by_index_mask_or_slice(which, chosen):
    images = Images("three", PIXELS, LABELS.astype(np.int64), 100)
    np.testing.assert_allclose(images.features(which), PIXELS[chosen].reshape(len(chosen), 20) / 100.0, rtol=1e-6)


@pytest.mark.parametrize("which", [[], slice(0), [3], 3, [1.0], "1", None, [[0, 1]], True, [[0], [1, 2]], [False] * 3])
def test_images_that_cannot_be_chosen(which):
    images = Images("three", PIXELS, LABELS.astype(np.int64), 100)
    with pytest.raises(ValueError, match="which must be indices, a mask or a slice that choose of 3 images, got "):
        images.features(which)


@pytest.mark.parametrize("where", ["", "MNIST/raw"])
@pytest.mark.parametrize(("pack", "ending"), [(lambda raw: raw, ""), (gzip.compress, ".gz")])
def test_idx_files_flat_or_as_torchvision_leaves_them(tmp_path, where, pack, ending):
    write(tmp_path / where, pack=pack, ending=ending)
    images = load_images(tmp_path)
    np.testing.assert_array_equal(images.pixels, PIXELS)
    np.testing.assert_array_equal(images.labels, [7, 1, 7])
    np.testing.assert_allclose(images.features([1])[0], PIXELS[1].ravel() / 255.0, rtol=1e-6)


def test_the_test_split(tmp_path):
    write(tmp_path, prefix="t10k")
    assert len(load_images(tmp_path, split="test").labels) == 3
    with pytest.raises(FileNotFoundError, match="no train-images-idx3-ubyte"):
        load_images(tmp_path)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (idx(PIXELS, magic=0x0801), r"magic number 0x00000803, got 0x00000801"),
        (idx(PIXELS, magic=0x0D03), r"magic number 0x00000803, got 0x00000d03"),
        (b"", r"header of 16 bytes, got 0 bytes"),
        (idx(PIXELS)[:10], r"header of 16 bytes, got 10 bytes"),
        (idx(PIXELS)[:-1], r"60 bytes for the shape \(3, 4, 5\), got 59: it is truncated"),
        (idx(PIXELS) + b"\0", r"60 bytes for the shape \(3, 4, 5\), got 61: it is too long"),
        (idx(PIXELS[:0]), r"must not be empty, got the shape \(0, 4, 5\)"),
        (gzip.compress(idx(PIXELS))[:-12], "truncated or damaged"),
        (b"\x1f\x8b" + b"not gzip at all", "truncated or damaged"),
    ],
    ids=[
        "labels-magic",
        "float-magic",
        "empty",
        "cut-header",
        "truncated",
        "too-long",
        "no-images",
        "cut-gzip",
        "no-gzip",
    ],
)
def test_damaged_files(tmp_path, raw, message):
    (tmp_path / "file").write_bytes(raw)
    with pytest.raises(ValueError, match=message):
        read_idx(tmp_path / "file", 3)


def test_labels_that_do_not_fit(tmp_path):
    write(tmp_path, labels=LABELS[:2])
    with pytest.raises(ValueError, match="2 labels and 3 images"):
        load_images(tmp_path)


def test_missing_things(tmp_path):
    with pytest.raises(FileNotFoundError, match="which is no folder"):
        load_images(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no train-images-idx3-ubyte"):
        load_images(tmp_path)
    write(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="no train-labels-idx1-ubyte"):
        load_images(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "nothing", 1)


def test_two_data_sets_in_one_folder(tmp_path):
    write(tmp_path / "MNIST" / "raw")
    write(tmp_path / "FashionMNIST" / "raw")
    with pytest.raises(ValueError, match="must hold one data set"):
        load_images(tmp_path)


def test_the_named_folder_s_own_files_come_first(tmp_path):
    write(tmp_path)
    write(tmp_path / "FashionMNIST" / "raw", labels=LABELS[::-1])
    np.testing.assert_array_equal(load_images(tmp_path).labels, LABELS)


def test_unknown_split():
    with pytest.raises(ValueError, match="split must be 'train' or 'test', got 'validation'"):
        load_images(split="validation")
    with pytest.raises(ValueError, match=r"split must be 'train' or 'test', got \['test'\]"):
        load_images(split=["test"])
    with pytest.raises(ValueError, match=r"split must be 'train' for the digits, .* got 'test'"):
        load_images(split="test")
