"""The commands that create, list and revoke the tokens of nodes and operators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from qoex.cli.terminal import notice, require_extra, show
from qoex.errors import InvalidInputError

if TYPE_CHECKING:
    from qoex.agent.storage import Store
    from qoex.agent.tokens import Role, Token

T = TypeVar("T")

# A token that shall last longer should have no end.
_MOST_DAYS = 36_500
_LONGEST_LABEL = 200

token = typer.Typer(
    help="Create, list and revoke the bearer tokens of an agent's nodes and operators.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Database = Annotated[
    str | None,
    typer.Option(
        metavar="DB",
        help="File, or postgresql://user@host/database; by default what the agent uses.",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Settings of the agent; by default what QOEX_CONFIG names."),
]


@token.command()
def create(
    operator: Annotated[
        bool, typer.Option("--operator", help="For an operator, who may do everything.")
    ] = False,
    provider: Annotated[
        str | None, typer.Option(metavar="NAME", help="For a provider, and only for it.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="For a user, and only for it.")
    ] = None,
    label: Annotated[str, typer.Option(help="A note, shown in the list.")] = "",
    expires: Annotated[
        float | None, typer.Option(metavar="DAYS", help="Days that it is valid; else for ever.")
    ] = None,
    database: Database = None,
    config: Config = None,
) -> None:
    """Create a token and print its secret, which is kept nowhere: store it now."""
    _require_packages()
    from qoex.agent.tokens import new_token

    role, node = _bearer(operator=operator, provider=provider, user=user)
    if expires is not None and not 0 < expires <= _MOST_DAYS:
        raise InvalidInputError(f"--expires is {expires}; it must be above 0, at most {_MOST_DAYS}")
    if len(label) > _LONGEST_LABEL or not label.isprintable():
        raise InvalidInputError(f"--label must be one line of at most {_LONGEST_LABEL} characters")
    now = datetime.now(UTC)
    end = None if expires is None else now + timedelta(days=expires)
    made, secret = new_token(role, node, created_at=now, label=label, expires_at=end)
    _with_store(database, config, lambda store: store.create_token(made), create=True)
    until = "for ever" if end is None else f"until {_shown_time(end)}"
    notice(f"token {made.id} of {_owner(made)}, valid {until}; nobody can show its secret again:")
    show([secret])


@token.command("list")
def list_(database: Database = None, config: Config = None) -> None:
    """List all tokens, without their secrets."""
    _require_packages()
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    async def read(store: Store) -> list[Token]:
        return await store.tokens()

    tokens = _with_store(database, config, read)
    if not tokens:
        notice("there are no tokens")
        return
    now = datetime.now(UTC)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for heading in ("id", "of", "state", "created", "label"):
        table.add_column(heading, no_wrap=True)
    for item in tokens:
        table.add_row(
            item.id, _owner(item), _state(item, now), _shown_time(item.created_at), item.label
        )
    show([table])


@token.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As in the list.")],
    database: Database = None,
    config: Config = None,
) -> None:
    """Revoke a token: within seconds, a running agent knows it no more."""
    _require_packages()
    now = datetime.now(UTC)
    revoked = _with_store(database, config, lambda store: store.revoke_token(token_id, now))
    if revoked is None:
        raise InvalidInputError(f"there is no token {token_id!r}")
    notice(f"token {revoked.id} of {_owner(revoked)}: {_state(revoked, now)}")


def _require_packages() -> None:
    require_extra("token", "agent")


def _bearer(*, operator: bool, provider: str | None, user: str | None) -> tuple[Role, str | None]:
    """Return the role and the name that the options say.

    Raises:
        InvalidInputError: they say none or several, or no node can have that name.
    """
    import re

    from qoex.agent.tokens import Role
    from qoex.wire.names import NODE_NAME

    said = [
        (role, node)
        for role, node, given in (
            (Role.OPERATOR, None, operator),
            (Role.PROVIDER, provider, provider is not None),
            (Role.USER, user, user is not None),
        )
        if given
    ]
    if len(said) != 1:
        raise InvalidInputError("say whose token it is: --operator, --provider NAME or --user NAME")
    role, node = said[0]
    if node is not None and not re.fullmatch(NODE_NAME, node):
        raise InvalidInputError(
            f"--{role.value} is {node!r}; a name has 1 to 64 letters, digits, dots, hyphens and "
            "underscores, the first a letter or digit"
        )
    return role, node


def _with_store(
    database: str | None,
    config: Path | None,
    work: Callable[[Store], Awaitable[T]],
    *,
    create: bool = False,
) -> T:
    """Do something with the agent's database, whether the agent is running or not."""
    import asyncio

    from qoex.agent.settings import load_settings
    from qoex.agent.storage import Store

    name = load_settings({"database": database}, config).database

    async def run() -> T:
        async with await Store.open(name, exclusive=False, create=create) as store:
            return await work(store)

    return asyncio.run(run())


def _owner(item: Token) -> str:
    return item.role.value if item.node is None else f"{item.role.value} {item.node}"


def _state(item: Token, now: datetime) -> str:
    if item.revoked_at is not None:
        return f"revoked {_shown_time(item.revoked_at)}"
    if item.expires_at is None:
        return "valid"
    word = "valid until" if item.valid(now) else "expired"
    return f"{word} {_shown_time(item.expires_at)}"


def _shown_time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
