"""What tab completion shows of the packages."""

import training
import training.recurrent


def test_completion_shows_what_is_offered():
    assert dir(training) == sorted([*training.__all__, "recurrent"])
    assert dir(training.recurrent) == sorted(training.recurrent.__all__)
