import pytest

from meanfield.files import atomic_path


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
