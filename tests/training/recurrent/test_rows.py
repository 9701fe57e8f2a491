import numpy as np
import pandas as pd
import pytest

from training.recurrent import CopyTask, ImageTask, Setting, Training
from training.recurrent.rows import Row, by_model, row, rows

SETTINGS = (Setting("U(1) RNN", 3, 0, 1e-3), Setting("U(1) RNN", 3, 1, 1e-2))


def as_table(found):
    return pd.DataFrame(found, columns=list(Row._fields))


@pytest.mark.parametrize("task", [CopyTask(1), ImageTask()], ids=["copy", "digits"])
def test_rows_hold_the_result(task):
    result = Training(task, SETTINGS, 4, batch=8, test_every=2).run().result()
    found = by_model(as_table(rows("a task", SETTINGS, result)), "a task")
    assert found.label.values.tolist() == ["U(1) RNN 3"] * 2
    assert found.learning_rate.values.tolist() == [1e-3, 1e-2]
    assert set(found.data_vars) == set(result.data_vars)
    for name, values in result.data_vars.items():
        assert found[name].dims == values.dims
        np.testing.assert_array_equal(found[name], values)
        assert found[name].attrs == values.attrs
    np.testing.assert_array_equal(found.step, result.step)
    np.testing.assert_array_equal(found.parameters, result.parameters)


def test_a_long_run_has_fewer_tests_in_its_table():
    """Every third of 125, of which the last is one after 124; means of training are over all steps in between."""
    result = Training(CopyTask(0), SETTINGS, 249, batch=1, test_every=2).run().result()
    assert result.sizes["step"] == 125
    found = by_model(as_table(rows("a task", SETTINGS, result)), "a task")
    assert found.step.values.tolist() == [*range(6, 247, 6), 249]
    assert found.sizes["step"] == 42
    np.testing.assert_array_equal(found.test_loss, result.test_loss.sel(step=found.step))
    np.testing.assert_array_equal(found.spectral_radius, result.spectral_radius)
    thrice = result.train_loss.values[:, :123].reshape(2, 41, 3).mean(-1)
    np.testing.assert_allclose(found.train_loss[:, :41], thrice, rtol=1e-14)
    # 248 ends two steps, 249 one
    last = (2.0 * result.train_loss[:, 123] + result.train_loss[:, 124]) / 3.0
    np.testing.assert_allclose(found.train_loss[:, 41], last, rtol=1e-14)


def test_tasks_are_kept_apart_and_vortices_are_left_out():
    one, two = (row(task, SETTINGS[0], 5, 7, "test_loss", value) for task, value in (("one", 1.0), ("two", 2.0)))
    vortex = row("one", SETTINGS[0], 5, 7, "positive", 3.0, 0, 11)
    assert (vortex.channel, vortex.time) == (0, 11)
    table = as_table([one, two, vortex])
    assert by_model(table, "two").test_loss.values.tolist() == [[2.0]]
    assert list(by_model(table, "one").data_vars) == ["test_loss"]
    # a quantity that not every model has
    gated = row("one", Setting("GRU", 3), 9, 7, "test_loss", 4.0)
    radius = row("one", SETTINGS[0], 5, 7, "spectral_radius", 1.5)
    both = by_model(as_table([one, gated, radius]), "one")
    np.testing.assert_array_equal(both.spectral_radius, [[1.5], [np.nan]])
    np.testing.assert_array_equal(both.test_loss, [[1.0], [4.0]])
    with pytest.raises(ValueError, match="task must be one of 'one', 'two', got 'three'"):
        by_model(table, "three")
