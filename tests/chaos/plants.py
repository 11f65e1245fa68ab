"""The three plants of the harness: what is made there, of what, and how much of it. Data only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from deploy.local.tryton.plants import SEEDS as DEMO
from deploy.local.tryton.plants import PlantSeed

ORDERS_A_PLANT = 6
ORDER_SIZE = "400000"  # no confirmation of the load completes an order
STOCK = "900000"
DELIVERIES = ("40", "60")
HOT_ORDER = "aachen-1"


@dataclass(frozen=True)
class Plant:
    """`recipe`: item, lots to take from in turn, quantity for one piece, unit. `driver`: how its MES is reached."""

    plant_id: str
    driver: str
    item_id: str
    operations: tuple[int, ...]
    recipe: tuple[tuple[str, tuple[str, ...], str, str], ...]
    has_erp: bool


def seed_of(plant_id: str) -> PlantSeed:
    """The demo's ERP of this plant, with stock and orders for a long load."""
    seed = DEMO[plant_id]
    components = tuple(
        (replace(item, opening=tuple((lot, STOCK) for lot, _ in item.opening)), quantity)
        for item, quantity in seed.components
    )
    orders = (ORDER_SIZE,) * ORDERS_A_PLANT
    return replace(seed, components=components, orders=orders, drafts=(), sales=DELIVERIES, is_made_to_order=False)


def _plant(plant_id: str, driver: str) -> Plant:
    seed = DEMO[plant_id]
    unit = {"u": "C62", "kg": "KGM"}
    recipe = tuple(
        (item.code, tuple(lot for lot, _ in item.opening), quantity, unit[item.unit])
        for item, quantity in seed.components
    )
    steps = tuple(10 * number for number in range(1, len(seed.operations) + 1))
    return Plant(plant_id, driver, seed.product.code, steps, recipe, has_erp=True)


PLANTS = {
    "aachen": _plant("aachen", "rest_mes"),
    "brno": _plant("brno", "staging_mes"),
    # No ERP of its own: its orders are released by an API client.
    "graz": Plant(
        "graz",
        "rest_mes",
        "GEAR-5",
        (10, 20),
        (("RING-5", ("R-1", "R-2"), "1", "C62"), ("OIL-2", ("",), "0.125", "KGM")),
        has_erp=False,
    ),
}
ZONES = {"aachen": "Europe/Berlin", "brno": "Europe/Prague", "graz": "Europe/Vienna"}


def story() -> dict[str, Any]:
    """The same as plain values, for the checker, which imports nothing of ours."""
    return {
        plant.plant_id: {
            "driver": plant.driver,
            "item": plant.item_id,
            "has_erp": plant.has_erp,
            "recipe": {item: quantity for item, _, quantity, _ in plant.recipe},
        }
        for plant in PLANTS.values()
    }
