"""The console: what operations and the services' desks know, as pages. It asks by gRPC alone, as any other app could.

There is no login yet, so it answers on loopback only, and shows without changing anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit.errors import from_rpc_error
from services.operations.console import exceptions, interfaces, orders, plants, words
from services.operations.console.asked import Asked
from services.operations.console.events import Events

HERE = Path(__file__).parent
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
STATUS = {grpc.StatusCode.NOT_FOUND: 404, grpc.StatusCode.INVALID_ARGUMENT: 400, grpc.StatusCode.UNAVAILABLE: 503}
Page = Callable[[Asked, Request], Awaitable[tuple[str, dict[str, Any]]]]
PAGES: dict[str, Page] = {
    "/plants": plants.page,
    "/orders": orders.search,
    "/orders/{work_order_id:path}": orders.page,
    "/exceptions": exceptions.page,
    "/exceptions/{service}/{consumer}/{order_key:path}": exceptions.lane,
    "/interfaces": interfaces.page,
}


def application(asked: Asked) -> Starlette:
    """All pages over these services."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(words.FILTERS)

    def route(path: str, page: Page) -> Route:
        async def answer(request: Request) -> Response:
            try:
                name, shown = await page(asked, request)
                status = 200
            except grpc.aio.AioRpcError as error:
                code, reason, _ = from_rpc_error(error)
                name, status = "error.html", STATUS.get(code, 502)
                shown = {"reason": reason or code.name, "text": error.details() or ""}
            here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            html = environment.get_template(name).render(path=path, here=here, **{"live": (), **shown})
            return HTMLResponse(html, status)

        return Route(path, answer)

    async def home(_request: Request) -> Response:
        return RedirectResponse("/plants")

    static = Mount("/static", StaticFiles(directory=HERE / "static"))
    events = Route("/events", Events(asked).answer)
    routes = [Route("/", home), events, *(route(path, page) for path, page in PAGES.items()), static]
    return Starlette(routes=routes, middleware=[Middleware(Guarded)])


class Guarded:
    """Nothing from outside runs or frames a page, and no page is kept by a browser."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, guarded)
