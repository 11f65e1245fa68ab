"""A real browser over the console: Debian's chromium, driven by Playwright. Pictures are left in var/screens/, to be looked at."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Dialog, Page, async_playwright

from deploy.local.debian import installed
from tests.conftest import SKIPS
from tests.support.running import ROOT

SCREENS = ROOT / "var" / "screens"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
)
WITHIN = 15_000  # milliseconds that a page may take to show something; a machine of two cores runs all of this at once
WIDE, TABLET = {"width": 1280, "height": 900}, {"width": 820, "height": 1180}


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    if "browser" in SKIPS:
        pytest.skip("left out by ALLOW_SKIP=browser")
    chromium = installed(lambda: shutil.which("chromium"), "chromium", "leave its tests out with ALLOW_SKIP=browser")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield launched
        await launched.close()


async def a_page(browser: Browser, url: str) -> Page:
    """A page of an operator of their own. Whatever opens a dialog or raises on it fails the test by itself."""
    context = await browser.new_context(base_url=url, viewport=WIDE)
    made = await context.new_page()
    made.set_default_timeout(WITHIN)
    made.on("dialog", _no_dialog)
    return made


async def _no_dialog(dialog: Dialog) -> None:
    await dialog.dismiss()
    raise AssertionError(f"the page opened a dialog: {dialog.message}")


async def picture(page: Page, name: str) -> None:
    """Light and dark, at a desk and on a tablet; wider than the screen is none."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    for scheme, size in (("light", WIDE), ("dark", TABLET)):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        await page.set_viewport_size(size)  # type: ignore[arg-type]
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= size["width"], f"{name} is {wide} pixels wide at {size['width']}"
        await page.screenshot(path=SCREENS / f"{name}-{scheme}.png")
    await page.set_viewport_size(WIDE)  # type: ignore[arg-type]


async def sign(page: Page, operator: str = "kim", reason: str = "asked the line") -> None:
    await page.get_by_label("Your name").first.fill(operator)
    await page.get_by_label("Reason").first.fill(reason)
