"""Runs the containers of docker-compose.yml as processes, for no engine is at hand: real broker cluster, real PostgreSQL.

Every container has a loopback address of its own, so ports stay as they are written. Nothing is replaced but network names
(and 0.0.0.0, which is the container's own address) and the paths that an engine would mount.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.compose import make_secrets
from tests.support import shape
from tests.support.eventually import eventually
from tests.support.postgres import Postgres

TOOLS = Path(sys.executable).parent
NODES = ("nats-1", "nats-2", "nats-3")


def interpreter_and_user() -> tuple[str, int]:
    """As root: a Python that the containers' user can run, and that user. Else, or where there is none: ours, and us."""
    user = int(shape.variables()["ISTHMUS_UID"])
    name = f"python3.{sys.version_info.minor}"
    for folder in (f"{sys.base_prefix}/bin", "/usr/local/bin", "/usr/bin"):
        if os.getuid() == 0 and Path(folder, name).exists():
            test = ["test", "-x", f"{folder}/{name}"]
            if subprocess.run(test, check=False, user=user, group=user, extra_groups=[]).returncode == 0:
                return test[-1], user
    return sys.executable, os.getuid()


class Containers:
    """`home` stands in for the containers' file systems."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.all = shape.compose()["services"]
        self.ours = shape.ours()
        self.interpreter, self.uid = interpreter_and_user()
        network = f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(256)}"
        self.addresses = {name: f"{network}.{number}" for number, name in enumerate(self.all, 10)}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.python = home / "venv" / "bin" / "python"
        self.postgres: Postgres | None = None

    # --- what an engine would do

    def make_environment(self) -> None:
        """The image's virtual environment: empty, then exactly the recipe's lock."""
        lock = shape.ROOT / shape.recipe("production").lock
        uv = [str(TOOLS / "uv"), "-q"]
        self._run(*uv, "venv", "-p", self.interpreter, str(self.home / "venv"))
        install = ["pip", "install", "-p", str(self.python), "--compile-bytecode", "--require-hashes", "-r", str(lock)]
        self._run(*uv, *install)

    def place(self, text: str, name: str) -> str:
        """A text of the compose file or an image, as it is in this container."""
        for host, address in {"0.0.0.0": self.addresses[name], **self.addresses}.items():  # noqa: S104 - it is replaced
            text = re.sub(rf"(?<![\w.-]){re.escape(host)}(?=:\d)", address, text)
        for path, there in self._mounts(name).items():
            text = re.sub(rf"(?<!\w){path}(?!\w)", str(there), text)
        return text

    def _mounts(self, name: str) -> dict[str, Path]:
        mounts = {"/venv": self.home / "venv", "/app": self.home / "app" / name, "/run/secrets": self.home / "secrets"}
        for volume in self.all[name].get("volumes", []):
            source, target = volume.split(":")[:2]
            if not source.startswith("./"):
                mounts[target] = self.home / "volumes" / source
        return mounts

    def make_volumes(self) -> None:
        """New volumes belong to the owner of the folder in the image that they are mounted over."""
        for volume in shape.compose()["volumes"]:
            path = self.home / "volumes" / volume
            path.mkdir(parents=True)
            os.chown(path, 0 if volume in NODES and os.getuid() == 0 else self.uid, -1)

    def start_postgres(self) -> None:
        password = (self.home / "secrets" / "postgres").read_text()
        self.postgres = Postgres(self.addresses["postgres"], 5432, password)
        self.postgres.start()
        script = self.home / "databases.sql"
        script.write_text(self.place((shape.ROOT / "deploy/compose/databases.sql").read_text(), "postgres"))
        self.postgres.run_sql(script)

    def start_node(self, name: str) -> None:
        """A node of the broker, with the configuration that is mounted into it."""
        mounted = next(v.split(":")[0] for v in self.all[name]["volumes"] if v.endswith("/etc/nats/nats.conf:ro"))
        configuration = self.home / f"{name}.conf"
        configuration.write_text(self.place((shape.ROOT / mounted).read_text(), name))
        command = [str(TOOLS / "nats-server"), "-c", str(configuration)]
        self._launch(name, command, self.all[name]["environment"], self.home)

    def start(self, name: str) -> None:
        """A container of ours: its image's environment and command, and what the compose file adds, as its user."""
        container = self.ours[name]
        made = shape.recipe(shape.service_of(container))
        folder = self.home / "app" / name
        shape.build(shape.service_of(container), folder)
        told = {**made.environment, **container["environment"]}
        environment = {key: self.place(str(value), name) for key, value in told.items()}
        self._launch(name, made.command, environment, folder, user=self.uid)

    def _launch(
        self, name: str, command: list[str], environment: dict[str, str], folder: Path, user: int | None = None
    ) -> None:
        as_user = {"user": user, "group": user, "extra_groups": []} if user is not None and os.getuid() == 0 else {}
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment, cwd=folder, **as_user
            )

    def is_healthy(self, name: str) -> bool:
        """The health check of the compose file, run where the container runs."""
        made = shape.recipe(shape.service_of(self.ours[name]))
        environment = {key: self.place(value, name) for key, value in made.environment.items()}
        test = [part.replace("127.0.0.1", self.addresses[name]) for part in self.ours[name]["healthcheck"]["test"][1:]]
        folder = self.home / "app" / name
        return subprocess.run(test, env=environment, cwd=folder, check=False, capture_output=True).returncode == 0

    def wait_healthy(self) -> None:
        async def all_are() -> None:
            for name in self.ours:
                await eventually(lambda name=name: self._alive(name) and self.is_healthy(name), within=90)

        asyncio.run(all_are())

    def _alive(self, name: str) -> bool:
        if self.processes[name].poll() is not None:
            raise RuntimeError(f"{name} ended with {self.processes[name].returncode}:\n{self.log(name)[-3000:]}")
        return True

    def log(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text(errors="replace")

    def stop(self) -> dict[str, int]:
        """SIGTERM to ours, then to the broker; the exit codes of ours."""
        codes = self._end(list(self.ours))
        self._end(list(NODES))
        if self.postgres is not None:
            self.postgres.stop()
        return codes

    def _end(self, names: list[str]) -> dict[str, int]:
        """Exit codes after SIGTERM, or after SIGKILL when the time is over that the compose file grants."""
        running = {name: self.processes[name] for name in names if name in self.processes}
        for process in running.values():
            process.terminate()
        codes = {}
        for name, process in running.items():
            grace = float(self.all[name].get("stop_grace_period", "10s").removesuffix("s"))
            try:
                codes[name] = process.wait(grace)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[name] = process.wait()
        return codes

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")


@contextmanager
def running_containers() -> Iterator[Containers]:
    home = Path(tempfile.mkdtemp(prefix="isthmus-shape-"))
    home.chmod(0o755)  # the containers' user reads its code here, and can write it nowhere
    found = Containers(home)
    try:
        make_secrets.write(home / "secrets", found.uid)
        (home / "secrets").chmod(0o755)  # an engine mounts the files, not the folder
        found.make_volumes()
        found.make_environment()
        found.start_postgres()
        for name in NODES:
            found.start_node(name)
        for name in found.ours:
            found.start(name)
        found.wait_healthy()
        yield found
    finally:
        codes = found.stop()
        shutil.rmtree(home, ignore_errors=True)
    assert set(codes.values()) == {0}, codes
