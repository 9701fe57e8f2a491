import math

import numpy as np
import pytest
import torch

from meanfield import fixed_point
from simulate import sample_networks
from simulate.activations import radial
from simulate.layers import linear
from simulate.tangents import generators
from training.measure import asymmetry, effective_rank, evaluate, jacobian, rank_at_readout, ranks
from training.order import order_parameter
from training.shape import HIDDEN, INPUT, Model, Shape
from training.stack import Stack

MODELS = (Model(1.5, 0), Model(0.9, 1))


def stack(symmetry, depth=3):
    return Stack(Shape(symmetry, 5, depth, 7, 4), MODELS)


def pixels(count, features=7):
    return torch.randn((count, features), generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "generic(2)"])
def test_jacobian_against_automatic_differentiation(symmetry):
    one, images = stack(symmetry), pixels(3)
    found = jacobian(one, images)
    n, k = 5, one.shape.group.capsule_dimension
    for number in range(2):
        v, w = (part[number].double() for part in one.views(one.parameters)[: HIDDEN + 1])
        norms, protected, ds = [], [], []
        for image in images.double():

            def layers(z, w=w):
                for weights in w:
                    z = linear(one.shape.group, weights, radial(torch.tanh, z.view(n, k, 1), 1)).flatten()
                return z

            z = one.shape.capsules((v @ image)[None, :, None]).flatten()
            matrix = torch.autograd.functional.jacobian(layers, z)
            turned = [matrix @ (z.view(n, k) @ torch.from_numpy(a).T).flatten() for a in generators(k)]
            norms.append(torch.linalg.svdvals(matrix).square().mean().item())
            protected.append(sum(t.square().sum().item() for t in turned) / n)
            ds.append(layers(z).square().sum().item() / n)
        np.testing.assert_allclose(found["norm"][number], np.mean(norms), rtol=1e-10)
        np.testing.assert_allclose(found["protected"][number], np.mean(protected), rtol=1e-10)
        np.testing.assert_allclose(found["d"][number], np.mean(ds), rtol=1e-10)


@pytest.mark.parametrize(("symmetry", "each"), [("U(1)", 1), ("O(3)", 2), ("O(5)", 4)])
def test_the_symmetry_protects_one_component(symmetry, each):
    """Eq. (54), (D - 1) d^L for all rotations of a capsule, at any depth; a generic network has no such identity."""
    found = jacobian(stack(symmetry, depth=30), pixels(3))
    np.testing.assert_allclose(found["protected"], each * found["d"], rtol=1e-9)
    generic = jacobian(stack("generic(2)", depth=30), pixels(3))
    assert (generic["protected"] / generic["d"] - 1.0).abs().min() > 0.1


def matrix_with(singular_values, rows=6):
    source = torch.Generator().manual_seed(2)
    n = len(singular_values)
    u, v = (torch.linalg.qr(torch.randn((size, n), generator=source, dtype=torch.float64))[0] for size in (rows, n))
    return u * torch.tensor(singular_values, dtype=torch.float64) @ v.T


@pytest.mark.parametrize("half", [1.0, 0.1])
def test_the_floor_of_the_effective_rank_takes_inputs_that_fill_the_orbit(half):
    """On an arc of a circle: less than k = 2, in a network as equivariant as any."""
    angle = torch.linspace(-half, half, 20_001, dtype=torch.float64)
    values = np.sqrt(1.0 + np.array([1.0, -1.0]) * np.sin(2.0 * half) / (2.0 * half))
    share = values / values.sum()
    expected = np.exp(-(share * np.log(share)).sum())
    assert expected == pytest.approx({1.0: 1.94, 0.1: 1.24}[half], abs=0.005)
    assert float(effective_rank(torch.stack([angle.cos(), angle.sin()]))) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2.0, 2.0, 2.0, 2.0], 4.0),
        ([5.0, 0.0, 0.0], 1.0),
        ([3.0, 1.0], 4.0 / 3.0**0.75),  # exp(log 4 - (3/4) log 3)
        ([3e-30, 1e-30], 4.0 / 3.0**0.75),
        ([0.0, 0.0], 0.0),
    ],
)
def test_effective_rank(values, expected):
    matrix = matrix_with(values)
    np.testing.assert_allclose(effective_rank(matrix), expected, rtol=1e-9)
    np.testing.assert_allclose(
        effective_rank(torch.stack([matrix, torch.eye(6, len(values))]).float())[1], len(values), rtol=1e-6
    )


def test_effective_rank_refuses_what_is_not_finite():
    with pytest.raises(ValueError, match="matrix must be finite"):
        effective_rank(torch.tensor([[1.0, math.nan]]))


def test_ranks_of_layers():
    one, images = stack("O(3)"), pixels(9)
    found = torch.stack(list(ranks(one, images)))
    assert found.shape == (4, 2)
    v = one.views(one.parameters)[INPUT][1]
    first = torch.tanh(r := (v @ images.T).view(5, 3, 9).norm(dim=1, keepdim=True)) / r * (v @ images.T).view(5, 3, 9)
    values = np.linalg.svd(first.reshape(15, 9).numpy(), compute_uv=False)
    p = values / values.sum()
    np.testing.assert_allclose(found[0, 1], math.exp(-(p * np.log(p)).sum()), rtol=1e-5)


def test_evaluate(monkeypatch):
    monkeypatch.setattr("training.measure.EVALUATION_BATCH", 4)  # 10 images: two whole batches and a smaller one
    one, images = stack("U(1)"), pixels(10)
    labels = torch.arange(10) % 4
    accuracy, loss = evaluate(one, images, labels)
    logits = one.logits(images.T.expand(2, -1, -1))
    for number in range(2):
        outputs = logits[number].T.double().numpy()
        assert accuracy[number].item() == np.mean(outputs.argmax(1) == labels.numpy())
        right = outputs[np.arange(10), labels.numpy()]
        np.testing.assert_allclose(loss[number], np.mean(np.log(np.exp(outputs).sum(1)) - right), rtol=1e-6)


def test_order_parameter():
    """Two widths give the limit of wide networks; below the transition it vanishes. z SE with z = 5."""
    narrow, wide = (
        order_parameter("U(1)", (0.7, 1.5), width=width, depth=60, n_networks=96, seed=width) for width in (24, 48)
    )
    limit = 2.0 * wide["c"] - narrow["c"]
    error = np.hypot(2.0 * wide["c_se"], narrow["c_se"])
    assert abs(limit[1] - fixed_point(1.5).c) <= 5.0 * error[1]
    assert wide["c"][0] < 1e-6
    np.testing.assert_array_equal(wide["c_star"], fixed_point(np.array([0.7, 1.5])).c)


def test_order_parameter_is_that_of_the_last_layers():
    from meanfield import Ensemble

    found = order_parameter("O(2)", (1.2,), width=4, depth=40, n_networks=16, seed=3)
    sampled = sample_networks(
        Ensemble("O(2)"), [[1.0]], width=4, depth=40, n_networks=16, seed=3, sigma_w=[1.2], device="cpu"
    )
    gram = sampled.gram.values[:16, 0, 11:]
    of_networks = (gram[..., 0, 0] + gram[..., 1, 1]).mean(1)
    np.testing.assert_allclose(found["c"], of_networks.mean(), rtol=1e-12)
    np.testing.assert_allclose(found["c_se"], of_networks.std(ddof=1) / 4.0, rtol=1e-12)
    with pytest.raises(ValueError, match="depth must be an integer >= 1"):
        order_parameter("O(2)", (1.2,), width=4, depth=0, n_networks=16)


def test_images_and_labels_that_do_not_fit_are_refused():
    """Labels for one image would be broadcast to an accuracy of 2."""
    networks, images = stack("U(1)"), pixels(5)
    with pytest.raises(ValueError, match=r"labels must have the shape \(5,\), got \(1,\)"):
        evaluate(networks, images, torch.zeros(1, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"labels must be from 0 to \d+, got 0 to 99"):
        evaluate(networks, images, torch.tensor([0, 1, 2, 0, 99]))
    for measured in (jacobian, lambda *given: list(ranks(*given)), rank_at_readout):
        with pytest.raises(ValueError, match=r"images must have the shape \(images, 7\), got \(7, 5\)"):
            measured(networks, images.T)


def test_effective_rank_of_complex_numbers():
    """Those of the singular values, which a unitary matrix does not change."""
    values = np.array([3.0, 1.0, 0.5])
    phases = np.exp(1j * np.array([0.3, 1.0, 2.0]))
    p = values / values.sum()
    found = effective_rank(torch.from_numpy(np.diag(values * phases)))
    assert float(found) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-14)


@pytest.mark.parametrize("k", [2, 3, 4])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_asymmetry_of_initial_weights(k, share):
    """That of the law they were drawn from, within five standard errors of a mean over 3 (64 k)^2 squares."""
    found = asymmetry(Stack(Shape(f"generic({k})", 64, 3, 7), [Model(1.5, 1, symmetric=1.0 - share)])).item()
    assert found == pytest.approx(share, abs=5 * 2.0 / np.sqrt(3 * 64**2) if share else 0.0)


def test_asymmetry_of_what_was_written_down():
    """Multiplication by i, conjugation, and a layer of both; and layers that have no asymmetry."""
    written = Stack(Shape("generic(2)", 1, 3, 7), [Model(1.5)], "float64")
    turn, mirror = torch.tensor([[0.0, -1.0], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, -1.0]])
    written.views(written.parameters)[HIDDEN][0] = torch.stack([turn, mirror, turn + mirror])
    assert asymmetry(written).item() == pytest.approx((0.0 + 2.0 + 1.0) / 3)
    for symmetry in ("U(1)", "O(3)", "generic(1)"):
        assert asymmetry(Stack(Shape(symmetry, 4, 2, 7), [Model(1.5)])).tolist() == [0.0]


def test_asymmetry_is_what_a_layer_does_to_two_inputs():
    """Gaussian capsules with an imaginary covariance: what is left of it after a layer, relative to a real one."""
    drawn = Stack(Shape("generic(2)", 6, 1, 7), [Model(1.5, 2, symmetric=0.5)], "float64")
    weights = drawn.views(drawn.parameters)[HIDDEN][0, 0]
    turn = np.kron(np.eye(6), [[0.0, -1.0], [1.0, 0.0]])
    passed = weights.numpy() @ weights.numpy().T, weights.numpy() @ turn @ weights.numpy().T
    kept = np.trace(turn.T @ passed[1]) / np.trace(passed[0])
    assert asymmetry(drawn).item() == pytest.approx(1.0 - kept, rel=1e-12)
