import math

import numpy as np
import pytest
import torch

from training.recurrent import GRU, CapsuleGRU, CapsuleRNN, ElmanRNN, Setting
from training.recurrent.initial import initial_sigma_w
from training.recurrent.tables import PAPER_RESULTS, TABLE_1, paper_results, parameter_count

# counted by hand from Eq. (56) to (67): encoder + recurrent weights + biases + readout
EXACT = {
    ("copy", "RNN", 32, None): 1_738,
    ("copy", "RNN", 64, None): 5_514,
    ("copy", "GRU", 32, None): 4_490,
    ("copy", "GRU", 64, None): 15_242,
    ("copy", "U(1) RNN", 32, None): 3_338,
    ("copy", "U(1) GRU", 32, None): 6_090,
    ("psMNIST", "RNN", 128, None): 18_058,
    ("psMNIST", "RNN", 256, None): 68_874,
    ("psMNIST", "RNN", 512, None): 268_810,
    ("psMNIST", "RNN", 1024, None): 1_061_898,
    ("psMNIST", "GRU", 64, None): 13_514,
    ("psMNIST", "GRU", 128, None): 51_594,
    ("psMNIST", "GRU", 256, None): 201_482,
    ("psMNIST", "GRU", 512, None): 796_170,
    ("psMNIST", "O(k) RNN", 64, 18): 17_930,
    ("psMNIST", "O(k) RNN", 128, 8): 28_682,
    ("psMNIST", "O(k) RNN", 256, 6): 83_978,
    ("psMNIST", "O(k) RNN", 256, 24): 139_274,
    ("psMNIST", "O(k) RNN", 256, 48): 213_002,
    ("psMNIST", "O(k) RNN", 512, 24): 409_610,
    ("psMNIST", "U(1) GRU", 64, None): 18_058,
    ("psMNIST", "U(1) GRU", 128, None): 68_874,
    ("psMNIST", "U(1) GRU", 256, None): 268_810,
    ("psMNIST", "U(1) GRU", 512, None): 1_061_898,
}


def key(row):
    return row.task, row.model, row.hidden_size, row.k


def rounded(count, printed):
    """A count with as many digits as the table prints."""
    unit = {"K": 1e3, "M": 1e6}[printed[-1].upper()]
    digits = len(printed.partition(".")[2]) - 1 if "." in printed else 0
    return f"{count / unit:.{digits}f}{printed[-1]}"


@pytest.mark.parametrize("row", TABLE_1, ids=lambda row: f"{row.task}-{row.model}-{row.hidden_size}-{row.k}")
def test_parameter_counts(row):
    count = parameter_count(row.build())
    assert count == EXACT[key(row)]
    assert (rounded(count, row.printed) == row.printed) == row.fits


def test_all_rows_are_there():
    assert [key(row) for row in TABLE_1] == list(EXACT)
    assert set(PAPER_RESULTS) == set(EXACT)


def test_the_frozen_column_counts_and_is_there():
    rows = [row for row in TABLE_1 if row.task == "copy" and row.encoder != "standard"]
    assert [row.model for row in rows] == ["GRU", "U(1) RNN", "U(1) GRU"]
    for row in rows:
        layer = row.build().layer
        assert torch.all(layer.encoder[:, 0] == 0.0)
        assert torch.all(layer.encoder[:, 1:] != 0.0)


def test_identity():
    layer = CapsuleGRU(3, 4, "U(1)", recurrent="identity")
    assert torch.equal(torch.complex(*layer.recurrent), torch.eye(4, dtype=torch.complex64))
    assert torch.equal(layer.gate_recurrent, torch.cat([torch.eye(4), torch.eye(4)]))
    assert torch.equal(layer.gate_bias, torch.tensor([0.0] * 4 + [2.0] * 4))
    assert torch.equal(CapsuleRNN(3, 4, "generic(2)", recurrent="identity").recurrent, torch.eye(8))
    assert torch.equal(CapsuleRNN(3, 4, "O(2)", recurrent="identity").recurrent, torch.eye(4))


def test_identity_forgets_lengths_as_a_power():
    """r -> tanh(r) falls as sqrt(3/(2 t)), whatever it was; the direction stays."""
    layer = CapsuleRNN(1, 1, "U(1)", recurrent="identity")
    _, last = layer(torch.zeros(1, 4000, 1), torch.tensor([[[0.6, 0.8]]]))
    np.testing.assert_allclose(last[0, 0].detach(), np.sqrt(3 / 8000) * np.array([0.6, 0.8]), rtol=2e-3)


@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "generic(2)"])
def test_sigma_w_of_the_uniform_initialisation(symmetry):
    """n E|W_ij|^2 of drawn weights; a uniform number's square has the variance 4/45 bound^4."""
    torch.manual_seed(0)
    layer = CapsuleRNN(1, 300, symmetry)
    square = layer.recurrent.detach().double().square()
    if symmetry == "U(1)":
        square = square.sum(0)
    n = square.shape[-1]
    error = math.sqrt(layer.recurrent.numel() * 4 / 45) / n**2
    assert abs(square.sum() / n - initial_sigma_w(symmetry, "uniform") ** 2) < 5 * error
    assert initial_sigma_w(symmetry, "uniform") < 1.0 == initial_sigma_w(symmetry, "identity")


@pytest.mark.parametrize(
    ("encoder", "deviation"),
    [("standard", 1 / math.sqrt(3 * 64)), ("variance 0.001", 1e-3**0.5), ("deviation 0.001", 1e-3)],
)
def test_encoders(encoder, deviation):
    torch.manual_seed(0)
    for layer in (CapsuleRNN(50, 64, encoder=encoder), ElmanRNN(50, 64, encoder=encoder)):
        values = layer.encoder.detach().double()
        assert abs(values.std().item() / deviation - 1) < 5 / math.sqrt(2 * values.numel())
        assert abs(values.mean().item()) < 5 * deviation / math.sqrt(values.numel())


@pytest.mark.parametrize("encoder", ["standard", "variance 0.001"])
def test_gates_and_biases_begin_uniform_whatever_the_encoder(encoder):
    """U(-1/sqrt(N), 1/sqrt(N)), as PyTorch's."""
    torch.manual_seed(0)
    elman, gru, capsules = (kind(50, 64, encoder=encoder) for kind in (ElmanRNN, GRU, CapsuleGRU))
    parameters = (elman.bias, gru.gate_encoder, gru.gate_bias, gru.bias, capsules.gate_encoder)
    for values in (each.detach().double() for each in parameters):
        assert values.abs().max() <= 1 / math.sqrt(64)
        # of a uniform number, the fourth moment is 9/5 of the squared second one
        error = math.sqrt(4 / 5 / values.numel())
        assert abs(values.square().mean().item() * 3 * 64 - 1) < 5 * error


@pytest.mark.parametrize(
    ("kind", "name"), [("GRU", "relu"), ("RNN", "tanh"), ("U(1) GRU", "tanh"), ("O(3) RNN", "tanh")]
)
def test_activations_are_those_of_the_equations(kind, name):
    """Eq. (57) has a ReLU candidate; (56) leaves psi open, and the capsules' tanh is radial."""
    setting = Setting(kind, 4)
    assert setting.activation == name
    if kind in ("GRU", "RNN"):
        assert setting.build(3, every_step=True).layer.nonlinearity == name


def test_biases_of_equations_and_tables():
    """Of 3 inputs and N = 4: Eq. (59) has no bias, (56) has N, (57) has 4 N; the tables have N k, 2 N and 6 N."""
    counts = {
        (kind, biases): parameter_count(Setting(kind, 4, biases=biases).build(3, every_step=True).layer)
        for kind in ("RNN", "GRU", "O(2) RNN", "U(1) RNN")
        for biases in ("equations", "tables")
    }
    assert [counts[kind, "equations"] for kind in ("RNN", "GRU", "O(2) RNN", "U(1) RNN")] == [32, 100, 40, 56]
    assert [counts[kind, "tables"] for kind in ("RNN", "GRU", "O(2) RNN", "U(1) RNN")] == [36, 108, 48, 56]


def test_results_of_the_paper_by_model():
    table = paper_results("psMNIST")
    assert table.sizes["group"] == 18
    some = table.sel(group="O(24) RNN 512")
    assert float(some["mean"]) == pytest.approx(0.9479)
    assert float(some["std"]) == pytest.approx(0.0022)
    assert int(some.parameters) == 409_610
    copying = paper_results("copy")
    assert float(copying["mean"].sel(group="U(1) GRU 32")) == 3.14e-4
    assert copying.parameters.values.tolist() == [1_738, 5_514, 4_490, 15_242, 3_338, 6_090]
    with pytest.raises(ValueError, match="task must be 'copy' or 'psMNIST', got 'digits'"):
        paper_results("digits")
