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
    reorder: tuple[str, str] = ("", "")  # below the first, purchasing fills up to the second; empty: nobody watches it


@dataclass(frozen=True)
class PointSeed:
    """What the ERP's quality module asks of an inspection. Limits only for numbers; empty: none."""

    name: str
    label: str
    kind: str  # numeric or boolean
    lower: str = ""
    upper: str = ""


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
    sales: tuple[str, ...]  # quantities that customers ordered: each has a delivery that waits for production
    is_made_to_order: bool = True  # sales make the first of the orders
    modules: tuple[str, ...] = ()  # beside those that every plant's ERP has
    inspection_points: tuple[PointSeed, ...] = ()  # needs the module quality
    spare_parts: tuple[ItemSeed, ...] = ()


SEEDS = {
    "aachen": PlantSeed(
        plant_id="aachen",
        series="6.0",
        company="Musterpumpen GmbH",
        city="Aachen",
        product=ItemSeed("PUMP-100", "Circulation pump 100", "u", "120", is_lot_tracked=True),
        components=(
            (ItemSeed("HSG-10", "Cast housing", "u", "35", True, (("H-2401", "40"), ("H-2402", "40"))), "1"),
            (ItemSeed("SEAL-7", "Shaft seal", "u", "4", False, (("", "500"),), ("480", "600")), "2"),
            (ItemSeed("GRS-1", "Bearing grease", "kg", "9", False, (("", "25"),), ("5", "25")), "0.05"),
        ),
        operations=(
            ("Bore housing", "CNC-01", "Machining", "60"),
            ("Assemble pump", "ASM-01", "Assembly", "48"),
            ("Leak test", "TST-01", "Test", "54"),
        ),
        orders=("5", "6", "4", "3", "5", "4"),
        drafts=("7", "8"),
        sales=("5", "6"),
    ),
    "brno": PlantSeed(
        plant_id="brno",
        series="8.0",
        company="Vzorové ventily s.r.o.",
        city="Brno",
        product=ItemSeed("VALVE-20", "Ball valve DN20", "u", "38", is_lot_tracked=True),
        components=(
            (ItemSeed("BODY-20", "Forged body", "u", "11", True, (("B-7001", "60"), ("B-7002", "60"))), "1"),
            (ItemSeed("BALL-20", "Steel ball", "u", "6", False, (("", "300"),), ("280", "400")), "1"),
            (ItemSeed("PTFE-1", "Seat compound", "kg", "21", False, (("", "40"),)), "0.25"),
        ),
        operations=(
            ("Turn body", "LAT-03", "Machining", "42"),
            ("Assemble and test", "CELL-01", "Assembly", "39"),
        ),
        orders=("6", "5", "8", "4", "3", "5"),
        drafts=("9", "7"),
        sales=("6", "5"),
    ),
    "ghent": PlantSeed(
        plant_id="ghent",
        series="8.0",
        company="Voorbeeldharsen NV",
        city="Gent",
        product=ItemSeed("RESIN-7", "Alkyd resin 7", "kg", "3.2", is_lot_tracked=True),
        components=(
            (
                ItemSeed("PA-1", "Phthalic anhydride", "kg", "1.4", True, (("PA-0901", "6000"), ("PA-0902", "6000"))),
                "0.31",
            ),
            (ItemSeed("GLY-1", "Glycerol", "kg", "0.95", False, (("", "9000"),), ("8500", "9000")), "0.22"),
            (ItemSeed("OIL-1", "Soya fatty acid", "kg", "1.1", False, (("", "15000"),)), "0.52"),
        ),
        operations=(
            ("Charge", "RX-01", "Reactor", "95"),
            ("Heat", "RX-01", "Reactor", "95"),
            ("Hold", "RX-01", "Reactor", "95"),
            ("Cool", "RX-01", "Reactor", "95"),
            ("Discharge", "DRUM-01", "Filling", "40"),
        ),
        orders=("1000", "1000", "1000", "1000"),
        drafts=("1500", "900"),
        sales=("900", "600"),
        is_made_to_order=False,
        modules=("quality",),
        inspection_points=(
            PointSeed("viscosity", "Viscosity at 25 °C, mPa s", "numeric", "180", "240"),
            PointSeed("solids", "Dry matter, %", "numeric", "46", "51"),
            PointSeed("reactor_temperature", "Held at temperature", "boolean"),
        ),
        spare_parts=(ItemSeed("SEAL-RX", "Shaft seal of the reactor's stirrer", "u", "210", False, (("", "2"),)),),
    ),
}
