"""`torch.compile` of the layers as one graph, forwards and backwards."""

import pytest
import torch

from training.recurrent import GRU, CapsuleGRU, CapsuleRNN, ElmanRNN, gated


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # of Dynamo itself
@pytest.mark.parametrize("layer", [ElmanRNN(3, 4), GRU(3, 4), CapsuleRNN(3, 4), CapsuleGRU(3, 4)], ids=repr)
def test_one_graph(layer):
    for states in (gated.gru_states, gated.capsule_gru_states):  # as the layers' documentation says
        torch.compiler.allow_in_graph(states)
    x = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0))
    found = []
    for run in (layer, torch.compile(layer, backend="aot_eager", fullgraph=True)):
        inputs = x.clone().requires_grad_()
        output, last = run(inputs)
        (output.square().sum() + last.sum()).backward()
        found.append((output, last, inputs.grad))
    for plain, compiled in zip(*found, strict=True):
        torch.testing.assert_close(compiled, plain)
