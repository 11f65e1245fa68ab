"""The console as a browser sees it: operations' own process, with what it heard of orders in its store, on both databases."""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from services.operations.console import app, words
from services.operations.console.asked import Asked, connect
from services.operations.settings import Settings
from tests.bench import work
from tests.operations.told import HOSTILE, KNOWN, ORDER
from tests.support.ports import free_port
from tests.support.running import Hub

pytestmark = pytest.mark.connected
PLAIN_PAGES = [path for path in app.PAGES if "{" not in path]


def test_an_order_is_found_by_each_of_its_numbers_and_its_waits_are_shown(console: httpx.Client) -> None:
    for number in KNOWN:
        assert f'href="/orders/{ORDER}"' in console.get("/orders", params={"number": number}).text
    assert "No order is known by" in console.get("/orders", params={"number": "4712"}).text
    page = console.get(f"/orders/{ORDER}").text
    assert page.index("ERP released") < page.index("nothing was heard") < page.index("needs a person")
    assert page.count("<rect") == 2
    nowhere = console.get("/nowhere")
    assert (nowhere.status_code, "PAGE_MISSING" in nowhere.text) == (404, True)
    missing = console.get("/orders/aachen-0")
    assert (missing.status_code, "ORDER_MISSING" in missing.text) == (404, True)


def test_what_others_wrote_is_shown_as_text_bounded_and_turns_nothing_around(console: httpx.Client) -> None:
    for page in (console.get(f"/orders/{ORDER}"), console.get("/orders", params={"number": "4711"})):
        assert page.text.count("<script") == 3  # ours
        assert "<b>" not in page.text.replace("<b>4711</b>", "")
        assert not any(chr(mark) in page.text for mark in words.MARKS)
        assert len(page.text) < 100_000
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    found = console.get("/orders", params={"number": HOSTILE}).text
    assert found.count("<script") == 3


def test_nothing_from_outside_is_asked_for_and_no_page_is_framed_or_kept(console: httpx.Client) -> None:
    for path in (*PLAIN_PAGES, f"/orders/{ORDER}", "/static/console.css"):
        answer = console.get(path)
        assert answer.status_code == 200, path
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")
        assert "http://" not in answer.text
        assert "https://" not in answer.text


def test_a_desk_that_does_not_answer_is_named_and_the_others_are_shown(console: httpx.Client) -> None:
    page = console.get("/exceptions").text
    assert "quality does not answer" in page
    assert "operations does not answer" not in page
    assert console.get("/exceptions/nobody/x/y").text.count("SERVICE_UNKNOWN") >= 1


def test_every_plant_has_a_card_and_every_interface_its_row(console: httpx.Client) -> None:
    cards = console.get("/plants").text
    assert [plant for plant in ("aachen", "brno") if f'id="plant-{plant}"' in cards] == ["aachen", "brno"]
    assert console.get("/interfaces").text.count("Released orders to the plant&#39;s MES") == 2


def test_a_page_that_is_open_hears_of_its_plant_when_a_fact_comes(console: httpx.Client, hub: Hub) -> None:
    page = console.get(f"/orders/{ORDER}").text
    assert 'hx-trigger="sse:changed-aachen"' in page
    with console.stream("GET", "/events", timeout=30) as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        said = (line for line in events.iter_lines() if line.startswith("event:"))
        assert [next(said), next(said)] == ["event: changed-aachen", "event: changed-brno"]
        asyncio.run(work.fill(hub.broker.url, 3, work.a_confirmation, work.SUBJECT_CONFIRMED))
        assert next(said) == "event: changed-aachen"


def test_what_is_not_ours_is_as_it_was_published() -> None:
    vendor = Path(app.__file__).parent / "static" / "vendor"
    told = dict(re.findall(r"^\| `(\S+)` .*`([0-9a-f]{64})` \|$", (vendor / "README.md").read_text(), re.MULTILINE))
    assert {name: hashlib.sha256((vendor / name).read_bytes()).hexdigest() for name in told} == told
    assert {path.name for path in vendor.glob("*.js")} == set(told)
    assert all((vendor / f"{name.split('.')[0]}.LICENSE").exists() for name in told)


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "192.168.1.5:8080", ":8080"])
def test_without_a_login_the_console_listens_on_loopback_only(listen: str) -> None:
    with pytest.raises(ValueError, match="no login yet"):
        Settings(database_url="", nats_url="", listen="", plants=("aachen",), console_listen=listen)


async def test_a_fault_of_ours_is_a_page_that_says_so_and_a_line_in_the_log() -> None:
    async def broken(*_asked: object, **_more: object) -> None:
        raise ZeroDivisionError("a bug")

    asked = Asked(SimpleNamespace(FindOrders=broken), None, None, None, {}, {}, (), "")
    transport = httpx.ASGITransport(app=app.application(asked, form_minutes=1), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get("/orders", params={"number": "1"})
    assert (answer.status_code, "Our fault." in answer.text, "a bug" in answer.text) == (500, True, False)
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_without_operations_each_page_says_that_it_does_not_answer() -> None:
    away = app.application(connect(f"127.0.0.1:{free_port()}", "", {}, {}, (), ""), form_minutes=1)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=away), base_url="http://127.0.0.1") as client:
        for path in ("/orders/aachen-1", "/kpis", "/kpis.csv", "/interfaces"):
            page = await client.get(path)
            assert (page.status_code, "UNAVAILABLE" in page.text) == (503, True), path
