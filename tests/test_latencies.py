"""``qoex fit``: work models out of measured latencies, and what speaks against one."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from commands import qoex_command, refusal

HEAD = "server,x_in,x_out,batch,ms,first,each\n"


def table(folder: Path, rows: list[str], head: str = HEAD) -> Path:
    path = folder / "measured.csv"
    path.write_text(head + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def measured(server: str, batch: int = 1, *, seconds: float = 1.0) -> list[str]:
    """Rows of a server with 20 + 0.2 b x_in + (9 + b) x_out ms, by hand."""
    rows = []
    for x_in, x_out in ((100, 50), (100, 200), (400, 50), (400, 400), (1000, 100), (50, 300)):
        first = 20 + 0.2 * batch * x_in + (9 + batch)
        whole = 20 + 0.2 * batch * x_in + (9 + batch) * x_out
        rows.append(
            f"{server},{x_in},{x_out},{batch},{whole * seconds!r},{first!r},{float(9 + batch)!r}"
        )
    return rows


def providers(output: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = tomllib.loads(output)["providers"]
    return found


COLUMNS = ("--input", "x_in", "--output", "x_out")


def test_a_server_s_coefficients_come_back(tmp_path: Path) -> None:
    path = table(tmp_path, measured("one"))
    result = qoex_command("fit", path, *COLUMNS, "--latency", "ms", "--compute", 2.0)
    assert (result.exit_code, result.stderr) == (0, "")
    (provider,) = providers(result.stdout)
    assert provider["name"] == "provider"
    assert (provider["work_model"], provider["compute_capacity"]) == ("cached", 2.0)
    # On 2 TFLOPS each ms is 2 TFLOPS·ms.
    assert provider["work_per_request"] == pytest.approx(40.0)
    assert provider["work_per_input_token"] == pytest.approx(0.4)
    assert provider["work_per_output_token"] == pytest.approx(20.0)
    assert "6 rows, R² 1.0000, relative error 0.00%" in result.stdout


def test_the_first_token_and_the_others_make_the_latency(tmp_path: Path) -> None:
    path = table(tmp_path, measured("one"))
    whole = qoex_command("fit", path, *COLUMNS, "--latency", "ms")
    parts = qoex_command("fit", path, *COLUMNS, "--prefill", "first", "--per-token", "each")
    (one,), (other,) = providers(whole.stdout), providers(parts.stdout)
    assert one.keys() == other.keys()
    for name in ("work_per_request", "work_per_input_token", "work_per_output_token"):
        assert one[name] == pytest.approx(other[name], rel=1e-9)


def test_batches_share_what_is_read_once(tmp_path: Path) -> None:
    rows = [row for batch in (1, 2, 8) for row in measured("one", batch)]
    path = table(tmp_path, rows)
    options = ("--latency", "ms", "--batch", "batch")
    result = qoex_command("fit", path, *COLUMNS, *options, "--at-batch", 4)
    (provider,) = providers(result.stdout)
    # 20/4, 0.2 and 9/4 + 1
    assert provider["work_per_request"] == pytest.approx(5.0)
    assert provider["work_per_input_token"] == pytest.approx(0.2)
    assert provider["work_per_output_token"] == pytest.approx(3.25)


def test_one_fit_to_a_group_and_seconds_are_thousands_of_ms(tmp_path: Path) -> None:
    path = table(tmp_path, measured("a", seconds=1e-3) + measured("b", 3, seconds=1e-3))
    options = ("--latency", "ms", "--unit", "s", "--group", "server")
    a, b = providers(qoex_command("fit", path, *COLUMNS, *options).stdout)
    assert (a["name"], b["name"]) == ("a", "b")
    assert a["work_per_output_token"] == pytest.approx(10.0)
    assert b["work_per_output_token"] == pytest.approx(12.0)


def test_tokens_asked_for_and_not_generated_are_told(tmp_path: Path) -> None:
    rows = [f"one,512,{n},1,{30.0 + 10.0 * min(n, 512)},0,0" for n in (128, 256, 512, 1024, 8192)]
    rows += [f"one,64,{n},1,{10.0 + 10.0 * min(n, 512)},0,0" for n in (128, 256)]
    result = qoex_command("fit", table(tmp_path, rows), *COLUMNS, "--latency", "ms")
    assert result.exit_code == 1  # R² is below 0.9
    assert "the latency stops growing beyond 512 output tokens" in result.stderr
    assert "the model explains little of what was measured" in result.stderr


def test_a_coefficient_of_which_nothing_was_left_is_told(tmp_path: Path) -> None:
    rows = [f"one,{x},{y},1,{5.0 * y},0,0" for x, y in ((10, 10), (90, 20), (50, 40), (20, 90))]
    result = qoex_command("fit", table(tmp_path, rows), *COLUMNS, "--latency", "ms")
    assert result.exit_code == 0
    assert "nothing was left for work_per_request" in result.stderr


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (["a,1,2,1,x,0,0"], ("--latency", "ms"), "ms of row 1 is x; it must be a finite number"),
        (["a,1,2,1,,0,0"], ("--latency", "ms"), "ms of row 1 is empty; it must be a finite number"),
        (["a,1,2,1,3,0,0"], ("--latency", "msec"), "there is no column msec; did you mean ms?"),
        ([], ("--latency", "ms"), "the table has no rows"),
        (["a,1,2,1,3,0,0"], (), "give either latency, or prefill and per_token"),
        (
            ["a,1,2,1,3,0,0"],
            ("--prefill", "first"),
            "prefill and per_token go together; one of them is missing",
        ),
        (
            ["a,1,2,0,3,0,0"],
            ("--latency", "ms", "--batch", "batch"),
            "batch of row 1 is 0; it must be one or more",
        ),
        (
            measured("only one")[:3],
            ("--latency", "ms", "--group", "server"),
            "only one: rows given: 3; at least 4 are needed",
        ),
    ],
)
def test_refusals(tmp_path: Path, rows: list[str], options: tuple[str, ...], message: str) -> None:
    assert message in refusal("fit", table(tmp_path, rows), *COLUMNS, *options)
