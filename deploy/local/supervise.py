"""The process behind `isthmus up`: keeps the system running and says how it is in state.json of its home."""

from __future__ import annotations

import os
import signal
import threading

from deploy.local import ports, system
from deploy.local.debian import PackageAbsent
from deploy.local.foreign import Place
from deploy.local.processes import DidNotStart, Supervisor, write_json
from deploy.local.tryton.install import SetupFailed
from deploy.local.tryton.plants import SEEDS

EVERY_SECONDS = 1.0


def main() -> None:
    home, table = ports.home(), ports.local()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    progress: list[str] = []
    state = {"supervisor": os.getpid(), "is_up": False, "progress": progress}

    def say(text: str) -> None:
        progress.append(text)
        write_json(home / "state.json", state)

    supervisor: Supervisor | None = None
    try:
        place = Place(home, table, {plant: SEEDS[plant] for plant in ports.plants()})
        system.prepare_once(place, say)
        supervisor = Supervisor(system.specs(place), home)
        supervisor.start(say)
        state["is_up"] = True
        while not stop.is_set():
            supervisor.tend()
            write_json(home / "state.json", {**state, "processes": supervisor.status()})
            stop.wait(EVERY_SECONDS)
    except (DidNotStart, SetupFailed, PackageAbsent, ports.SettingWrong, OSError) as fault:
        write_json(home / "state.json", {**state, "failed": str(fault)})
    finally:
        if supervisor is not None:
            supervisor.stop()
    if stop.is_set():
        write_json(home / "state.json", {"is_up": False})


if __name__ == "__main__":
    main()
