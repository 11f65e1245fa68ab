"""The console in a real browser, over real processes. Each page's picture is left in var/screens/, to be looked at."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from isthmus.events.v1.envelope_pb2 import Envelope
from isthmus.production.v1.production_events_pb2 import OperationConfirmed
from servicekit import audit
from servicekit.database import Database, Tx
from services.operations.console import words
from tests.bench import work
from tests.operations import told
from tests.support.browser import WITHIN, a_page, browser, picture, sign
from tests.support.eventually import eventually
from tests.support.running import Hub

__all__ = ["browser"]
pytestmark = pytest.mark.connected


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What a browser shows does not depend on the database: the pages' other tests run on both."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
async def page(browser: Browser, console: httpx.Client) -> Page:
    return await a_page(browser, str(console.base_url))


def of_the_order(number: int) -> Envelope:
    """A confirmation of the order that the page shows."""
    envelope = work.a_confirmation(number)
    said = OperationConfirmed()
    envelope.data.Unpack(said)
    said.confirmation.work_order_id = envelope.order_key = envelope.subject_id = told.ORDER
    envelope.data.Pack(said)
    return envelope


async def test_an_order_is_found_by_each_number_and_shows_a_fact_when_it_comes(page: Page, hub: Hub) -> None:
    for number in told.KNOWN:
        await page.goto("/plants")
        await page.get_by_label("Order, lot or delivery number").fill(number)
        await page.keyboard.press("Enter")
        await expect(page.locator(f"a[href='/orders/{told.ORDER}']").first).to_be_visible()
    await picture(page, "orders")
    await page.locator(f"a[href='/orders/{told.ORDER}']").first.click()
    rows = page.locator("table.timeline tbody tr:not(.wait)")
    await expect(rows).to_have_count(3)
    await work.fill(hub.broker.url, 1, of_the_order, work.SUBJECT_CONFIRMED)
    await expect(rows).to_have_count(4, timeout=WITHIN)
    await picture(page, "order")


async def test_what_others_wrote_does_nothing_in_a_browser(page: Page) -> None:
    await page.goto(f"/orders/{told.ORDER}")
    await expect(page.get_by_text("<script>alert(1)</script>").first).to_be_visible()
    shown = await page.evaluate("document.body.innerText")
    assert not any(chr(mark) in shown for mark in words.MARKS)
    assert await page.evaluate("document.querySelectorAll('script:not([src])').length") == 0


async def test_hostile_text_in_lanes_reasons_and_names_is_text_on_every_page(page: Page, toy_store: Database) -> None:
    def write(tx: Tx) -> None:
        audit.append(tx, audit.Action("release", told.HOSTILE, told.HOSTILE, told.HOSTILE, told.HOSTILE, told.LONG))
        conflict = (
            "c-1",
            told.HOSTILE,
            told.HOSTILE,
            told.HOSTILE,
            told.HOSTILE,
            told.HOSTILE,
            told.LONG,
            told.HOSTILE,
            1,
        )
        tx.run(
            "INSERT INTO conflicts (conflict_id, command, source_system, document_type, document_number, document_line, "
            "first_content, second_content, found_time) VALUES (?,?,?,?,?,?,?,?,?)",
            conflict,
        )
        tx.run(
            "INSERT INTO slot_stop VALUES (?, ?, ?, ?, 1, FALSE)", (told.HOSTILE, told.HOSTILE, told.HOSTILE, told.LONG)
        )

    key = f"</textarea>{told.HOSTILE}"
    await asyncio.to_thread(told.park, toy_store, [key])
    await toy_store.write(write)
    for path in (
        "/exceptions",
        f"/exceptions?match={quote(told.HOSTILE)}",
        told.lane_of(key),
        "/audit",
        f"/lots?lot={quote(key[:60])}",
    ):
        await page.goto(path)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert await page.evaluate("document.querySelectorAll('script:not([src])').length") == 0, path
        shown = await page.evaluate("document.title + document.body.innerText")
        assert not any(chr(mark) in shown for mark in words.MARKS), path
        assert len(shown) < 100_000, path
    await page.goto(told.lane_of(key))
    assert "</textarea>" in await page.get_by_label("Content").input_value()
    await sign(page, told.HOSTILE[:60], told.HOSTILE)
    await page.get_by_role("button", name="Release the lane").click()
    await expect(page.get_by_text("TALLY_CLOSED").first).to_be_visible()


async def test_a_poisoned_fact_is_corrected_and_released_with_the_keyboard_and_the_mouse(
    page: Page, toy_store: Database
) -> None:
    await asyncio.to_thread(told.park, toy_store, ["shut-1"])
    await asyncio.to_thread(told.run, toy_store, "INSERT INTO tallies VALUES ('open', 0, FALSE)")
    await page.goto("/exceptions")
    await picture(page, "exceptions")
    await page.get_by_role("link", name="shut-1").click()
    await picture(page, "lane")
    content = page.get_by_label("Content")
    await content.fill((await content.input_value()).replace("shut-1", "open"))
    await page.get_by_role("button", name="Compare and try").click()
    await expect(page.get_by_text("takes effect")).to_be_visible()
    await expect(page.locator(".comes")).to_have_text('+  "workOrderId": "open",')
    await picture(page, "trial")
    await sign(page)
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Corrected.")).to_be_visible()
    await sign(page)
    await page.get_by_role("button", name="Release the lane").click()
    await expect(page.get_by_text("Released.")).to_be_visible()
    assert await asyncio.to_thread(told.ask, toy_store, "SELECT amount FROM tallies WHERE tally_id = 'open'") == [
        (1_000_000,)
    ]
    await page.get_by_role("link", name="Audit", exact=True).click()
    await page.get_by_role("link", name="Compute the chains anew").click()
    await expect(page.get_by_text("asked the line")).to_have_count(2)
    await picture(page, "audit")


async def test_of_two_operators_at_one_lane_the_second_is_told(
    page: Page, browser: Browser, console: httpx.Client, toy_store: Database
) -> None:
    await asyncio.to_thread(told.park, toy_store, ["shut-1"])
    await asyncio.to_thread(told.reopen, toy_store)
    second = await a_page(browser, str(console.base_url))
    for one in (page, second):
        await one.goto("/exceptions")
        await one.get_by_role("link", name="shut-1").click()
        await sign(one)
    for one in (page, second):
        await one.get_by_role("button", name="Release the lane").click()
    await expect(page.get_by_text("Released.")).to_be_visible()
    await expect(second.get_by_role("heading", name="LANE_MISSING")).to_be_visible()


@pytest.fixture
def short_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPERATIONS_CONSOLE_FORM_MINUTES", "0.01")


async def test_a_page_that_is_too_old_decides_nothing_and_says_so(
    short_forms: None, page: Page, toy_store: Database
) -> None:
    await asyncio.to_thread(told.park, toy_store, ["shut-1"])
    await asyncio.to_thread(told.reopen, toy_store)
    await page.goto("/exceptions/inventory/inventory/shut-1")
    shown = time.time()
    await sign(page)
    # Forms are marked with whole seconds: in the next one this is older than the 0.6 s that are allowed.
    await eventually(lambda: time.time() >= int(shown) + 1)
    await page.get_by_role("button", name="Release the lane").click()
    await expect(page.get_by_role("heading", name="FORM_EXPIRED")).to_be_visible()
    assert await asyncio.to_thread(told.ask, toy_store, "SELECT amount FROM tallies") == [(0,)]


async def test_a_page_whose_console_is_killed_says_so_and_is_live_again_after_its_start(page: Page, hub: Hub) -> None:
    await page.goto(f"/orders/{told.ORDER}")
    rows = page.locator("table.timeline tbody tr:not(.wait)")
    await expect(rows).to_have_count(3)
    hub.kill("operations")
    await expect(page.get_by_text("No connection to the console since")).to_be_visible()
    hub.start("operations")
    await expect(page.get_by_text("No connection to the console since")).to_be_hidden(timeout=4 * WITHIN)
    await work.fill(hub.broker.url, 1, of_the_order, work.SUBJECT_CONFIRMED)
    await expect(rows).to_have_count(4, timeout=2 * WITHIN)


async def test_five_thousand_exceptions_keep_what_was_chosen_and_the_focus_when_the_list_is_read_anew(
    page: Page, toy_store: Database
) -> None:
    await asyncio.to_thread(told.park, toy_store, [f"order-{n:04}" for n in range(5000)])
    await page.goto("/exceptions")
    await expect(page.get_by_text("5,000 of 5,000")).to_be_visible()
    await page.get_by_label("Choose order-0003").check()
    await page.get_by_label("Your name").fill("kim")
    link = page.get_by_role("link", name="order-0001")
    await link.focus()
    await asyncio.to_thread(told.park, toy_store, ["one-more"])
    await expect(page.get_by_text("5,001 of 5,001")).to_be_visible(timeout=2 * WITHIN)
    await expect(page.get_by_label("Choose order-0003")).to_be_checked()
    await expect(page.get_by_label("Your name")).to_have_value("kim")
    await expect(link).to_be_focused()
    await picture(page, "exceptions-5000")
    await page.get_by_label("Reason").fill("asked the line")
    await page.get_by_role("button", name="Release the chosen").click()
    await expect(page.get_by_text("0 lanes are empty, 1 are stuck")).to_be_visible()
    await picture(page, "release")


async def test_the_other_pages_hold_on_a_desk_and_a_tablet_and_the_theme_stays_chosen(page: Page) -> None:
    for name in ("plants", "interfaces", "audit", "stock", "lots"):
        await page.goto(f"/{name}")
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await picture(page, name)
    await page.emulate_media(color_scheme="light")
    light = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    for _ in range(2):
        await page.locator("#theme").click()
    await expect(page.locator("#theme")).to_have_text("Theme: dark")
    await page.goto("/plants")
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") != light


async def test_a_slow_line_shows_the_page_all_the_same(page: Page) -> None:
    wire = await page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 400, "downloadThroughput": 20_000, "uploadThroughput": 20_000}
    await wire.send("Network.enable")
    await wire.send("Network.emulateNetworkConditions", slow)
    await page.goto("/plants", wait_until="domcontentloaded")
    await expect(page.get_by_role("heading", name="Plants")).to_be_visible()
    await picture(page, "plants-slow")


@pytest.fixture
def every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPERATIONS_KPI_SECONDS", "1")


async def test_figures_are_drawn_and_stand_beside_the_charts_as_text(every_second: None, page: Page, hub: Hub) -> None:
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    await page.goto("/kpis")
    for _ in range(30):
        if await page.locator(".chart canvas").count():
            break
        await page.reload()
    await expect(page.locator(".chart canvas").first).to_be_visible()
    await expect(page.get_by_text("Last: aachen 0, brno 0").first).to_be_visible()
    await picture(page, "kpis")
    assert wrong == [], "what the page may not do, it did not try"
