"""A PostgreSQL server for a while: nothing of it stays, and nothing of it can be reached from afar.

    python3 tests/throwaway_postgresql.py make check

runs a command with such a server, whose URL stands in QOEX_TEST_POSTGRESQL. It takes the programs
of Debian's package ``postgresql``, and Python's own library.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "QOEX_TEST_POSTGRESQL"

# The tests lose nothing worth keeping when the machine stops.
_SETTINGS = {"listen_addresses": "", "fsync": "off", "full_page_writes": "off"}


def programs() -> Path | None:
    """Return the folder of initdb and pg_ctl of the newest PostgreSQL there is; None for none."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("[0-9]*/bin"), key=lambda path: float(path.parent.name)
    )
    on_path = shutil.which("pg_ctl")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    fitting = [
        path for path in folders if (path / "pg_ctl").exists() and (path / "initdb").exists()
    ]
    return fitting[-1] if fitting else None


@contextmanager
def server(binaries: Path) -> Iterator[str]:
    """Run a server in the block; yields its URL, by way of a socket in a folder of its own."""
    # A socket's path must be short, so this is not below pytest's folders.
    with tempfile.TemporaryDirectory(prefix="qoex-pg-") as name:
        folder = Path(name)
        options: dict[str, object] = {"stdout": subprocess.DEVNULL, "check": True, "cwd": "/"}
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            account = _unprivileged()
            os.chown(folder, account.pw_uid, account.pw_gid)
            options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        data = folder / "data"
        settings = _SETTINGS | {"unix_socket_directories": name}
        given = " ".join(f"-c {key}='{value}'" for key, value in settings.items())
        initdb = ("initdb", "-D", data, "-U", "qoex", "-A", "trust", "-E", "UTF8", "--no-locale")
        _run(binaries, (*initdb, "--no-sync"), options)
        start = ("pg_ctl", "start", "-w", "-D", data, "-l", folder / "log", "-o", given)
        _run(binaries, start, options)
        try:
            yield f"postgresql://qoex@/postgres?host={name}"
        finally:
            _run(binaries, ("pg_ctl", "stop", "-w", "-m", "immediate", "-D", data), options)


def _run(binaries: Path, command: tuple[object, ...], options: dict[str, object]) -> None:
    program, *arguments = map(str, command)
    subprocess.run([str(binaries / program), *arguments], **options)  # type: ignore[call-overload]


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise SystemExit("neither postgres nor nobody is a user here, and root cannot run PostgreSQL")


def main() -> None:
    """Run the command of the arguments with a server, and leave with its exit status."""
    binaries = programs()
    if binaries is None:
        raise SystemExit("there is no PostgreSQL (Debian: postgresql)")
    # So that the server is stopped even so.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with server(binaries) as url:
        status = subprocess.run(sys.argv[1:], env={**os.environ, VARIABLE: url}, check=False)
    sys.exit(status.returncode)


if __name__ == "__main__":
    main()
