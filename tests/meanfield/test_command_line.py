"""The command line of the theory."""

import sys

import pytest

import meanfield.__main__ as command_line


@pytest.mark.parametrize(
    ("sigma_w", "head"),
    [
        ("1.5", "O(4), tanh, sigma_w = 1.5: symmetry broken"),
        ("1.0000000001", "O(4), tanh, sigma_w = 1.0000000001: symmetry broken"),
        ("1", "O(4), tanh, sigma_w = 1: symmetry critical"),
    ],
)
def test_solve_says_which_sigma_w_it_solved(monkeypatch, capsys, sigma_w, head):
    monkeypatch.setattr(sys, "argv", ["meanfield", "solve", "O(4)", sigma_w])
    assert command_line.main() == 0
    assert capsys.readouterr().out.splitlines()[0] == head
