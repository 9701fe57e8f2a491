"""The letters all symbolic results of this package are written in: substitute for these.

The paper's names, with two shorthands: s = sigma_w^2 c, the mean squared radius of a preactivation, and epsilon =
sigma_w^2 f'(0)^2 - 1, the distance from the transition.
"""

from sympy import Function, Symbol

sigma_w = Symbol("sigma_w", positive=True)  # weight scale: E|W|^2 = sigma_w^2/N
D = Symbol("D", positive=True)  # real components of a capsule: 2 for U(1), k for O(k)
N = Symbol("N", integer=True, positive=True)  # capsules per layer

c = Symbol("c", positive=True)  # one-input order parameter at layer l, Eq. (6)
c_next = Symbol("c^{l+1}", positive=True)
c_star = Symbol("c^{*}", positive=True)  # fixed point of the length map
s = Symbol("s", positive=True)  # sigma_w^2 c
epsilon = Symbol("epsilon", real=True)  # sigma_w^2 f'(0)^2 - 1

Delta = Symbol("Delta", positive=True)  # magnitude of the two-input covariance at layer l, Eq. (10)
Delta_next = Symbol(r"\Delta^{l+1}", positive=True)
phi = Symbol("varphi", real=True)  # its phase
rho = Symbol("rho", real=True)  # Delta/c

r = Symbol("r", positive=True)  # radius |x| of a preactivation
t = Symbol("t", positive=True)  # r^2 = (2 s/D) t with t ~ Gamma(D/2)
u = Symbol("u", positive=True)  # u^2 = t, as in Eq. (35)
f = Function("f", real=True)  # radial activation: phi(x) = f(|x|) x/|x|
