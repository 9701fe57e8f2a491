"""Matrix products of a stack of models, and the linear layers that they make."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch


class Place(NamedTuple):
    """What one layer reads and writes: its weights and their gradients, states as rows, and changes of them."""

    weights: torch.Tensor
    gradients: torch.Tensor
    y: torch.Tensor
    x: torch.Tensor
    dx: torch.Tensor
    dy: torch.Tensor


class RealLayer:
    """x = w y of one layer, and back from dx to the gradient and to dy."""

    def __init__(self, at: Place) -> None:
        self._onwards = Product(at.weights, at.y, at.x)
        self._gradient = Product(at.dx, at.y.mT, at.gradients)
        self._back = Product(at.weights.mT, at.dx, at.dy)

    def forward(self) -> None:
        self._onwards()

    def backward(self) -> None:
        self._gradient()
        self._back()


class ComplexLayer:
    """x = (a + ib) y of one layer, and back, each by three real products in place of four (Gauss's).

    With y = r + is the parts of x are a(r + s) - (a + b)s and a(r + s) + (b - a)r. The sums take less time than a
    fourth product. What comes back goes through the adjoint weights, a^T - ib^T, in the same way.
    """

    def __init__(self, at: Place, sums: torch.Tensor, squares: torch.Tensor) -> None:
        # views are made once: see Radial
        (a, self._b), (da, db), (r, s), (u, v), (du, dv), (dr, ds) = (each.chunk(2, 1) for each in at)
        self._a, self._da, self._db, self._y, self._dx = a, da, db, (r, s), (du, dv)
        self._sum, self._difference = sums
        self._above, self._below, self._product = squares  # a + b, b - a, and the imaginary parts' own share
        self._onwards = (
            Product(a, self._sum, u),
            Product(self._below, r, v, plus=u),
            Product(self._above, s, u, plus=u, times=-1.0),
        )
        self._gradients = (
            Product(self._sum, self._difference.mT, db),
            Product(du, r.mT, da),
            Product(dv, s.mT, self._product),
        )
        self._back = (
            Product(a.mT, self._sum, dr),
            Product(self._above.mT, du, ds, plus=dr, times=-1.0),
            Product(self._below.mT, dv, dr, plus=dr),
        )

    def forward(self) -> None:
        self._add_weights()
        torch.add(*self._y, out=self._sum)
        for product in self._onwards:
            product()

    def backward(self) -> None:
        torch.add(*self._dx, out=self._sum)
        torch.sub(*self._y, out=self._difference)
        for product in self._gradients:
            product()
        # da = du r^T + dv s^T; db = dv r^T - du s^T = (du + dv)(r - s)^T - du r^T + dv s^T
        self._db.sub_(self._da).add_(self._product)
        self._da.add_(self._product)
        self._add_weights()
        for product in self._back:
            product()

    def _add_weights(self) -> None:
        torch.add(self._a, self._b, out=self._above)
        torch.sub(self._b, self._a, out=self._below)


class Product:
    """One matrix product for each model, each into its place: `times` a b + `plus` into `out`, which may be `plus`.

    `out` is made where it is left out; without `plus` nothing is added.
    """

    def __init__(
        self,
        a: torch.Tensor,
        b: torch.Tensor,
        out: torch.Tensor | None = None,
        plus: torch.Tensor | None = None,
        times: float = 1.0,
    ) -> None:
        self._out = a.new_empty(len(a), a.shape[-2], b.shape[-1]) if out is None else out
        # on a CPU the call, and so the bits, of a model that is alone; all that a call needs is put together once
        together, terms = a.is_cuda, (a, b) if plus is None else (plus, a, b)
        if plus is None:
            multiply = torch.bmm if together else torch.mm
        else:
            multiply = partial(torch.baddbmm if together else torch.addmm, alpha=times)
        given = [(*terms, self._out)] if together else zip(*terms, self._out, strict=True)
        self._calls = [partial(multiply, *tensors, out=out) for *tensors, out in given]

    def __call__(self) -> torch.Tensor:
        for call in self._calls:
            call()
        return self._out
