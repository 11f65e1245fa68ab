"""Reading all master data of the real ERPs: who is a partner, and what for."""

from __future__ import annotations

import pytest

from deploy.local.tryton.plants import SEEDS
from services.gateway.erp.tryton import TrytonReader
from services.gateway.erp.tryton_catalogue import read_catalogue
from services.gateway.erp.tryton_client import TrytonClient
from services.gateway.erp.tryton_dialects import UNIT_CODES
from tests.gateway.erp.conftest import ErpServer
from tests.gateway.erp.user import TrytonUser

pytestmark = pytest.mark.flow


def party(user: TrytonUser, name: str, country: int) -> int:
    (number,) = user.call("party.party", "create", [{"name": name}])
    abroad = {"party": number, "country": country, "sequence": 2}
    user.call("party.address", "create", [{"party": number, "sequence": 1}, abroad])
    return int(number)


def receive(user: TrytonUser, supplier: int) -> None:
    """A supplier shipment as a buyer drafts it; 8.0 does not look up where in the warehouse it comes in."""
    places = "input_location", "storage_location"
    (warehouse,) = user.search("stock.location", [["type", "=", "warehouse"]], *places)
    shipment = {"supplier": supplier, "warehouse": warehouse["id"]}
    if user.is_new:
        shipment |= {"warehouse_input": warehouse[places[0]], "warehouse_storage": warehouse[places[1]]}
    user.call("stock.shipment.in", "create", [shipment])


async def test_a_party_is_what_shipments_name_it(erp: ErpServer, client: TrytonClient) -> None:
    user = TrytonUser({**erp.seed, "port": erp.port}, "admin")
    (country,) = user.call("country.country", "create", [{"name": "Czechia", "code": "CZ"}])
    supplier, stranger = party(user, "Foundry", country), party(user, "Stranger", country)
    (customer,) = (record["id"] for record in user.search("party.party", [["code", "=", "CUST-100"]], "name"))
    receive(user, supplier)
    found = (await read_catalogue(TrytonReader(erp.plant_id, client))).partners
    assert set(found) == {str(supplier), str(customer)}
    assert str(stranger) not in found
    foundry = found[str(supplier)]
    assert (foundry.name, foundry.is_supplier, foundry.is_customer, foundry.country_code) == (
        "Foundry",
        True,
        False,
        "CZ",
    )
    assert found[str(customer)].is_customer
    user.call("party.party", "write", [supplier], {"active": False})
    found = (await read_catalogue(TrytonReader(erp.plant_id, client))).partners
    assert set(found) == {str(customer)}


async def test_what_is_used_is_found_over_many_pages(
    erp: ErpServer, client: TrytonClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.erp.tryton.PAGE", 1)
    user = TrytonUser({**erp.seed, "port": erp.port}, "admin")
    named = {record["customer"] for record in user.search("stock.shipment.out", [], "customer")}
    assert await TrytonReader(erp.plant_id, client).used("stock.shipment.out", "customer") == named


async def test_order_points_are_inventory_policies(erp: ErpServer, client: TrytonClient) -> None:
    seeded = {item.code: item.reorder for item, _ in SEEDS[erp.plant_id].components if item.reorder[0]}
    found = (await read_catalogue(TrytonReader(erp.plant_id, client))).policies.values()
    said = {p.item_id: (p.reorder_point.value, p.target_stock.value) for p in found if p is not None}
    assert said == seeded
    assert not any(p.HasField("safety_stock") for p in found if p is not None)


async def test_what_no_canonical_words_say_is_there_and_unreadable(erp: ErpServer, client: TrytonClient) -> None:
    user = TrytonUser({**erp.seed, "port": erp.port}, "admin")
    units = user.search("product.uom", [], "symbol")
    strange = next(unit["id"] for unit in units if unit["symbol"] not in UNIT_CODES)
    made = {
        "name": "Strange",
        "type": "goods",
        "default_uom": strange,
        "products": [["create", [{"suffix_code": "ODD-1"}]]],
    }
    (template,) = user.call("product.template", "create", [made])
    (product,) = user.search("product.product", [["template", "=", template]], "code")
    items = (await read_catalogue(TrytonReader(erp.plant_id, client))).items
    assert items[str(product["id"])] is None
    assert sum(item is not None for item in items.values()) >= 3
    user.call("product.product", "write", [product["id"]], {"active": False})
    assert str(product["id"]) not in (await read_catalogue(TrytonReader(erp.plant_id, client))).items
