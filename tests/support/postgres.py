"""A private PostgreSQL cluster, as an unprivileged user when we are root; installed from the distribution if absent."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from deploy.local.debian import installed
from tests.support.ports import free_port

USER = "postgres"


def binaries() -> Path:
    """The newest installed PostgreSQL; as root it is installed where it is missing."""

    def newest() -> Path | None:
        there = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        return there[-1].parent if there else None

    return installed(newest, "postgresql", "leave its tests out with ALLOW_SKIP=postgresql")


class Postgres:
    """`fresh()` gives an empty database each time it is asked."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0, password: str = "") -> None:
        self._bin = binaries()
        self._home = Path(tempfile.mkdtemp(prefix="isthmus-pg-"))
        self._address, self._port, self._password = address, port or free_port(), password
        self._as_user = ["runuser", "-u", USER, "--"] if os.getuid() == 0 else []
        self._made = 0

    def start(self) -> None:
        if self._as_user:
            shutil.chown(self._home, USER)
        data = str(self._home / "data")
        self._run("initdb", "-D", data, "-U", "isthmus", *self._authentication(), "-E", "UTF8", "--no-sync")
        options = f"-h {self._address} -p {self._port} -k {self._home} -c max_connections=200"
        self._run("pg_ctl", "-D", data, "-l", str(self._home / "log"), "-w", "-o", options, "start")

    def _authentication(self) -> list[str]:
        """Everyone is trusted, unless a password was told: then everyone needs one."""
        if not self._password:
            return ["-A", "trust"]
        file = self._home / "password"
        file.write_text(self._password)
        if self._as_user:
            shutil.chown(file, USER)
        return ["-A", "scram-sha-256", "--pwfile", str(file)]

    def run_sql(self, file: Path) -> None:
        """Run a file as the superuser, as we ourselves, for it may read files of ours."""
        command = [
            str(self._bin / "psql"),
            "-h",
            self._address,
            "-p",
            str(self._port),
            "-U",
            "isthmus",
            "-d",
            "postgres",
        ]
        environment = {**os.environ, "PGPASSWORD": self._password}
        done = subprocess.run(
            [*command, "-q", "-v", "ON_ERROR_STOP=1", "-f", str(file)],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
        )
        if done.returncode or done.stderr:
            raise RuntimeError(done.stderr)

    def fresh(self) -> str:
        self._made += 1
        name = f"test_{self._made}"
        self._run(
            "psql",
            "-h",
            "127.0.0.1",
            "-p",
            str(self._port),
            "-U",
            "isthmus",
            "-d",
            "postgres",
            "-qc",
            f"CREATE DATABASE {name}",
        )
        return f"postgresql+psycopg://isthmus@127.0.0.1:{self._port}/{name}"

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._home / "data"), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._home, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(self._bin / program), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/tmp")  # noqa: S108
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr or done.stdout}")
