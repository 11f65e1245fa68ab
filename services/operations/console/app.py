"""The console: what operations and the services' desks know, as pages, and the hands to put it right.

It asks and acts by gRPC alone, as any other app could. There is no login yet, so it answers on loopback only, and an
operator is who the form says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit.errors import from_rpc_error
from services.operations.console import (
    actions,
    audit,
    exceptions,
    facts,
    interfaces,
    kpis,
    lots,
    orders,
    plants,
    releases,
    stock,
    words,
)
from services.operations.console.asked import Asked
from services.operations.console.events import Events
from services.operations.console.forms import Form, Forms, is_ours
from services.operations.console.releases import Releases
from services.operations.console.words import Goto, Refused, Shown

HERE = Path(__file__).parent
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with "no-referrer" a browser does not say where a form comes from, even to us
    "cache-control": "no-store",
}
STATUS = {
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.UNAVAILABLE: 503,
}
Page = Callable[[Asked, Request], Awaitable[Shown]]
Act = Callable[[Asked, Request, Form], Awaitable[Shown | Goto]]
LANE = "/exceptions/{service}/{consumer}/{order_key:path}"
PAGES: dict[str, Page] = {
    "/plants": plants.page,
    "/orders": orders.search,
    "/orders/{work_order_id:path}": orders.page,
    "/facts/{producer_slot}/{sequence:int}": facts.page,
    "/lots": lots.search,
    "/lots/{plant_id}/{lot_id:path}": lots.page,
    "/exceptions": exceptions.page,
    LANE: exceptions.lane,
    "/releases/{run_id}": releases.page,
    "/stock": stock.page,
    "/kpis": kpis.page,
    "/interfaces": interfaces.page,
    "/audit": audit.page,
}
ACTIONS: dict[str, Act] = {
    "/exceptions": actions.at_list,
    LANE: actions.at_lane,
    "/stops/{service}": actions.at_stop,
    "/refusals/{refusal_id}": actions.at_refusal,
    "/releases/{run_id}": actions.at_release,
}


def application(asked: Asked, form_minutes: float) -> ASGIApp:
    """All pages over these services. A form is good for so many minutes."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(words.FILTERS)
    forms = Forms(form_minutes)

    async def answer(path: str, work: Callable[[Request], Awaitable[Shown | Goto]], request: Request) -> Response:
        try:
            done, status = await work(request), 200
        except grpc.aio.AioRpcError as error:
            done, status = _refused(error)
        except Refused as refusal:
            done, status = ("error.html", {"reason": refusal.reason, "text": str(refusal)}), refusal.status
        return RedirectResponse(done.path, 303) if isinstance(done, Goto) else html(path, done, status, request)

    def html(path: str, made: Shown, status: int, request: Request) -> Response:
        name, shown = made
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        around = {"path": path, "here": here, "mark": forms.mark(), "live": (), "beat": ""}
        return HTMLResponse(environment.get_template(name).render(**{**around, **shown}), status)

    def failing(reason: str, text: str, status: int) -> Callable[[Request, Exception], Response]:
        said = "error.html", {"reason": reason, "text": text}
        return lambda request, _error: html("", said, status, request)

    def page(path: str, made: Page) -> Route:
        return Route(path, partial(answer, path, partial(made, asked)), methods=["GET"])

    def action(path: str, act: Act) -> Route:
        async def work(request: Request) -> Shown | Goto:
            return await act(asked, request, await forms.read(request))

        return Route(path, partial(answer, path, work), methods=["POST"])

    async def home(_request: Request) -> Response:
        return RedirectResponse("/plants")

    async def kpi_table(request: Request) -> Response:
        named = {"content-disposition": 'attachment; filename="isthmus-kpis.csv"'}
        try:
            return PlainTextResponse(await kpis.table(asked, request), media_type="text/csv", headers=named)
        except grpc.aio.AioRpcError as error:
            return html("/kpis", *_refused(error), request)

    static = Mount("/static", StaticFiles(directory=HERE / "static"))
    routes = [Route("/", home), Route("/events", Events(asked).answer), Route("/kpis.csv", kpi_table), static]
    routes += [*(page(*one) for one in PAGES.items()), *(action(*one) for one in ACTIONS.items())]
    handlers: Any = {
        404: failing("PAGE_MISSING", "There is no such page.", 404),
        500: failing("INTERNAL", "Our fault. It stands in the log of operations, with its time; report it.", 500),
    }
    made = Starlette(routes=routes, exception_handlers=handlers)
    made.state.releases = Releases()
    return Guarded(made)  # around everything, the page of a fault included


def _refused(error: grpc.aio.AioRpcError) -> tuple[Shown, int]:
    """The page of a call that was refused or not answered, and its status."""
    code, reason, _ = from_rpc_error(error)
    return ("error.html", {"reason": reason or code.name, "text": error.details() or ""}), STATUS.get(code, 502)


class Guarded:
    """Only who means this machine is answered; nothing from outside runs or frames a page, and no browser keeps one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if not is_ours(Headers(scope=scope).get("host", "")):
            await PlainTextResponse("The console answers on this machine's own name only.", 421)(
                scope, receive, guarded
            )
            return
        await self._app(scope, receive, guarded)
