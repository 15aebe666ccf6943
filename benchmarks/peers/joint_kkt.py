"""The users' joint KKT system by nashopt, the lower level embedded in closed form under JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from nashopt import GNEP

from qoex.model.market import FloatArray, Market

from .outcome import Outcome, Prepared, initial_rewards

# On the largest residual of the KKT system (utilities over μ, unknowns ln of R over its start), for
# it to count as solved.
TOLERANCE = 1e-8
_MAX_EVALUATIONS = 1000
# Levenberg–Marquardt found the equilibrium most often; the others end elsewhere or nowhere more
# often where capacities bind.
_METHODS = ("lm", "trf")


def prepare(market: Market) -> Prepared:
    """Prepare the game and solve it once: nashopt compiles in each call, and says for how long.

    With its residual compiled beforehand and JAX's cache on disk, later calls only load the code.
    """
    game = _game(market)
    game.kkt_residual = jax.jit(game.kkt_residual)
    start = np.zeros(market.work.size)

    def solve() -> Outcome:
        steps, compiling = 0, 0.0
        for method in _METHODS:
            found = game.solve(
                start, solver=method, tol=1e-12, max_nfev=_MAX_EVALUATIONS, verbose=0
            )
            steps += int(found.stats.kkt_evals)
            compiling += float(found.stats.jax_jit_time)
            residual = float(np.abs(found.res).max())
            if residual <= TOLERANCE:
                break
        failure = ""
        if not residual <= TOLERANCE:
            failure = f"the residual of the KKT system stays at {residual:.1e}"
        rewards = _rewards(market, np.asarray(found.x))
        return Outcome(rewards, steps, failure, compiling=compiling)

    solve()
    return Prepared(solve, compiling=solve().compiling)


def _rewards(market: Market, unknown: FloatArray) -> FloatArray:
    """Return R (N×M) of unknowns ln(R/start), user by user."""
    ratio = np.exp(unknown.reshape(market.users, market.providers).T)
    rewards: FloatArray = initial_rewards(market) * ratio
    return rewards


def _game(market: Market) -> GNEP:
    start = initial_rewards(market)
    low, high = np.log(market.reward_min / start), np.log(market.reward_max / start)

    def loss(unknown: jax.Array, m: int) -> jax.Array:
        ratio = jnp.exp(unknown.reshape(market.users, market.providers).T)
        rewards = start * ratio
        qoe = _qoe(market, rewards)[:, m]
        return rewards[:, m] @ qoe / market.profit_factor[m] - jnp.log1p(qoe.sum())

    return GNEP(
        [market.providers] * market.users,
        [lambda unknown, m=m: loss(unknown, m) for m in range(market.users)],
        lb=low.T.ravel(),
        ub=high.T.ravel(),
    )


def _qoe(market: Market, rewards: jax.Array) -> jax.Array:
    """Return Q (N×M): the closed form with C1 and C2.

    The floor is found without derivatives; given it, prices are an explicit function of the
    rewards, by which capacities bind.
    """
    root = jnp.sqrt(rewards)
    root_a, root_b = np.sqrt(market.work), np.sqrt(market.traffic)
    budget = market.latency_budget

    def prices(root: jax.Array, floor: jax.Array) -> tuple[jax.Array, jax.Array]:
        weight = floor / budget
        room_f = market.compute_capacity - (weight * market.work).sum(axis=1)
        room_b = market.bandwidth_capacity - (weight * market.traffic).sum(axis=1)
        cross = (weight * root_a * root_b).sum(axis=1)
        sum_f = jnp.where(floor, 0.0, root * root_a).sum(axis=1)
        sum_b = jnp.where(floor, 0.0, root * root_b).sum(axis=1)
        x0, y0 = np.sqrt(market.compute_cost), np.sqrt(market.bandwidth_cost)
        # The least solution: the last of slack, one bound, both bound that is called for.
        x1, y1 = (sum_f + y0 * cross) / room_f, (sum_b + x0 * cross) / room_b
        y_after_x, x_after_y = (sum_b + x1 * cross) / room_b, (sum_f + y1 * cross) / room_f
        determinant = room_f * room_b - cross * cross
        x2 = (room_b * sum_f + cross * sum_b) / determinant
        y2 = (room_f * sum_b + cross * sum_f) / determinant
        binds_x, binds_y = x1 > x0, y1 > y0
        both = (binds_x & (y_after_x > y0)) | (binds_y & (x_after_y > x0))
        x = jnp.where(both, x2, jnp.where(binds_x, x1, x0))
        y = jnp.where(both, y2, jnp.where(binds_y, y1, y0))
        return x, y

    def height(x: jax.Array, y: jax.Array) -> jax.Array:
        return root_a * x[:, None] + root_b * y[:, None]

    fixed = jax.lax.stop_gradient(root)

    def enlarge(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        floor, _ = state
        larger = floor | (fixed * budget < height(*prices(fixed, floor)))
        return larger, jnp.any(larger != floor)

    none = jnp.zeros(budget.shape, dtype=bool)
    floor, _ = jax.lax.while_loop(lambda state: state[1], enlarge, (none, jnp.array(True)))
    return jnp.where(floor, 0.0, budget - height(*prices(root, floor)) / root)
