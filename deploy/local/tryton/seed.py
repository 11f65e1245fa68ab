"""Fills one empty Tryton through proteus, the official client, in process: runs inside the ERP's own environment.

Documents are made by the ordinary business methods, so they get the states and numbers that a user would give them.
"""

import datetime as dt
import json
import sys
from decimal import Decimal
from pathlib import Path

from proteus import Model, Wizard
from proteus import config as pconfig

HOME = Path(sys.argv[1])
PLAN = json.loads((HOME / "plan.json").read_text())
SEED = PLAN["seed"]
UNIT_FIELD = "unit" if int(SEED["series"].split(".")[0]) >= 7 else "uom"  # renamed in 6.8
config = pconfig.set_trytond("sqlite:///erp", user="admin", config_file=str(HOME / "trytond.conf"))
TODAY = dt.date.today()


def first(name, *domain):
    found = Model.get(name).find(list(domain), limit=1)
    return found[0] if found else None


def made(model, **values):
    record = Model.get(model)()
    for field, value in values.items():
        setattr(record, field, value)
    record.save()
    return record


def company():
    for item in Model.get("ir.module.config_wizard.item").find([("state", "!=", "done")]):
        item.state = "done"
        item.save()
    euro = first("currency.currency", ("code", "=", "EUR"))
    if euro is None:
        euro = Model.get("currency.currency")(
            name="Euro", symbol="€", code="EUR", numeric_code="978", rounding=Decimal("0.01"), digits=2
        )
        euro.rates.new(date=dt.date(2020, 1, 1), rate=Decimal(1))
        euro.save()
    wizard = Wizard("company.company.config")
    wizard.execute("company")
    wizard.form.party = party(SEED["company"], "OWN-1")
    wizard.form.currency = euro
    wizard.execute("add")
    config._context = Model.get("res.user").get_preferences(True, config.context)
    return first("company.company")


def party(name, code):
    record = Model.get("party.party")(name=name)
    record.code = code
    address = record.addresses[0] if record.addresses else record.addresses.new()
    address.city = SEED["city"]
    record.save()
    return record


def gateway_user(owner):
    operator = made("company.employee", party=party("Operator One", "EMP-1"), company=owner)
    user = Model.get("res.user")(name="Isthmus gateway", login="gateway", email="gateway@example.com")
    user.password = PLAN["passwords"]["gateway"]
    user.companies.append(owner)
    user.company = owner
    user.employees.append(Model.get("company.employee")(operator.id))
    user.employee = operator
    # Least privilege: "Stock Cancellation" lets a user cancel a DONE order from 8.0 on, which reverses the stock.
    for group in Model.get("res.group").find([]):
        wanted = group.name.startswith(("Stock", "Production", "Product Admin")) or group.name == "Quality"
        if wanted and not any(word in group.name for word in ("Cancellation", "Force")):
            user.groups.append(Model.get("res.group")(group.id))
    user.groups.append(reads("Sales orders, to read", "sale.sale"))
    user.save()


def reads(name, model):
    """A group that may read a model and change nothing of it."""
    group = made("res.group", name=name)
    access = Model.get("ir.model.access")(group=group, perm_read=True)
    access.model = first("ir.model", ("model", "=", model)) if access._fields["model"]["type"] == "many2one" else model
    access.save()
    return Model.get("res.group")(group.id)


def places():
    warehouse = first("stock.location", ("type", "=", "warehouse"))
    scrap = made("stock.location", name="Scrap", code="SCRAP", type="lost_found")
    correction = made("stock.location", name="Correction", code="CORRECTION", type="lost_found")
    # Held stock is in the warehouse but outside its storage, so that nothing there is assigned.
    hold = made("stock.location", name="Quality hold", code="QHOLD", type="storage", parent=warehouse)
    maintenance = made("stock.location", name="Maintenance", code="MAINT", type="lost_found")
    warehouse.waste_locations.append(Model.get("stock.location")(scrap.id))
    warehouse.save()
    return warehouse, {
        "storage": warehouse.storage_location.id,
        "scrap": scrap.id,
        "correction": correction.id,
        "hold": hold.id,
        "maintenance": maintenance.id,
        "warehouse": warehouse.id,
    }


def item(data, producible=False):
    unit = first("product.uom", ("symbol", "=", data["unit"]))
    template = Model.get("product.template")(name=data["name"], code=data["code"], type="goods", default_uom=unit)
    template.list_price = Decimal(data["cost"]) * 2
    if "cost_price_method" in template._fields:
        template.cost_price_method = "fixed"
    template.producible = template.salable = producible
    template.purchasable = not producible
    if producible:
        template.sale_uom = unit
        if SEED["is_made_to_order"]:
            template.supply_on_sale = True if template._fields["supply_on_sale"]["type"] == "boolean" else "always"
    else:
        template.purchase_uom = unit
    if data["is_lot_tracked"]:
        template.lot_required = ["storage", "production", "customer", "supplier"]
    if "shelf_life_state" in template._fields:
        template.shelf_life_state = template.expiration_state = "none"
    (product,) = template.products
    product.cost_price = Decimal(data["cost"])
    template.save()
    return template.products[0]


def reorder(product, data, warehouse):
    """Below its minimum, purchasing is asked to fill up to the target."""
    least, target = data["reorder"]
    if least:
        point = Model.get("stock.order_point")(product=product, type="purchase")
        place = "warehouse_location" if "warehouse_location" in point._fields else "location"  # one field since 6.4
        setattr(point, place, Model.get("stock.location")(warehouse.id))
        point.min_quantity, point.target_quantity = float(least), float(target)
        point.save()


def opening(products, storage):
    inventory = Model.get("stock.inventory")(location=storage, date=TODAY)
    inventory.save()
    for data, product in products:
        for number, quantity in data["opening"]:
            line = inventory.lines.new()
            line.product, line.quantity = product, float(quantity)
            if number:
                line.lot = made("stock.lot", product=product, number=number)
    inventory.save()
    inventory.click("confirm")


def recipe(product, components, owner, warehouse):
    bom = Model.get("production.bom")(name=f"{SEED['product']['code']} v1")
    for (data, quantity), part in components:
        line = bom.inputs.new()
        line.product, line.quantity = part, float(quantity)
        setattr(line, UNIT_FIELD, first("product.uom", ("symbol", "=", data["unit"])))
    output = bom.outputs.new()
    output.product, output.quantity = product, 1
    setattr(output, UNIT_FIELD, first("product.uom", ("symbol", "=", SEED["product"]["unit"])))
    bom.save()
    routing = Model.get("production.routing")(name=f"{SEED['product']['code']} routing")
    line = made("production.work.center", name="Line 1", company=owner, warehouse=warehouse)
    centres = {}
    for number, (name, centre, category, cost) in enumerate(SEED["operations"], 1):
        kind = first("production.work.center.category", ("name", "=", category)) or made(
            "production.work.center.category", name=category
        )
        centres[name] = first("production.work.center", ("name", "=", centre)) or made(
            "production.work.center",
            name=centre,
            parent=line,
            category=kind,
            company=owner,
            warehouse=warehouse,
            cost_method="hour",
            cost_price=Decimal(cost),
        )
        step = routing.steps.new()
        step.operation = made("production.routing.operation", name=name, work_center_category=kind)
        step.sequence = number * 10
    routing.boms.append(Model.get("production.bom")(bom.id))
    routing.save()
    link = product.boms.new()
    link.bom, link.routing = Model.get("production.bom")(bom.id), Model.get("production.routing")(routing.id)
    product.save()
    return bom, routing, line, centres


def control(product, owner):
    """Of no operation: one of production would ask for its inspection before the order can be completed."""
    record = Model.get("quality.control")(name=f"{SEED['product']['code']} release", company=owner, product=product)
    for data in SEED["inspection_points"]:
        point = record.points.new()
        point.name, point.string, point.type_ = data["name"], data["label"], data["kind"]
        if data["kind"] == "numeric":
            point.digits = 6
        for field in ("lower", "upper"):
            if data[field]:
                setattr(point, f"tolerance_{field}", float(data[field]))
    record.save()


def order(number, quantity, product, parts, release, demand=None):
    """By hand, or what a customer's order asked for: the planner adds how it is made, and releases it."""
    bom, routing, line, centres = parts
    record = demand or Model.get("production")()
    record.reference = f"PLAN-{number:03d}"
    if demand is None:
        record.planned_date = TODAY + dt.timedelta(days=1 + number)
        record.product, record.bom = product, Model.get("production.bom")(bom.id)
        setattr(record, UNIT_FIELD, first("product.uom", ("symbol", "=", SEED["product"]["unit"])))
        record.quantity = float(quantity)
    record.routing = Model.get("production.routing")(routing.id)
    record.work_center = Model.get("production.work.center")(line.id)
    record.save()
    if demand is not None:
        record.click("draft")
    if release:
        record.click("wait")
        for work in record.works:
            work.work_center = Model.get("production.work.center")(centres[work.operation.name].id)
            work.save()
        record.reload()
    return {"id": record.id, "number": record.number, "reference": record.reference, "quantity": quantity}


def sale(number, quantity, product, customer):
    """A customer's order: its confirmation makes the delivery and, where it is made to order, the request to produce it."""
    record = Model.get("sale.sale")(party=customer, reference=f"PO-{7000 + number}")
    record.shipping_date = TODAY + dt.timedelta(days=2 + number)
    record.invoice_method, record.shipment_method = "manual", "order"
    line = record.lines.new()
    line.product, line.quantity = product, float(quantity)
    line.unit_price = Decimal(SEED["product"]["cost"]) * 2
    record.save()
    for step in ("quote", "confirm", "process"):
        record.click(step)
    (shipment,) = record.shipments
    facts = {"id": record.id, "number": record.number, "quantity": quantity}
    requests = [request for line in record.lines for request in line.productions]
    return facts, requests, {"id": shipment.id, "number": shipment.number, "quantity": quantity}


def main():
    owner = company()
    gateway_user(owner)
    warehouse, locations = places()
    product = item(SEED["product"], producible=True)
    components = [((data, quantity), item(data)) for data, quantity in SEED["components"]]
    bought = [*((data, part) for (data, _), part in components), *((data, item(data)) for data in SEED["spare_parts"])]
    opening(bought, warehouse.storage_location)
    for data, part in bought:
        reorder(part, data, warehouse)
    parts = recipe(product, components, owner, warehouse)
    if SEED["inspection_points"]:
        control(product, owner)
    customer = party(f"Stadtwerke {SEED['city']}", "CUST-100")
    sales = [sale(n, q, product, customer) for n, q in enumerate(SEED["sales"], 1)]
    demands = iter([request for _, requests, _ in sales for request in requests])
    orders = [order(n, q, product, parts, True, next(demands, None)) for n, q in enumerate(SEED["orders"], 1)]
    drafts = [order(n, q, product, parts, False) for n, q in enumerate(SEED["drafts"], len(orders) + 1)]
    facts = {
        "plant": SEED["plant_id"],
        "series": SEED["series"],
        "database": "erp",
        "company": owner.id,
        "users": PLAN["passwords"],
        "item": SEED["product"]["code"],
        "locations": locations,
        "products": {SEED["product"]["code"]: product.id, **{data["code"]: part.id for data, part in bought}},
        "orders": orders,
        "drafts": drafts,
        "deliveries": [shipment for _, _, shipment in sales],
        "sales": [facts for facts, _, _ in sales],
    }
    (HOME / "seed.json").touch(mode=0o600)
    (HOME / "seed.json").write_text(json.dumps(facts, indent=1))


main()
