import gzip
import hashlib
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from tests.idx_files import SIDE, idx, images, write
from training import data
from training.data import Source, checksum, find, load


@pytest.fixture(autouse=True)
def _nothing_kept():
    load.cache_clear()


def test_digits():
    found = load(Source())
    assert repr(found) == "Data(digits: 1438 to train, 359 to test, 64 features)"
    assert found.canonical
    # scikit-learn's first ten digits are 0..9: every fifth is held out
    np.testing.assert_array_equal(found.test_labels[:2], [4, 9])
    np.testing.assert_array_equal(found.train_labels[:8], [0, 1, 2, 3, 5, 6, 7, 8])


@pytest.mark.parametrize("where", ["", "FashionMNIST/raw", "FashionMNIST", "fashion-mnist", "raw"])
@pytest.mark.parametrize("packed", [False, True])
def test_layouts(tmp_path, where, packed):
    write(tmp_path / where, packed=packed)
    found = load(Source("fashion-mnist", str(tmp_path), train=40))
    assert (found.train.shape, found.test.shape) == ((40, SIDE**2), (30, SIDE**2))
    assert not found.canonical
    pixels, labels = images(60, 0)
    np.testing.assert_array_equal(found.train_labels, labels[:40])
    np.testing.assert_allclose(np.linalg.norm(found.train, axis=1), SIDE, rtol=1e-6)  # sqrt(features)
    first = pixels[0].ravel().astype(float)
    np.testing.assert_allclose(found.train[0], SIDE * first / np.linalg.norm(first), rtol=1e-6)


def test_a_folder_with_both_data_sets(tmp_path):
    write(tmp_path / "MNIST" / "raw", train=10)
    write(tmp_path / "FashionMNIST" / "raw", train=20)
    assert len(load(Source("mnist", str(tmp_path))).train) == 10
    assert len(load(Source("fashion-mnist", str(tmp_path))).train) == 20
    write(tmp_path, train=30)  # files beside the folders may be of either
    load.cache_clear()
    assert len(load(Source("mnist", str(tmp_path))).train) == 10


def test_the_checksum_is_that_of_the_contents(tmp_path):
    contents = b"the same contents"
    for name, raw in (
        ("plain", contents),
        ("fast.gz", gzip.compress(contents, 1)),
        ("slow.gz", gzip.compress(contents, 9)),
    ):
        (tmp_path / name).write_bytes(raw)
        assert checksum(tmp_path / name) == hashlib.sha256(contents).hexdigest()
    (tmp_path / "cut.gz").write_bytes(gzip.compress(contents)[:-4])
    with pytest.raises(ValueError, match="truncated or damaged"):
        checksum(tmp_path / "cut.gz")


def known(monkeypatch, name, contents):
    sums = {file: hashlib.sha256(raw).hexdigest() for file, raw in contents.items()}
    monkeypatch.setitem(data.CHECKSUMS, name, sums)


def test_canonical_contents_are_recognised_and_not_taken_for_others(tmp_path, monkeypatch):
    known(monkeypatch, "mnist", write(tmp_path, packed=True))
    assert load(Source("mnist", str(tmp_path))).canonical
    with pytest.raises(ValueError, match=r"must hold fashion-mnist, got .*, which holds files of mnist"):
        load(Source("fashion-mnist", str(tmp_path)))


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The files of `served`, as a web site; downloads go to `cache`."""
    served = tmp_path / "served"
    contents = write(served, packed=True)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=served)) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        monkeypatch.setitem(data.URLS, "mnist", f"http://127.0.0.1:{site.server_port}/")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield contents
        site.shutdown()


def test_download(server, monkeypatch, tmp_path):
    known(monkeypatch, "mnist", server)
    assert load(Source("mnist")).canonical
    load.cache_clear()
    monkeypatch.setitem(data.URLS, "mnist", "http://127.0.0.1:9/")  # what is there is not downloaded again
    assert len(load(Source("mnist")).test) == 30


def test_downloads_with_wrong_contents_are_refused_and_removed(server, tmp_path):
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz must contain a file of sha256 ba891046"):
        load(Source("mnist"))
    assert not list((tmp_path / "cache").rglob("*.gz"))


def test_damaged_downloads_are_removed_too(server, tmp_path):
    file = tmp_path / "served" / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"must contain a file of sha256 ba891046.*, got none: a damaged gzip"):
        load(Source("mnist"))
    assert not list((tmp_path / "cache").rglob("*.gz"))


def test_labels_out_of_range(tmp_path):
    write(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(30, 10, np.uint8)))
    with pytest.raises(ValueError, match=r"labels of .* must be 0..9, got 10 in the test set"):
        load(Source("mnist", str(tmp_path)))


def test_black_images(tmp_path):
    write(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((60, SIDE, SIDE), np.uint8)))
    with pytest.raises(ValueError, match="must not be all black, got one at index 0 of the train set"):
        load(Source("mnist", str(tmp_path)))


def test_images_of_two_sizes(tmp_path):
    write(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(np.ones((30, 4, 4), np.uint8)))
    with pytest.raises(ValueError, match=r"must have one size, got \(6, 6\) and \(4, 4\)"):
        load(Source("mnist", str(tmp_path)))


@pytest.mark.parametrize("name", sorted(data.CHECKSUMS["mnist"]))
def test_damaged_and_missing_files(tmp_path, name):
    write(tmp_path)
    raw = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(raw[:-1])
    with pytest.raises(ValueError, match=rf"{name} must hold .* truncated"):
        load(Source("mnist", str(tmp_path)))
    (tmp_path / name).write_bytes(b"\0\0\x0d" + raw[3:])
    with pytest.raises(ValueError, match=rf"{name} must begin with the magic number"):
        load(Source("mnist", str(tmp_path)))
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"no {name}"):
        load(Source("mnist", str(tmp_path)))


def test_bad_sources(tmp_path):
    with pytest.raises(ValueError, match="name must be 'digits', 'mnist' or 'fashion-mnist', got 'cifar'"):
        Source("cifar")
    with pytest.raises(ValueError, match="train must be an integer >= 1, got 0"):
        Source(train=0)
    with pytest.raises(ValueError, match="test must be at most 359, the images of digits, got 360"):
        load(Source(test=360))
    with pytest.raises(ValueError, match="name must be 'mnist' or 'fashion-mnist', got 'digits'"):
        find("digits", tmp_path)
    with pytest.raises(FileNotFoundError, match="which is no folder"):
        find("mnist", tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no train-images-idx3-ubyte"):
        find("mnist", tmp_path)


def test_the_digest_is_of_every_pixel_and_label():
    data = load(Source("digits", train=10, test=10))
    assert replace(data, name="other").digest == data.digest
    for name in ("train", "train_labels", "test", "test_labels"):
        changed = getattr(data, name).copy()
        changed.flat[-1] += 1
        assert replace(data, **{name: changed}).digest != data.digest
