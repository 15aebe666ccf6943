"""``qoex token``: what it prints, and what it changes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from commands import qoex_command
from qoex.agent.storage import Store
from qoex.agent.tokens import Role, Token, secret_digest


def tokens(database: str) -> list[Token]:
    async def read() -> list[Token]:
        async with await Store.open(database, exclusive=False) as store:
            return await store.tokens()

    return asyncio.run(read())


@pytest.mark.parametrize(
    ("options", "role", "node"),
    [
        (["--operator"], Role.OPERATOR, None),
        (["--provider", "asp-1"], Role.PROVIDER, "asp-1"),
        (["--user", "mu-1"], Role.USER, "mu-1"),
    ],
)
def test_create_prints_the_secret_alone(
    database: str, options: list[str], role: Role, node: str | None
) -> None:
    done = qoex_command("token", "create", *options, "--label", "edge 7", "--database", database)
    assert done.exit_code == 0
    (token,) = tokens(database)
    assert (token.role, token.node, token.label) == (role, node, "edge 7")
    assert token.expires_at is None
    secret = done.stdout.removesuffix("\n")
    assert secret_digest(secret) == token.digest
    assert secret not in done.stderr
    assert f"token {token.id} of {role.value}" in done.stderr


def test_a_token_may_expire(sqlite_database: str) -> None:
    where = ("--database", sqlite_database)
    done = qoex_command("token", "create", "--operator", "--expires", "1.5", *where)
    assert done.exit_code == 0
    (token,) = tokens(sqlite_database)
    assert token.expires_at is not None
    assert (token.expires_at - token.created_at).total_seconds() == 1.5 * 86_400
    assert "valid until 20" in qoex_command("token", "list", *where).stdout


def test_list_and_revoke(database: str) -> None:
    where = ("--database", database)
    secrets = [
        qoex_command("token", "create", "--user", f"mu-{n}", "--label", f"n {n}", *where).stdout
        for n in (1, 2)
    ]
    first, second = tokens(database)
    lines = qoex_command("token", "list", *where).stdout.splitlines()
    assert lines[0].split() == ["id", "of", "state", "created", "label"]
    assert lines[2].split()[:4] == [first.id, "user", "mu-1", "valid"]
    assert lines[2].endswith("n 1")
    assert not any(secret.strip().split("_", 2)[2] in "\n".join(lines) for secret in secrets)

    done = qoex_command("token", "revoke", second.id, *where)
    assert (done.exit_code, done.stdout) == (0, "")
    assert f"token {second.id} of user mu-2: revoked 20" in done.stderr
    assert [item.revoked_at is None for item in tokens(database)] == [True, False]
    state = qoex_command("token", "list", *where).stdout.splitlines()[3]
    assert "revoked" in state
    # Once more is no mistake, and the time stays.
    before = tokens(database)
    assert qoex_command("token", "revoke", second.id, *where).exit_code == 0
    assert tokens(database) == before


def test_tokens_can_be_changed_while_the_agent_runs(database: str) -> None:
    async def run() -> None:
        async with await Store.open(database) as agent:
            done = await asyncio.to_thread(
                qoex_command, "token", "create", "--operator", "--database", database
            )
            digest = secret_digest(done.stdout.strip())
            assert digest is not None
            assert [token.digest for token in await agent.tokens()] == [digest]

    asyncio.run(run())


def test_the_database_is_the_one_of_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QOEX_DATABASE", str(tmp_path / "named.db"))
    assert qoex_command("token", "create", "--operator").exit_code == 0
    assert len(tokens(str(tmp_path / "named.db"))) == 1
    monkeypatch.delenv("QOEX_DATABASE")
    (tmp_path / "agent.toml").write_text('database = "filed.db"\n')
    assert qoex_command("token", "create", "--operator", "--config", "agent.toml").exit_code == 0
    assert len(tokens(str(tmp_path / "filed.db"))) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["create"], "say whose token it is: --operator, --provider NAME or --user NAME"),
        (["create", "--operator", "--user", "mu-1"], "say whose token it is"),
        (["create", "--user", "a b"], "--user is 'a b'; a name has"),
        (["create", "--provider", ""], "--provider is ''; a name has"),
        (["create", "--user", "a\n"], "--user is 'a\\n'; a name has"),
        (["create", "--operator", "--expires", "0"], "--expires is 0.0; it must be above 0"),
        (["create", "--operator", "--expires", "nan"], "--expires is nan; it must be"),
        (["create", "--operator", "--expires", "1e9"], "--expires is 1000000000.0; it must be"),
        (["create", "--operator", "--label", "two\nlines"], "--label must be one line"),
        (["create", "--operator", "--label", "x" * 201], "--label must be one line"),
        (["list"], "there is no database"),
        (["revoke", "abc"], "there is no database"),
    ],
)
def test_a_mistake_is_told_and_changes_nothing(
    arguments: list[str], sentence: str, tmp_path: Path
) -> None:
    done = qoex_command("token", *arguments, "--database", tmp_path / "agent.db")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_token_that_is_not_there_cannot_be_revoked(sqlite_database: str) -> None:
    where = ("--database", sqlite_database)
    qoex_command("token", "create", "--operator", *where)
    done = qoex_command("token", "revoke", "abcdefgh", *where)
    assert (done.exit_code, done.stderr) == (2, "error: there is no token 'abcdefgh'\n")


def test_an_empty_list_says_so(sqlite_database: str) -> None:
    assert tokens(sqlite_database) == []
    done = qoex_command("token", "list", "--database", sqlite_database)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "there are no tokens\n")


def test_without_its_packages_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("qoex.cli.terminal.find_spec", lambda name: None)
    done = qoex_command("token", "list")
    assert done.exit_code == 2
    assert done.stderr == ('error: qoex token needs the extra "agent": pip install "qoex[agent]"\n')
