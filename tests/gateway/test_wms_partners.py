"""Whom the warehouse deals with: each word once, and the latest one counts, whenever it comes."""

from __future__ import annotations

import httpx
import pytest

from isthmus.gateway.v1.erp_postings_pb2 import TellPartner
from isthmus.masterdata.v1.partner_pb2 import Partner
from servicekit.postings import Posting, Refused
from services.gateway import wms

pytestmark = pytest.mark.connected


def a_word(revision: int, name: str, *, is_retired: bool = False) -> Posting:
    partner = Partner(partner_id="CUST-100", name=name, is_customer=True, country_code="DE", etag=str(revision))
    partner.is_retired = is_retired
    said = TellPartner(plant_id="aachen", partner=partner)
    return Posting(
        f"p-{revision}", "aachen", "wms", "tell_partner", "aachen/partner:CUST-100", f"event-{revision}", said
    )


async def test_a_partner_is_as_it_was_said_last_whatever_comes_late_or_twice(url: str) -> None:
    tell = wms.posting_kinds(url, "secret")["tell_partner"]
    new, old = a_word(2, "Stadtwerke Aachen"), a_word(1, "Stadtwerke")
    assert await tell.find(new) is None
    for posting in (new, old, new):
        await tell.book(posting, "")
        assert (await tell.read(posting, "")).is_booked
    async with httpx.AsyncClient(base_url=url, headers={"x-api-key": "secret"}) as client:
        (kept,) = (await client.get("/v2/directory")).json()["items"]
        await tell.book(a_word(3, "Stadtwerke Aachen", is_retired=True), "")
        (gone,) = (await client.get("/v2/directory")).json()["items"]
    assert (kept["name"], kept["roles"], kept["country"], kept["active"]) == (
        "Stadtwerke Aachen",
        ["ship-to"],
        "DE",
        True,
    )
    assert not gone["active"]


async def test_a_partner_without_a_name_is_refused_in_the_warehouse_s_words(url: str) -> None:
    with pytest.raises(Refused, match="name is missing"):
        await wms.posting_kinds(url, "secret")["tell_partner"].book(a_word(1, ""), "")
