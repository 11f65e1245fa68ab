"""What each plant's ERP holds when the demo begins. Data only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ItemSeed:
    code: str
    name: str
    unit: str  # Tryton's symbol
    cost: str
    is_lot_tracked: bool = False
    opening: tuple[tuple[str, str], ...] = ()  # (lot, quantity); lot "" for items without lots


@dataclass(frozen=True)
class PlantSeed:
    plant_id: str
    series: str
    company: str
    city: str
    product: ItemSeed
    components: tuple[tuple[ItemSeed, str], ...]  # with the quantity for one piece
    operations: tuple[tuple[str, str, str, str], ...]  # name, work centre, category, cost an hour
    orders: tuple[str, ...]  # quantities of released orders
    drafts: tuple[str, ...]
    deliveries: tuple[str, ...]  # quantities of customer deliveries that wait for production


PLANTS = {
    "aachen": PlantSeed(
        plant_id="aachen",
        series="6.0",
        company="Musterpumpen GmbH",
        city="Aachen",
        product=ItemSeed("PUMP-100", "Circulation pump 100", "u", "120", is_lot_tracked=True),
        components=(
            (ItemSeed("HSG-10", "Cast housing", "u", "35", True, (("H-2401", "40"), ("H-2402", "40"))), "1"),
            (ItemSeed("SEAL-7", "Shaft seal", "u", "4", False, (("", "500"),)), "2"),
            (ItemSeed("GRS-1", "Bearing grease", "kg", "9", False, (("", "25"),)), "0.05"),
        ),
        operations=(
            ("Bore housing", "CNC-01", "Machining", "60"),
            ("Assemble pump", "ASM-01", "Assembly", "48"),
            ("Leak test", "TST-01", "Test", "54"),
        ),
        orders=("5", "6", "4", "3", "5", "4"),
        drafts=("7", "8"),
        deliveries=("4", "6"),
    ),
    "brno": PlantSeed(
        plant_id="brno",
        series="8.0",
        company="Vzorové ventily s.r.o.",
        city="Brno",
        product=ItemSeed("VALVE-20", "Ball valve DN20", "u", "38", is_lot_tracked=True),
        components=(
            (ItemSeed("BODY-20", "Forged body", "u", "11", True, (("B-7001", "60"), ("B-7002", "60"))), "1"),
            (ItemSeed("BALL-20", "Steel ball", "u", "6", False, (("", "300"),)), "1"),
            (ItemSeed("PTFE-1", "Seat compound", "kg", "21", False, (("", "40"),)), "0.25"),
        ),
        operations=(
            ("Turn body", "LAT-03", "Machining", "42"),
            ("Assemble and test", "CELL-01", "Assembly", "39"),
        ),
        orders=("6", "5", "8", "4", "3", "5"),
        drafts=("9", "7"),
        deliveries=("5", "7"),
    ),
}
