"""Networks that were trained on a GPU next to the same ones trained on a CPU, in the committed results.

Rounding differs, and training at large rates is chaotic, so that single networks end elsewhere: what must agree is
their distribution. Where training is not chaotic single networks must agree too.
"""

import pytest

from training import table
from training.places import COMMITTED, read

NETWORK = ["symmetry", "sigma_w", "learning_rate", "seed"]


@pytest.fixture(scope="module")
def differences():
    """Test accuracy, GPU minus CPU, of 144 networks with the same weights and images, after one epoch and after two."""
    gpu, cpu = (read("own_rate", COMMITTED / f"own_rate_{preset}.csv") for preset in ("paper", "cpu"))
    assert (gpu.attrs["device"], cpu.attrs["device"]) == ("cuda", "cpu")
    first, second = (
        rows[rows.quantity == "accuracy"].set_index([*NETWORK, "epoch"]).value for rows in map(table.frame, (gpu, cpu))
    )
    found = (first - second).dropna().unstack("epoch")
    assert found.shape == (144, 2)
    return found


@pytest.mark.parametrize("epoch", [1.0, 2.0])
def test_the_mean_of_all_networks(differences, epoch):
    own = differences[epoch]
    assert abs(own.mean()) < 4.0 * own.std() / len(own) ** 0.5
    assert own.std() > 0.01  # else they are not two runs


def test_single_networks_where_training_is_not_chaotic(differences):
    """The smallest rate, next to the transition: to ten of 10,000 images, where seeds scatter by sixty and more."""
    calm = differences.loc[(["U(1)", "O(4)", "generic(2)"], 1.2, 3e-5), 2.0]
    assert len(calm) == 9
    assert calm.abs().max() <= 0.001
