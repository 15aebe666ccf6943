"""Solutions in files: what is written comes back, and what cannot be one is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from markets import FAMILIES, Family, random_market
from qoex.certificate import Certificate, certify
from qoex.equilibrium.solver import solve
from qoex.errors import InvalidInputError
from qoex.files.solution_json import json_text, read_solution, solution_data, write_solution
from qoex.game.solution import CapacityState, Solution, Status
from qoex.model.market import Market
from qoex.scenario.sampling import sample_scenario

Data = dict[str, Any]


@pytest.fixture(scope="module")
def market() -> Market:
    return sample_scenario(2, 3, np.random.default_rng(1), feasible=True).market()


@pytest.fixture(scope="module")
def solution(market: Market) -> Solution:
    return replace(solve(market), notes=("a remark", "naïve — 東京"))


@pytest.fixture(scope="module")
def certificate(market: Market, solution: Solution) -> Certificate:
    return certify(market, solution)


def assert_same(first: Solution, second: Solution) -> None:
    """Equal to the last bit, but for the trace, which no file holds."""
    for field in fields(Solution):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if isinstance(one, CapacityState):
            np.testing.assert_array_equal(one.use, other.use)
            np.testing.assert_array_equal(one.price, other.price)
            assert one.regime == other.regime
        elif isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other)
        elif field.name != "trace":
            assert one == other


@pytest.mark.parametrize("status", list(Status))
def test_a_solution_comes_back_to_the_last_bit(
    market: Market, solution: Solution, certificate: Certificate, tmp_path: Path, status: Status
) -> None:
    path = tmp_path / "solution.json"
    written = replace(solution, status=status)
    write_solution(path, market, written, certificate)
    saved = read_solution(path, market)
    assert_same(saved.solution, written)
    assert saved.market is market
    assert saved.dropped == ()


# As the first form had them, before the status was a code.
FIRST_FORM = {
    Status.CONVERGED: "Converged: every equilibrium condition holds to the tolerance asked for.",
    Status.EXACT: (
        "Exact: the scheme fixes its rewards by a formula, and providers answered exactly."
    ),
    Status.OWN_RULE: (
        "Stopped by its own rule: utilities no longer change between iterations, "
        "which is no proof of an equilibrium; look at the regret."
    ),
    Status.STEP_LIMIT: "Not solved: the step limit was reached before the conditions held.",
    Status.STALLED: (
        "Not solved: no step improves the conditions any further, and they do not hold."
    ),
    Status.NOT_FINITE: "Not solved: a number that is not finite appeared.",
}


@pytest.mark.parametrize("status", FIRST_FORM)
def test_a_file_of_the_first_form_is_read(
    market: Market, solution: Solution, certificate: Certificate, tmp_path: Path, status: Status
) -> None:
    data = solution_data(market, solution, certificate)
    assert data.pop("version") == 2
    path = tmp_path / "solution.json"
    path.write_text(json.dumps({**data, "status": FIRST_FORM[status]}), encoding="utf-8")
    assert read_solution(path, market).solution.status is status
    path.write_text(json.dumps({**data, "status": status.value}), encoding="utf-8")
    with pytest.raises(InvalidInputError, match="no computation of qoex ends like that"):
        read_solution(path, market)


def test_the_certificate_is_written_in_full(
    market: Market, solution: Solution, certificate: Certificate
) -> None:
    written = json.loads(json_text(solution_data(market, solution, certificate)))
    assert written["certificate"] == {
        "regret": certificate.regret,
        "regret_per_user": certificate.regret_per_user.tolist(),
        "kkt_residual": certificate.kkt_residual,
        "unique": None,
        "index": None,
    }
    determined = replace(certificate, unique=True, index=-1)
    written_then = json.loads(json_text(solution_data(market, solution, determined)))
    assert (written_then["certificate"]["unique"], written_then["certificate"]["index"]) == (
        True,
        -1,
    )
    assert written["notes"] == ["a remark", "naïve — 東京"]
    assert "dropped" not in written


def test_dropped_demands_are_absent_from_the_market_read(
    market: Market, certificate: Certificate, tmp_path: Path
) -> None:
    path = tmp_path / "solution.json"
    pair = np.zeros(market.work.shape, dtype=bool)
    pair[1, 2] = True
    less = market.without(pair)
    write_solution(path, less, solve(less), certificate, [("asp-2", "mu-3")])
    saved = read_solution(path, market)
    assert saved.market == less
    assert saved.dropped == (("asp-2", "mu-3"),)


def test_numbers_that_are_not_finite_become_null(
    market: Market, solution: Solution, certificate: Certificate, tmp_path: Path
) -> None:
    rewards = solution.rewards.copy()
    rewards[0, 1], rewards[1, 0] = math.nan, math.inf
    path = tmp_path / "solution.json"
    broken = replace(certificate, regret=math.nan)
    write_solution(path, market, replace(solution, rewards=rewards), broken)
    data = json.loads(path.read_text())
    assert (data["rewards"][0][1], data["rewards"][1][0]) == (None, None)
    assert data["certificate"]["regret"] is None
    with pytest.raises(InvalidInputError) as raised:
        read_solution(path, market)
    assert str(raised.value) == f"{path}: rewards[0][1] is null; it must be a finite number"


def put(*place: Any) -> Callable[[Data], None]:
    """A change that puts the last argument where the others lead."""
    *way, key, value = place

    def change(data: Data) -> None:
        target: Any = data
        for step in way:
            target = target[step]
        target[key] = value

    return change


def drop(*keys: str) -> Callable[[Data], None]:
    def change(data: Data) -> None:
        for key in keys:
            del data[key]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("rewards"), "the solution lacks rewards"),
        (drop("status", "qoe"), "the solution lacks status, qoe"),
        (put("status", "fine"), 'status is "fine"; no computation of qoex ends like that'),
        (put("version", 3), "version is 3; this qoex reads 1 and 2"),
        (put("version", True), "version is true; this qoex reads 1 and 2"),
        (put("method", None), "method is null; it must be a string"),
        (put("steps", -1), "steps is -1; it must be a whole number, 0 or more"),
        (put("steps", True), "steps is true; it must be a whole number, 0 or more"),
        (put("rewards", 3), "rewards is 3; it must be a list"),
        (put("rewards", [[1.0] * 3] * 3), "rewards has 3 entries; the market has 2 providers"),
        (put("compute", 1, [1.0] * 4), "compute[1] has 4 entries; the market has 3 users"),
        (put("qoe", 1, 2, "5"), 'qoe[1][2] is "5"; it must be a finite number'),
        (put("qoe", 1, 2, True), "qoe[1][2] is true; it must be a finite number"),
        (put("qoe", 0, 0, 10**400), f"qoe[0][0] is 1{'0' * 58}…; it must be a finite number"),
        (put("user_utility", [1.0]), "user_utility has 1 entries; the market has 3 users"),
        (put("provider_utility", {}), "provider_utility is {}; it must be a list"),
        (put("capacities", 0, 7), "capacities[0] is 7; it must be an object"),
        (put("capacities", 0, {}), "capacities[0] lacks provider"),
        (put("capacities", 0, "provider", "asp-9"),
         'provider of capacities[0] is "asp-9"; it must be one of asp-1, asp-2'),
        (put("capacities", 1, "resource", "power"),
         'resource of capacities[1] is "power"; it must be one of compute, bandwidth'),
        (put("capacities", 1, "resource", "compute"),
         "capacities[1] is compute of asp-1 once more"),
        (put("capacities", []), "capacities lack compute of asp-1"),
        (put("capacities", 2, "use", None),
         "use of capacities[2] is null; it must be a finite number"),
        (put("capacities", 2, "regime", "full"),
         'regime of capacities[2] is "full"; it must be one of slack, pinned, binding'),
        (put("notes", [1]), "notes is 1; it must be a string"),
        (put("dropped", ["mu-1"]), 'dropped[0] is "mu-1"; it must be an object'),
        (put("dropped", [{"provider": "asp-1"}]), "dropped[0] lacks user"),
        (put("dropped", [{"provider": "asp-1", "user": "x"}]),
         'user of dropped[0] is "x"; it must be one of mu-1, mu-2, mu-3'),
    ],
)  # fmt: skip
def test_what_is_no_solution_of_the_market_is_refused(
    market: Market,
    solution: Solution,
    certificate: Certificate,
    tmp_path: Path,
    change: Callable[[Data], None],
    message: str,
) -> None:
    path = tmp_path / "solution.json"
    data = json.loads(json_text(solution_data(market, solution, certificate)))
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(InvalidInputError) as raised:
        read_solution(path, market)
    assert str(raised.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON: Expecting value (at line 1, column 1)"),
        ("[]", "a solution must be an object"),
        ('{"steps": NaN}', "not valid JSON: it holds NaN, and every number must be finite"),
        ('{"a": 1, "a": 2}', "not valid JSON: an object holds the key 'a' more than once"),
    ],
)
def test_malformed_files_are_refused(
    market: Market, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "solution.json"
    path.write_text(text)
    with pytest.raises(InvalidInputError) as raised:
        read_solution(path, market)
    assert str(raised.value) == f"{path}: {message}"


def test_an_infinity_in_disguise_is_refused(
    market: Market, solution: Solution, certificate: Certificate, tmp_path: Path
) -> None:
    path = tmp_path / "solution.json"
    text = json_text(solution_data(market, solution, certificate))
    path.write_text(text.replace(repr(solution.rewards.tolist()[0][0]), "1e999", 1))
    with pytest.raises(InvalidInputError, match=r"rewards\[0\]\[0\] is Infinity; it must be"):
        read_solution(path, market)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32),
    st.sampled_from(FAMILIES),
    st.sampled_from(["rewards", "compute", "bandwidth"]),
    st.sampled_from([0.99, 1.01]),
)
def test_a_saved_solution_verifies_and_a_perturbed_one_does_not(
    tmp_path_factory: pytest.TempPathFactory, seed: int, family: Family, name: str, factor: float
) -> None:
    market = random_market(np.random.default_rng(seed), 2, 5, family)
    solution = solve(market)
    path = tmp_path_factory.mktemp("saved") / "solution.json"
    write_solution(path, market, solution, certify(market, solution))
    saved = read_solution(path, market)
    assert_same(saved.solution, solution)
    assert certify(market, saved.solution).holds()
    bought = np.argwhere(solution.qoe > 1e-3 * market.latency_budget)
    for pair in bought[:1]:
        changed = getattr(solution, name).copy()
        changed[tuple(pair)] *= factor
        assert not certify(market, replace(solution, **{name: changed})).holds(1e-6)
