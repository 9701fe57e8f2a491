import pytest
import torch


@pytest.fixture
def _double():
    """Everything is float64 where nothing else is said, and the random numbers are the same in every test."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
