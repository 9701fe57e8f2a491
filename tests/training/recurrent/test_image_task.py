import gzip

import numpy as np
import pytest
import torch

from simulate import load_images
from tests.idx_files import idx
from training.data import locate
from training.recurrent import ImageTask, Setting, job


@pytest.fixture(scope="module")
def digits():
    return ImageTask()


def test_digits_are_split_without_overlap(digits):
    assert [len(part) for part in (digits.train, digits.validation, digits.test)] == [1297, 200, 300]
    rows = torch.cat([part.pixels for part in (digits.train, digits.validation, digits.test)])
    images = load_images()
    original = images.pixels.reshape(1797, 64)[:, digits.order]
    # all 1797 images, each as often as it is there
    assert sorted(map(bytes, rows.numpy())) == sorted(map(bytes, original))


def test_pixels_come_in_one_fixed_order(digits):
    again, plain = ImageTask(), ImageTask(permuted=False)
    assert np.array_equal(np.sort(digits.order), np.arange(64))
    assert np.array_equal(digits.order, again.order)
    assert not np.array_equal(digits.order, plain.order)
    for part in ("train", "validation", "test"):
        ours, straight = getattr(digits, part), getattr(plain, part)
        assert torch.equal(ours.pixels, straight.pixels[:, digits.order])
        assert torch.equal(ours.labels, straight.labels)
    x, labels = digits.test[:2]
    assert x.shape == (2, 64, 1)
    torch.testing.assert_close(x[..., 0], digits.test.pixels[:2] / 16)
    assert labels.shape == (2,)


def test_order_and_split_are_those_of_the_committed_results(digits):
    """Another permutation would be another task: its numbers could not be compared."""
    images = load_images()
    order = np.random.default_rng(0).permutation(64)
    split = np.random.default_rng([0, 1]).permutation(1797)
    np.testing.assert_array_equal(digits.order, order)
    wanted = images.pixels.reshape(1797, 64)[split][:, order]
    parts = (digits.validation, slice(200)), (digits.test, slice(200, 500)), (digits.train, slice(500, None))
    for part, which in parts:
        np.testing.assert_array_equal(part.pixels, wanted[which])
        np.testing.assert_array_equal(part.labels, images.labels[split][which])


def test_labels_stay_with_their_images(digits):
    images = load_images()
    known = {bytes(row): label for row, label in zip(images.pixels.reshape(1797, 64), images.labels, strict=True)}
    plain = ImageTask(permuted=False)
    assert all(
        known[bytes(row)] == label for row, label in zip(plain.train.pixels.numpy(), plain.train.labels, strict=True)
    )


def test_an_epoch_has_each_image_once(digits):
    steps = digits.batches(500)
    assert steps == 3
    for first in (0, steps):
        labels = torch.cat([digits.batch(first + i, 500, [3])[1][0] for i in range(steps)])
        pixels = torch.cat([digits.batch(first + i, 500, [3])[0][0, :, :, 0] for i in range(steps)])
        assert len(labels) == 1297
        wanted = np.sort((digits.train.pixels.numpy() / np.float32(16)).sum(1))
        np.testing.assert_allclose(np.sort(pixels.sum(1)), wanted, rtol=1e-6)
    first, second = digits.batch(0, 500, [3])[1], digits.batch(steps, 500, [3])[1]
    assert not torch.equal(first, second)
    both = digits.batch(0, 500, [5, 3])
    assert torch.equal(both[1][1], first[0])
    assert not torch.equal(both[1][0], both[1][1])


def write(path, array):
    path.write_bytes(gzip.compress(idx(array.astype(np.uint8)), 1))


def test_a_folder_like_mnist(tmp_path):
    """57 training images beyond the 3,000 held out, told apart by the number written in their first two pixels."""
    rng = np.random.default_rng(0)
    for name, count in (("train", 3057), ("t10k", 40)):
        pixels = rng.integers(0, 256, (count, 4, 4))
        pixels[:, 0, 0], pixels[:, 0, 1] = np.divmod(np.arange(count), 256)
        write(tmp_path / f"{name}-images-idx3-ubyte.gz", pixels)
        write(tmp_path / f"{name}-labels-idx1-ubyte.gz", np.arange(count) % 10)
    task = ImageTask(tmp_path, permuted=False)
    assert [len(part) for part in (task.train, task.validation, task.test)] == [57, 3000, 40]
    parts = {"train": task.train, "validation": task.validation, "test": task.test}
    numbers = {name: part.pixels[:, 0].int() * 256 + part.pixels[:, 1] for name, part in parts.items()}
    assert sorted(torch.cat([numbers["train"], numbers["validation"]]).tolist()) == list(range(3057))
    assert numbers["test"].tolist() == list(range(40))
    assert torch.equal(task.train.labels, numbers["train"] % 10)
    assert task.train.white == 255


def test_too_few_images(tmp_path):
    for name in ("train", "t10k"):
        write(tmp_path / f"{name}-images-idx3-ubyte.gz", np.zeros((20, 2, 2)))
        write(tmp_path / f"{name}-labels-idx1-ubyte.gz", np.zeros(20))
    with pytest.raises(ValueError, match="data_dir must hold more than 3000 training images, got 20"):
        ImageTask(tmp_path)
    write(tmp_path / "train-images-idx3-ubyte.gz", np.zeros((3000, 2, 2)))
    write(tmp_path / "train-labels-idx1-ubyte.gz", np.zeros(3000))
    with pytest.raises(ValueError, match="data_dir must hold more than 3000 training images, got 3000"):
        ImageTask(tmp_path)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("t10k-labels-idx1-ubyte", np.full(40, 200), "labels of .* must be 0..9, got 200 in the test set"),
        ("train-labels-idx1-ubyte", np.full(3057, 10), "labels of .* must be 0..9, got 10 in the train set"),
        ("t10k-images-idx3-ubyte", np.ones((40, 9, 9)), r"must have one size, got \(6, 6\) and \(9, 9\)"),
        ("t10k-images-idx3-ubyte", np.ones((40, 4, 4)), r"must have one size, got \(6, 6\) and \(4, 4\)"),
    ],
    ids=["test labels", "train labels", "larger", "smaller"],
)
def test_files_that_do_not_fit(tmp_path, name, array, message):
    for split, count in (("train", 3057), ("t10k", 40)):
        write(tmp_path / f"{split}-images-idx3-ubyte.gz", np.ones((count, 6, 6)))
        write(tmp_path / f"{split}-labels-idx1-ubyte.gz", np.zeros(count))
    write(tmp_path / f"{name}.gz", array)
    with pytest.raises(ValueError, match=message):
        ImageTask(tmp_path)


def test_a_run_reads_the_files_once(tmp_path, monkeypatch):
    for split, count in (("train", 3057), ("t10k", 40)):
        write(tmp_path / f"{split}-images-idx3-ubyte.gz", np.ones((count, 4, 4)))
        write(tmp_path / f"{split}-labels-idx1-ubyte.gz", np.zeros(count))
    found = []
    monkeypatch.setattr(job, "locate", lambda *where: (found.append(where), locate(*where))[1])
    part = job.Job((Setting("RNN", 4), Setting("GRU", 4)), epochs=2, images="mnist", data_dir=str(tmp_path))
    assert [each.work / each.cost for each in part.split()] == [2, 2]
    one, two = (each.start().task for each in part.split())
    assert len(found) == 1
    assert one is not two  # each is moved to the device of its own job
    assert one.train.labels is two.train.labels


def test_repr_is_a_summary():
    assert repr(ImageTask()) == "ImageTask(64 pixels, permuted: 1297 to train, 200 to validate, 300 to test)"
    assert "in order" in repr(ImageTask(permuted=False))
