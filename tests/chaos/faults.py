"""What is done to the system: each fault is applied, held, ended, and says whom it touched."""

from __future__ import annotations

import json
import random
import resource
import shutil
import signal
import socket
import sqlite3
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from isthmus.events.v1.heartbeat_pb2 import RepeatRequest
from tests.chaos import books, power
from tests.chaos.plants import PLANTS
from tests.chaos.topology import BRIDGES, ERPS, HUB, OURS, PARTNERS, Crew, configure_broker

ON_THE_WAY = ("production", "inventory", "nats")  # without these nothing is booked anywhere


class NotNow(Exception):
    """Another fault has what this one needs."""


@dataclass(frozen=True)
class Fault:
    kind: str
    target: str
    seconds: float
    pick: float = 0.0  # 0 to 1: whatever else the kind leaves open

    def __str__(self) -> str:
        return f"{self.kind} {self.target} {self.seconds:.1f} s"

    def touches(self) -> list[tuple[str, str]]:
        """Plants, and the door ("": any) of which confirmations can't be booked meanwhile."""
        if self.target in ON_THE_WAY:
            return [(plant, "") for plant in PLANTS]
        if self.target in BRIDGES:
            return [(self.target.removeprefix("edge_bridge-"), "mes")]
        return []


def plan(seed: int, worker: int) -> Iterator[Fault]:
    """Faults without end; the same for the same seed."""
    chance = random.Random(f"{seed}/{worker}")
    weights = {kind: weight for kind, (weight, _, _) in KINDS.items() if weight}
    while True:
        kind = chance.choices(list(weights), list(weights.values()))[0]
        _, targets, longest = KINDS[kind]
        yield Fault(kind, chance.choice(targets), chance.uniform(0.3, longest), chance.random())


def kills(seed: int) -> Iterator[Fault]:
    """Nothing but kill -9: of each in turn, in random order."""
    chance = random.Random(f"{seed}/kills")
    while True:
        targets = [*OURS, "nats", "nats", "production", "inventory", *ERPS]
        chance.shuffle(targets)
        for target in targets:
            yield Fault("kill", target, chance.uniform(0.1, 1.0))


# --- the kinds; each returns when its fault has ended


def kill(crew: Crew, fault: Fault) -> None:
    crew.kill(fault.target)
    time.sleep(fault.seconds)
    crew.start_again(fault.target)


def power_cut(crew: Crew, fault: Fault) -> None:
    """kill -9, and what its database had not synced is lost."""
    crew.kill(fault.target)
    power.cut(crew.place.database(fault.target), crew.place.control / f"{fault.target}.unsynced")
    time.sleep(fault.seconds)
    crew.start_again(fault.target)


def freeze(crew: Crew, fault: Fault) -> None:
    crew.signal(fault.target, signal.SIGSTOP)
    try:
        time.sleep(fault.seconds)
    finally:
        crew.signal(fault.target, signal.SIGCONT)


def _wire(mode: str) -> Callable[[Crew, Fault], None]:
    def bend(crew: Crew, fault: Fault) -> None:
        wire(crew, fault.target, mode, seconds=0.05 + fault.pick, bytes=2000 + int(fault.pick * 40000))
        time.sleep(fault.seconds)
        wire(crew, fault.target, "open")

    return bend


def wire(crew: Crew, name: str, mode: str, **more: Any) -> None:
    url = f"http://{crew.place.address('wires')}/{name}"
    body = json.dumps({"mode": mode, **more}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()


def full_database(crew: Crew, fault: Fault) -> None:
    """The database may not grow by a page."""
    full = crew.place.control / f"{fault.target}.full"
    full.touch()
    time.sleep(fault.seconds)
    full.unlink()


def full_disk(crew: Crew, fault: Fault) -> None:
    """No file of the process may grow beyond a size: database, WAL and log alike."""
    path = crew.place.database(fault.target)
    sizes = [file.stat().st_size for file in (path, path.with_name(f"{path.name}-wal")) if file.exists()]
    most = int(max(sizes, default=0) * fault.pick)
    pid = crew.pid(fault.target)
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    try:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, hard))
        time.sleep(fault.seconds)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    except ProcessLookupError:  # it ended by itself, and is started again without the limit
        return


def full_broker(crew: Crew, fault: Fault) -> None:
    """The broker comes back with room for almost nothing, and later with its room of before."""
    store = crew.place.home / "jetstream"
    used = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    configure_broker(crew.place, str(used + 200_000))
    kill(crew, Fault("kill", "nats", 0.1))
    crew.wait_ready("nats")
    time.sleep(fault.seconds)
    configure_broker(crew.place)
    kill(crew, Fault("kill", "nats", 0.1))


def lost_store(crew: Crew, fault: Fault) -> None:
    """The broker's whole store is gone."""
    crew.kill("nats")
    shutil.rmtree(crew.place.home / "jetstream")
    time.sleep(fault.seconds)
    crew.start_again("nats")


def repeat(crew: Crew, fault: Fault) -> None:
    """A slot's relay is asked to tell its last facts again: readers see them twice."""
    is_bridge = fault.pick < 0.3
    slot = f"{'edge_bridge' if is_bridge else 'production'}-{fault.target}"
    path = crew.place.database(slot if is_bridge else "production")
    try:
        said = books.rows(path, "SELECT last_sequence FROM producer WHERE slot = ?", (slot,))
        first = max(1, (said[0]["last_sequence"] if said else 0) - int(fault.pick * 500))
        request = RepeatRequest(producer_slot=slot, consumer="harness", from_sequence=first).SerializeToString()
        _publish(crew.place.ports["nats"], f"isthmus.repeat.{slot}", request)
    except (OSError, sqlite3.OperationalError) as away:
        raise NotNow(str(away)) from away


def _publish(port: int, subject: str, data: bytes) -> None:
    """OSError unless the broker says that it has passed it on."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        said = f"PUB {subject} {len(data)}\r\n".encode() + data
        client.sendall(b'CONNECT {"verbose":false}\r\n' + said + b"\r\nPING\r\n")
        heard = b""
        while b"PONG" not in heard:
            more = client.recv(4096)
            if not more:
                raise ConnectionError("the broker went away before it had passed it on")
            heard += more


PROCESSES = [*HUB, *BRIDGES, "nats", "nats", "production", "inventory", *ERPS]
NEAR = [*OURS, *PARTNERS]
DOERS: dict[str, Callable[[Crew, Fault], None]] = {
    "kill": kill,
    "power_cut": power_cut,
    "freeze": freeze,
    "cut": _wire("cut"),
    "silent": _wire("silent"),
    "half": _wire("half"),
    "delay": _wire("delay"),
    "trickle": _wire("trickle"),
    "full_database": full_database,
    "full_disk": full_disk,
    "full_broker": full_broker,
    "lost_store": lost_store,
    "stale": _wire("stale"),
    "repeat": repeat,
}
KINDS: dict[str, tuple[int, list[str], float]] = {  # weight in the plan, targets, longest time in seconds
    "kill": (34, PROCESSES, 1.5),
    "power_cut": (8, list(OURS), 1.5),
    "freeze": (16, PROCESSES, 10.0),
    "cut": (6, NEAR, 6.0),
    "silent": (5, NEAR, 8.0),
    "half": (5, NEAR, 8.0),
    "delay": (4, NEAR, 6.0),
    "trickle": (4, NEAR, 5.0),
    "stale": (4, NEAR, 14.0),
    "full_database": (8, list(OURS), 5.0),
    "full_disk": (5, list(OURS), 5.0),
    "full_broker": (2, ["nats"], 5.0),
    "lost_store": (0, ["nats"], 1.0),  # once, by the run itself
    "repeat": (8, list(PLANTS), 0.4),
}
ON_PROCESS = ("kill", "power_cut", "freeze", "full_database", "full_disk", "full_broker", "lost_store")
