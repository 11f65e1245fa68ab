"""The control room over the whole local system: an order that is stuck is put right in the browser, and goes on to its end."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser, Page, expect

from tests.flows.conftest import LocalSystem
from tests.gateway.erp.user import TrytonUser
from tests.support.browser import WITHIN, a_page, browser, picture, sign
from tests.support.eventually import eventually

__all__ = ["browser"]
pytestmark = [pytest.mark.flow, pytest.mark.timeout(420)]


STEPS = (  # of an order on its page, and who beside us tells of it
    ("released order", "As erp-brno said it"),
    ("MES accepted the order", "As mes-brno was asked"),
    ("the plant reported operation 20", "As mes-brno said it"),
    ("ERP completed the order", "As erp-brno was asked"),
    ("warehouse took in", "As wms said it"),
    ("shipped with delivery", "As wms said it"),
)


async def test_a_poisoned_record_is_put_right_in_the_browser_and_the_order_goes_on_to_its_shipment(
    local_system: LocalSystem, browser: Browser
) -> None:
    plants = local_system.plants
    planner = await asyncio.to_thread(TrytonUser, plants.seeds["brno"], "admin")
    _, number = await asyncio.to_thread(planner.released_order, "2")
    order = f"brno-{number}"
    await eventually(lambda: plants.staging_state(order), within=90)
    plants.malformed_row(order)
    (lane,) = await eventually(lambda: plants.parked("edge_bridge-brno"), within=90)
    page = await a_page(browser, f"http://127.0.0.1:{local_system.ports['console']}")

    await page.goto("/plants")
    await expect(page.locator(".card").filter(has_text="brno")).to_contain_text("1 lanes need a person", timeout=WITHIN)
    await page.goto("/exceptions")
    await expect(page.get_by_text("RECORD_FIELD_UNREADABLE").first).to_be_visible()
    await picture(page, "real-exceptions")
    await page.get_by_role("link", name=lane.order_key).click()
    content = page.get_by_label("Content").first
    assert '"1O"' in await content.input_value()
    await page.get_by_role("button", name="Compare and try").first.click()
    await expect(page.get_by_text("It would fail: RECORD_FIELD_UNREADABLE")).to_be_visible()
    await page.get_by_role("link", name="Leave it as it is").click()
    await content.fill((await content.input_value()).replace('"1O"', '"10"'))
    await page.get_by_role("button", name="Compare and try").first.click()
    await expect(page.get_by_text("takes effect")).to_be_visible()
    await picture(page, "real-trial")
    await sign(page, reason="letter O typed for a zero")
    await page.get_by_role("button", name="Correct it").click()
    await expect(page.get_by_text("Corrected.")).to_be_visible()
    await sign(page, reason="corrected")
    await page.get_by_role("button", name="Release the lane").click()
    await expect(page.get_by_text("Released.")).to_be_visible()

    await page.goto(f"/orders/{order}")
    await expect(page.get_by_text("ERP completed the order")).to_be_visible(timeout=180_000)
    await expect(page.get_by_text("warehouse took in").first).to_be_visible(timeout=60_000)
    erp = plants.erps["brno"]  # what was sold before gets its goods first, and then what is left all goes at once
    await eventually(lambda: all(done for done, _ in erp.deliveries().values()), within=120)
    left = sum(value for lot, value in plants.wms.there().items() if lot.startswith(f"brno/{planner.seed['item']}/"))
    _, delivery = await asyncio.to_thread(planner.delivery, str(left))
    await expect(page.get_by_text(f"shipped with delivery {delivery}").first).to_be_visible(timeout=120_000)
    await picture(page, "real-order")
    await every_step_is_told_by_others_too(page, order)
    await page.goto(f"/orders/{order}")
    await page.get_by_role("link", name="the plant reported operation 20").first.click()
    row = page.locator("tr").filter(has_text="MES_NO")
    await expect(row).to_contain_text(lane.order_key.removeprefix("mes:"))
    await expect(page.locator("pre").first).to_contain_text('"operationSequence": 20')
    await expect(page.locator("pre").first).not_to_contain_text("MES_NO")
    await picture(page, "real-fact")
    await page.goto("/plants")
    await expect(page.locator(".card").filter(has_text="brno")).not_to_contain_text("need a person")
    await picture(page, "real-plants")
    await page.goto("/audit")
    await expect(page.get_by_text("letter O typed for a zero").first).to_be_visible()


async def every_step_is_told_by_others_too(page: Page, order: str) -> None:
    for step, heading in STEPS:
        await page.goto(f"/orders/{order}")
        await page.get_by_role("link", name=step).first.click()
        await expect(page.get_by_role("heading", name=heading)).to_be_visible()
        await picture(page, f"real-fact-{step.split()[-1].lower()}")


async def test_a_plant_that_is_cut_off_shows_it_and_what_its_disk_lasts_and_that_it_is_back(
    local_system: LocalSystem, browser: Browser
) -> None:
    plants = local_system.plants
    page = await a_page(browser, f"http://127.0.0.1:{local_system.ports['console']}")
    card = page.locator(".card").filter(has_text="brno")
    await page.goto("/plants")
    await expect(card).to_contain_text("linked for")
    _, number = await asyncio.to_thread(TrytonUser(plants.seeds["brno"], "admin").released_order, "3")
    await eventually(lambda: plants.staging_state(f"brno-{number}"), within=90)
    plants.link("brno", "cut")
    try:
        await expect(card).to_contain_text("cut off for", timeout=3 * WITHIN)
        await eventually(lambda: plants.edge_status("brno").backlog_count, within=90)
        await expect(card).to_contain_text("at this rate its disk lasts", timeout=2 * WITHIN)
        await picture(page, "real-plants-cut")
    finally:
        plants.link("brno", "restore")
    await expect(card).to_contain_text("linked for", timeout=4 * WITHIN)
    await expect(card).to_contain_text("0 facts", timeout=2 * WITHIN)


async def test_the_lots_of_an_order_are_a_click_away(local_system: LocalSystem, browser: Browser) -> None:
    await eventually(lambda: local_system.tells("aachen-1", "output in stock"), within=150)
    page = await a_page(browser, f"http://127.0.0.1:{local_system.ports['console']}")
    await page.goto("/orders/aachen-1")
    await page.locator("a[href^='/lots/aachen/']").first.click()
    await expect(page.get_by_role("heading", name="What went into it")).to_be_visible()
    await expect(page.locator("ul.tree").first).to_contain_text("aachen-1")
    await picture(page, "real-lot")
    missing = await page.goto("/facts/production-aachen/999999999")
    assert missing is not None
    assert missing.status == 404
    await expect(page.get_by_role("heading", name="FACT_MISSING")).to_be_visible()
    for name in ("stock", "interfaces"):
        await page.goto(f"/{name}")
        await picture(page, f"real-{name}")
