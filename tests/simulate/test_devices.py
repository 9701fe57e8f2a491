import pytest
import torch

from simulate.devices import as_device, as_dtype


def test_names():
    assert as_device("cpu") == torch.device("cpu")
    assert as_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert as_dtype("float32") is torch.float32
    assert as_dtype("float64") is torch.float64


def test_auto_takes_cuda_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert as_device("auto") == as_device("cuda") == torch.device("cuda")
    assert as_device("cpu") == torch.device("cpu")


def test_cuda_on_a_machine_without_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="torch finds no CUDA device"):
        as_device("cuda")


@pytest.mark.parametrize(("function", "value"), [(as_device, "gpu"), (as_dtype, "float16")])
def test_unknown_names(function, value):
    with pytest.raises(ValueError, match=f"must be .*, got '{value}'"):
        function(value)
