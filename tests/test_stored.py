"""A market solved from disk in chunks is the market solved in memory, to the last bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from certificate_cases import KINDS
from certificate_cases import random_market as any_kind
from market_files import stored
from markets import FAMILIES, Family, random_market, two_users
from qoex.certificate import certify
from qoex.equilibrium.solver import solve
from qoex.errors import InfeasibleMarketError, InvalidInputError, ScenarioError
from qoex.files.parquet import BLOCK, MarketDirectory
from qoex.game.solution import Solution, Status
from qoex.model.market import Market
from qoex.out_of_core import OnDisk, on_disk, solve_stored, stored_solution_data
from qoex.out_of_core.on_disk import borders
from qoex.out_of_core.spread import Spread
from stored_markets import check_alike, check_same, check_written, many_users

Many = tuple[Market, Solution, Path]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Many:
    market = many_users()
    # Files of other sizes than chunks and blocks.
    return market, solve(market), stored(market, tmp_path_factory.mktemp("many"), 11_000)


@pytest.mark.parametrize("chunks", [1, 2, 7, None])
def test_chunks_do_not_change_a_bit(many: Many, tmp_path: Path, chunks: int | None) -> None:
    market, whole, path = many
    assert whole.status is Status.CONVERGED
    assert len({*whole.compute_state.regime}) > 1
    assert (whole.qoe == 0).sum() > (~market.present).sum()
    out = tmp_path / "out"
    found = solve_stored(MarketDirectory(path), chunks=chunks, out=out)
    check_same(found, whole)
    check_written(out, market, whole)
    assert len(list(out.glob("users-*.parquet"))) == (chunks or 1)
    assert found.verdict.holds(1e-9)
    certificate = certify(market, whole)
    assert found.verdict.regret == certificate.regret
    assert found.verdict.conditions.residuals.largest == certificate.kkt_residual
    assert found.sentence() == certificate.sentence()
    assert found.worst_user == certificate.worst_user
    data = json.loads((out / "solution.json").read_text())
    assert data == json.loads(json.dumps(stored_solution_data(MarketDirectory(path), found)))
    assert data["certificate"]["holds"] is True
    # Loading, responses, the providers' answer, allocating and certifying.
    assert found.passes == 1 + sampled(whole) + found.steps + 3


def test_a_sample_is_drawn_alike(tmp_path: Path) -> None:
    market = many_users(2, 40_000)
    whole = solve(market)
    assert sampled(whole)
    path = stored(market, tmp_path)
    for chunks in (1, 3):
        found = solve_stored(MarketDirectory(path), chunks=chunks)
        check_same(found, whole)


def sampled(solution: Solution) -> bool:
    return "user solved first" in solution.trace[0].note


def check_small(market: Market, folder: Path) -> None:
    whole = solve(market)
    if "best repl" in "".join([*whole.notes, *(step.note for step in whole.trace)]):
        return
    path = stored(market, folder)
    found = solve_stored(MarketDirectory(path), out=folder / "out")
    if found.status is Status.STALLED:  # in memory it starts anew from best responses
        assert whole.steps > found.steps
        return
    check_alike(found, whole)
    check_written(folder / "out", market, whole, rtol=1e-9)
    assert found.verdict.holds(1e-9) == certify(market, whole).holds()


@pytest.mark.parametrize("family", FAMILIES)
def test_small_markets_of_every_regime(family: Family, tmp_path: Path) -> None:
    for seed in range(3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        check_small(random_market(np.random.default_rng(seed), 2, 5, family), folder)


@pytest.mark.parametrize("kind", KINDS)
def test_small_markets_of_every_kind(kind: str, tmp_path: Path) -> None:
    for seed in range(3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        check_small(any_kind(np.random.default_rng([KINDS.index(kind), seed]), kind), folder)


def test_a_pinned_capacity(tmp_path: Path) -> None:
    market = two_users(0.95 * 1.99138)
    check_small(market, tmp_path)
    assert solve_stored(MarketDirectory(tmp_path / "market")).verdict.holds(1e-9)


def test_chunks_begin_at_blocks_and_have_one_node_each(many: Many) -> None:
    market = MarketDirectory(many[2])
    assert borders(market) == [0]
    assert borders(market, 3) == [0, 2 * BLOCK, 5 * BLOCK]
    assert borders(market, at_least=4) == [0, 2 * BLOCK, 4 * BLOCK, 6 * BLOCK]
    assert borders(market, at_least=100) == [BLOCK * i for i in range(7)]
    hosts = OnDisk(market, 4)
    assert hosts.firsts == [0, 2 * BLOCK, 4 * BLOCK, 6 * BLOCK]
    assert [len(nodes) for nodes in hosts.call("floor_load")] == [1, 1, 1, 1]


def test_a_short_last_block_stays_with_the_one_before(tmp_path: Path) -> None:
    market = many_users(2, 3 * BLOCK + 5)
    whole = solve(market)
    opened = MarketDirectory(stored(market, tmp_path))
    assert borders(opened, 9) == [0, BLOCK, 2 * BLOCK]
    check_same(solve_stored(opened, chunks=9, out=tmp_path / "out"), whole)
    check_written(tmp_path / "out", market, whole)


def test_progress_says_what_is_done(many: Many) -> None:
    seen: list[str] = []
    found = solve_stored(MarketDirectory(many[2]), chunks=2, progress=seen.append)
    assert len(seen) == found.passes
    assert seen[0] == "pass 1: reading the users"
    assert any(item.startswith("pass 4: users respond, residual ") for item in seen)
    assert seen[-1] == f"pass {found.passes}: certifying"


def test_a_market_that_cannot_be_served(many: Many, tmp_path: Path) -> None:
    market = many[0].replace(compute_capacity=[1.0] * 3)
    path = stored(market, tmp_path)
    with pytest.raises(InfeasibleMarketError, match="provider-1 is short of"):
        solve_stored(MarketDirectory(path), out=tmp_path / "out")
    assert [item.name for item in tmp_path.iterdir()] == ["market"]


def test_a_target_that_is_not_empty(many: Many, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(InvalidInputError, match="out: it exists already, and only a new or empty"):
        solve_stored(MarketDirectory(many[2]), out=tmp_path / "out")
    with pytest.raises(InvalidInputError, match=r"no/out: cannot be written \(No such file"):
        solve_stored(MarketDirectory(many[2]), out=tmp_path / "no" / "out")


def test_a_market_too_large_for_the_machine(many: Many, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk, "memory_of_machine", lambda: 2e6)
    with pytest.raises(InvalidInputError, match=r"solving it takes some 0\.0126 GB of memory, wh"):
        solve_stored(MarketDirectory(many[2]))


def test_a_market_that_changes_meanwhile(tmp_path: Path) -> None:
    market = many_users(2, 9000)
    path = stored(market, tmp_path)
    opened = MarketDirectory(path)

    def change(doing: str) -> None:
        if doing.startswith("pass 3"):
            os.utime(path / "users-00000.parquet", (0, 0))

    with pytest.raises(ScenarioError, match="it was changed or removed after the market was"):
        solve_stored(opened, chunks=2, out=tmp_path / "out", progress=change)
    assert [item.name for item in tmp_path.iterdir()] == ["market"]


def test_a_step_limit_is_no_success(many: Many) -> None:
    found = solve_stored(MarketDirectory(many[2]), max_sweeps=1)
    assert found.status is Status.STEP_LIMIT
    assert not found.verdict.holds(1e-9)
    assert found.sentence().startswith("Not an equilibrium: ")


def test_the_content_tells_markets_apart(many: Many, tmp_path: Path) -> None:
    market, _, path = many
    (tmp_path / "copy").mkdir()
    (tmp_path / "other").mkdir()
    copy = stored(market, tmp_path / "copy", 11_000)
    other = stored(market.replace(compute_cost=[1.0, 2.0, 3.0]), tmp_path / "other", 11_000)
    assert MarketDirectory(copy).content == MarketDirectory(path).content
    assert MarketDirectory(other).content != MarketDirectory(path).content


def test_spreads_join_and_tell_quantiles() -> None:
    values = np.random.default_rng(1).lognormal(5.0, 1.0, 20_000)
    values[:500] = 0.0
    whole = Spread.of(values)
    parts = Spread.joined(Spread.of(part) for part in np.split(values, [3000, 3001, 15_000]))
    np.testing.assert_array_equal(parts.classes, whole.classes)
    np.testing.assert_array_equal(parts.counts, whole.counts)
    for share in (0.0, 0.02, 0.1, 0.5, 0.9, 1.0):
        exact = np.quantile(values, share, method="inverted_cdf")
        assert whole.quantile(share) == pytest.approx(exact, rel=5e-4)


_PEAK = """
import sys
from pathlib import Path
from qoex.files.parquet import MarketDirectory, market_of
if sys.argv[1] == "stored":
    from qoex.out_of_core import solve_stored
    status = solve_stored(MarketDirectory(sys.argv[2]), chunks=13).status
else:
    from qoex.certificate import certify
    from qoex.equilibrium.solver import solve
    market = market_of(sys.argv[2])
    solution = solve(market)
    certify(market, solution)
    status = solution.status
assert status.ok
lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(lines["VmHWM"].split()[0])  # unlike ru_maxrss, it knows nothing of the parent's memory
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="it does not say what the peak was")
def test_memory_is_bounded(tmp_path: Path) -> None:
    from qoex.files.parquet.sampling import sample_market_directory

    def peak(way: str, users: int) -> float:
        path = tmp_path / str(users)
        if not path.exists():
            sample_market_directory(path, 10, users, 1, feasible=True)
        command = [sys.executable, "-c", textwrap.dedent(_PEAK), way, str(path)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return float(done.stdout) / 1024  # MiB

    # The demands alone take 201 MiB in memory; the state of all users and a chunk 92 MiB. Few users
    # tell what the libraries take, and their processes compile what is not compiled.
    taken = {
        way: -min(peak(way, 40_000), peak(way, 40_000)) + peak(way, 800_000)
        for way in ("stored", "memory")
    }
    assert taken["stored"] < 0.5 * taken["memory"], taken
