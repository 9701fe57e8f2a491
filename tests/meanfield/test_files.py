from pathlib import Path

import pytest

from meanfield.files import atomic_path, require_writable


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    target = tmp_path / "made" / "file.txt"
    with atomic_path(target) as path:
        path.write_text("whole")
        assert not target.exists()
    with pytest.raises(TypeError), atomic_path(target) as path:
        path.write_bytes("half")
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_writer_that_names_its_file_otherwise_is_told_so_and_leaves_nothing(tmp_path):
    """As matplotlib does with a name without an ending."""
    with pytest.raises(FileNotFoundError, match="figure"), atomic_path(tmp_path / "figure") as path:
        path.with_suffix(".png").write_text("a figure")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["new.png", "new.PNG", "old.png", "a/folder/to/make/new.png"])
def test_what_can_be_written_is_let_through_and_nothing_is_made(tmp_path, name):
    (tmp_path / "old.png").write_text("old")
    require_writable(tmp_path / name, [".png", ".pdf"])
    assert [path.name for path in tmp_path.iterdir()] == ["old.png"]
    assert (tmp_path / "old.png").read_text() == "old"


def test_a_name_alone_is_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    require_writable(Path("new"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("new", "out must end in .png or .pdf, got .*new"),
        ("new.nc", "out must end in .png or .pdf, got .*new.nc"),
        ("folder.png", "out must be a file, got .*folder.png, which is a folder"),
        ("file/new.png", "out must be a file that can be written, got .*file/new.png: Not a directory"),
        ("file/deep/new.png", "out must be a file that can be written, got .*: Not a directory"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, message):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("a file")
    with pytest.raises(ValueError, match=message):
        require_writable(tmp_path / name, [".png", ".pdf"])


def test_a_folder_that_takes_no_files_is_refused(tmp_path, monkeypatch):
    def refused(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refused)  # whoever runs the tests may be allowed to write anywhere
    with pytest.raises(ValueError, match=r"result must be a file that can be written, got .*: Permission denied"):
        require_writable(tmp_path / "new", name="result")
