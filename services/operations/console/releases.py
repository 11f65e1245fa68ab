"""Many lanes released one after another, so slowly that the service goes on with its ordinary work.

Each lane is released by a call of its own, which stands in its service's audit. A run lives in this process: if that ends,
the lanes that are left stay parked, and nothing is half done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import grpc
from starlette.requests import Request

from isthmus.operations.v1 import lane_service_pb2 as messages
from servicekit import clock
from servicekit.errors import from_rpc_error
from services.operations.console.asked import Asked, key_of
from services.operations.console.exceptions import desk_of
from services.operations.console.words import Refused, Shown

RATE = 5.0  # lanes a second
DEADLINE = 60.0
LANES_MOST = 10_000  # of one run
RUNS_MOST = 50  # remembered
Pick = Sequence[str]  # service, consumer, order key


@dataclass(slots=True)
class Run:
    """How far one release of many is."""

    picks: list[Pick]
    reason: str
    operator_id: str
    begin_time: datetime
    emptied: int = 0
    facts: int = 0  # that took effect
    stuck: list[tuple[Pick, str, str]] = field(default_factory=list)  # with reason and text of the head that failed
    done: int = 0
    is_stopped: bool = False
    task: asyncio.Task[None] | None = None


class Releases:
    """The runs of this console."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}

    def begin(self, asked: Asked, picks: list[Pick], reason: str, operator_id: str) -> str:
        """Begin to release these lanes; the run's id. Refused: NOTHING_CHOSEN, ACTION_UNSIGNED, TOO_MANY_CHOSEN."""
        if not picks:
            raise Refused("NOTHING_CHOSEN", "No lane was chosen. Nothing was done.")
        if not reason.strip() or not operator_id.strip():
            raise Refused("ACTION_UNSIGNED", "Say who you are, and why. Nothing was done.")
        if len(picks) > LANES_MOST:
            raise Refused("TOO_MANY_CHOSEN", f"One run releases {LANES_MOST:,} lanes at most. Nothing was done.")
        run_id, run = clock.new_id(), Run(picks, reason, operator_id, clock.now())
        self._runs[run_id] = run
        for old in list(self._runs)[:-RUNS_MOST]:
            self._runs[old].is_stopped = True
            del self._runs[old]
        run.task = asyncio.create_task(_work(asked, run_id, run), name=f"release {run_id}")
        return run_id

    def get(self, run_id: str) -> Run:
        """Refused: RUN_MISSING."""
        if run_id not in self._runs:
            raise Refused(
                "RUN_MISSING",
                "This console knows no such release: it was begun before its last start, or long ago.",
                404,
            )
        return self._runs[run_id]

    def stop(self, run_id: str) -> None:
        self.get(run_id).is_stopped = True


async def _work(asked: Asked, run_id: str, run: Run) -> None:
    for pick in run.picks:
        if run.is_stopped:
            return
        begun = asyncio.get_running_loop().time()
        await _release(asked, run_id, run, pick)
        run.done += 1
        await asyncio.sleep(max(0.0, 1 / RATE - (asyncio.get_running_loop().time() - begun)))


async def _release(asked: Asked, run_id: str, run: Run, pick: Pick) -> None:
    service, consumer, order_key = pick
    request = messages.ReleaseLaneRequest(
        business_key=key_of("release", f"{run_id}-{run.done}"),
        consumer=consumer,
        order_key=order_key,
        release_reason=run.reason,
        operator_id=run.operator_id,
    )
    try:
        answer = await desk_of(asked, service).ReleaseLane(request, timeout=DEADLINE)
    except Refused as refusal:
        run.stuck.append((pick, refusal.reason, str(refusal)))
        return
    except grpc.aio.AioRpcError as error:
        code, reason, _ = from_rpc_error(error)
        run.stuck.append((pick, reason or code.name, error.details() or ""))
        return
    run.facts += answer.released_count
    if answer.HasField("lane"):
        run.stuck.append((pick, answer.lane.reason, answer.lane.text))
    else:
        run.emptied += 1


async def page(_asked: Asked, request: Request) -> Shown:
    """How far a release of many is."""
    run_id = request.path_params["run_id"]
    run: Run = request.app.state.releases.get(run_id)
    is_running = run.task is not None and not run.task.done()
    left = len(run.picks) - run.done
    shown: dict[str, Any] = {"run_id": run_id, "run": run, "is_running": is_running, "left": left}
    return "release.html", {**shown, "beat": "every 1s" if is_running else ""}
