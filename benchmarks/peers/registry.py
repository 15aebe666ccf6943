"""The peers, in the order of the table: what each is, how it was set up, what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from qoex.model.market import Market

from .outcome import Prepared


@dataclass(frozen=True)
class Peer:
    """One way to the equilibrium.

    Attributes:
        name: in rows and tables.
        where: "module:function" in this package that prepares it; imported in a child only.
        set_up: how it was set up, for the page.
        packages: distributions whose versions matter.
        colour: of its line.
        marker: of its points.
    """

    name: str
    where: str
    set_up: str
    packages: tuple[str, ...]
    colour: str
    marker: str

    def __call__(self, market: Market) -> Prepared:
        """Prepare the peer for a market."""
        module, function = self.where.split(":")
        prepared: Prepared = getattr(import_module(f".{module}", __package__), function)(market)
        return prepared


_STEP = (
    "Δ = u/t, u the mean reward at the start; users move one after another; ε = 1e-3 of money. "
    "Of 0.1, 0.2, 0.5, 1 and 2 times that u, tried with the closed form on these markets, it "
    "solved the most sizes in 20 s; none was best everywhere. With half of it, the closed form "
    "took 1.5 s and not 13 s at 14×57 where capacities bind, but ended with a regret of 2e-5 to "
    "5e-5 at three of the larger sizes where they are slack."
)

PEERS = (
    Peer(
        "Algorithm 1, Clarabel",
        "algorithm_1:prepare_convex",
        f"The paper's algorithm as printed, a convex solver answering for the providers: {_STEP} "
        "CVXPY canonicalises one parametrised programme per provider, once; units make its "
        "numbers of order one; tolerances are 1e-12. The answer to a trial that is taken is kept, "
        "so an iteration solves two programmes per pair.",
        ("cvxpy", "clarabel"),
        "#E69F00",
        "v",
    ),
    Peer(
        "Algorithm 1, closed form",
        "algorithm_1:prepare_closed_form",
        f"`qoex.dual_perturbation`, compiled: {_STEP} It has no limit but the time.",
        ("numba",),
        "#8A6D00",
        "^",
    ),
    Peer(
        "best responses, SciPy",
        "best_responses:prepare_closed_form",
        "Each user responds in turn by SLSQP on −U/μ in the logarithms of its rewards, with the "
        "analytic gradient, from its last response (a pair without QoE from 10 % above its "
        "threshold); providers answer in closed form. It ends when no ln R changes by more than "
        "1e-6 in a round. L-BFGS-B took about as long.",
        ("scipy",),
        "#0072B2",
        "o",
    ),
    Peer(
        "best responses, Ipopt",
        "ipopt:prepare",
        "As before, each response one sparse programme by CasADi with exact derivatives, built "
        "once for all users. The providers' answer is embedded as smooth inequalities in prices "
        "and served rewards, which are exact where the user gains by low prices; it begins at the "
        "providers' answer to the last rewards, with a first barrier of 1e-6. From a start far "
        "off it ended at local optima with needless prices.",
        ("casadi",),
        "#56B4E9",
        "s",
    ),
    Peer(
        "joint KKT, nashopt",
        "joint_kkt:prepare",
        "All users' KKT conditions as one system, unknowns ln R, utilities over μ, bounds as "
        "multipliers, the providers' answer in closed form under JAX. By Levenberg–Marquardt, "
        'then by "trf" if the residual stays above 1e-8; "hybr" failed more often. It is '
        "compiled anew in every call, which counts as set-up, and what it gives up in may be that: "
        "every user is a function of its own in the system.",
        ("nashopt", "jax", "scipy"),
        "#CC79A7",
        "D",
    ),
    Peer(
        "bilevel, SciPy + Clarabel",
        "best_responses:prepare_conic",
        "Best responses by SLSQP as above, but the providers' answers, and by their duals the "
        "gradient, come from the parametrised programmes of Clarabel; a provider whose offers did "
        "not change is not asked again. It ends when no ln R changes by more than 1e-4 in a round.",
        ("scipy", "cvxpy", "clarabel"),
        "#D55E00",
        "P",
    ),
    Peer(
        "qoex",
        "ours:prepare",
        "`qoex.solve` without a start, to a relative error of 1e-12 in every price.",
        ("qoex", "numba"),
        "#000000",
        "*",
    ),
)
