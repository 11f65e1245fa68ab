"""Scenario 1: orders over two ERP releases and two plants, with everything that goes wrong on purpose, and checked."""

from __future__ import annotations

import time
from collections.abc import Callable

from deploy.local import verdict
from deploy.local.plant import Plants
from deploy.local.report import Report
from deploy.local.story import Story

CUT_SECONDS = 20.0


def play(story: Story, plants: Plants, report: Report) -> None:
    """The story itself."""
    story.wait("all released orders are in their MES", lambda: plants.dispatched() >= plants.released())
    story.say(f"{plants.released()} orders released by two ERPs stand in two MES; the lines are on hold")
    changes_before_work(story, plants, report)
    malformed_record(story, plants, report, cut=lambda: plants.link("brno", "cut"))
    cut_at = time.monotonic()
    story.say("the link between brno and the hub is cut; the lines start")
    offline(story, plants, report)
    plants.hold(is_held=False)
    story.wait("the first MES reports", plants.rest_reports)
    under_work = story.wait("an order of aachen is under work", lambda: halt_with_an_order(plants))
    same_document(story, plants, report)
    refused_change(story, plants, report, under_work)
    plants.hold_rest(is_held=False)
    story.wait("the cut has lasted", lambda: time.monotonic() - cut_at >= CUT_SECONDS)
    report.figures["backlog_in_brno_at_the_end_of_the_cut"] = plants.edge_status("brno").backlog_count
    report.check("the bridge in brno knew that it was cut off", plants.edge_status("brno").is_linked, False)
    plants.link("brno", "restore")
    report.figures["link_cut_seconds"] = round(time.monotonic() - cut_at, 1)
    story.say("the link is back")
    repair(story, plants, report)
    story.wait("orders complete in the ERPs", lambda: plants.completed_in_erp() >= plants.released() - 1)
    story.say("all orders are complete in the ERPs")
    wrong_confirmation(story, plants, report)
    story.wait("everything is at rest", plants.is_at_rest, 60)
    story.wait("line and MES of aachen-6 are compared", lambda: plants.tells("aachen-6", "line and MES differ"), 20)
    story.say("everything is at rest; reading all systems back")
    verdict.judge(plants, report)


def changes_before_work(story: Story, plants: Plants, report: Report) -> None:
    """The ERP changes one order and cancels another."""
    day = plants.change_in_erp("aachen", "6", quantity="5")
    plants.cancel_in_erp("brno", "6")
    story.wait(
        "MES of aachen knows the new quantity", lambda: plants.mes_order("aachen-6")["sollmenge"].startswith("5")
    )
    story.wait("MES of brno took the order back", lambda: plants.staging_state("brno-6") == "STORNO")
    report.check("MES of aachen got the new date", plants.mes_order("aachen-6")["endtermin"], f"{day:%d.%m.%Y}")
    story.say("the ERP changed order 6 of aachen and cancelled order 6 of brno; both MES know")


def malformed_record(story: Story, plants: Plants, report: Report, cut: Callable[[], None]) -> None:
    """An operator types a row that nobody can read; it will park its order, and only its order."""
    plants.malformed_row("brno-5")
    story.wait("the malformed record is parked", lambda: plants.parked("edge_bridge-brno"))
    (lane,) = plants.parked("edge_bridge-brno")
    report.check("the malformed record is parked with its reason", lane.reason, "RECORD_FIELD_UNREADABLE")
    story.say(f"a malformed record of the MES in brno is parked: {lane.text[:90]}")
    cut()


def offline(story: Story, plants: Plants, report: Report) -> None:
    """An app in the plant confirms while the link is cut."""
    story.wait("the bridge sees that it is cut off", lambda: not plants.edge_status("brno").is_linked, 30)
    first, again = plants.app_confirms("brno-4"), plants.app_confirms("brno-4")
    report.check("an app confirms in the plant while the link is cut", first.replayed, False)
    report.check("the app's repetition is the first answer again", again.replayed, True)
    story.say("an app confirmed labour in brno, twice, without a link")


def same_document(story: Story, plants: Plants, report: Report) -> None:
    """One confirmation sent twice by the MES, once more by API, and once with another quantity."""
    number = plants.rest_reports()[0]["meldung"]
    story.wait("production booked the first report", lambda: plants.is_booked("aachen", number))
    plants.resend(number)
    answer = plants.same_by_api("aachen", number)
    report.check("the same confirmation by API is the plant's, replayed", answer.replayed, True)
    reason = plants.other_quantity_by_api("aachen", number)
    report.check("the same key with another quantity is refused", reason, "BUSINESS_KEY_CONFLICT")
    story.say(f"report {number} came twice by event, once by API, and once with another quantity (refused)")


def halt_with_an_order(plants: Plants) -> str:
    """Halt aachen's line with an unfinished order on it; empty, and the line goes on, if there is none just now."""
    plants.hold_rest(is_held=True)
    order_id = plants.under_work()
    plants.hold_rest(is_held=bool(order_id))
    return order_id


def refused_change(story: Story, plants: Plants, report: Report, order_id: str) -> None:
    """The ERP changes the quantity of an order that is under work: the MES refuses, and that is shown."""
    plants.change_in_erp("aachen", order_id.removeprefix("aachen-"), quantity="7")
    story.wait("the refusal is in the timeline", lambda: plants.tells(order_id, "MES refused the change"))
    lanes = plants.parked("edge_bridge-aachen")
    report.check(
        "the change that the MES refused is parked for a person", [lane.reason for lane in lanes], ["POSTING_REFUSED"]
    )
    plants.discard(lanes[0])
    story.say("a change of an order under work was refused by the MES; a person saw it and gave it up")


def repair(story: Story, plants: Plants, report: Report) -> None:
    """A person corrects the parked record and releases its lane."""
    released = plants.correct_and_release()
    report.check("the corrected record and its followers went on", released > 0, True)
    story.say(f"the malformed record was corrected and released; {released} facts took effect")


def wrong_confirmation(story: Story, plants: Plants, report: Report) -> None:
    """After everything was posted, the MES takes a confirmation back and reports another quantity."""
    story.wait("the last lot of aachen is in the warehouse", lambda: plants.is_received("aachen-6"))
    before, after = plants.correct_last_report("aachen-6")
    story.wait("the ERP took the correction", lambda: plants.tells("aachen-6", "ERP took the correction", 2))
    report.figures["corrected_confirmation"] = f"aachen-6: {before} good reported, {after} good after the correction"
    story.say(f"the MES took {before} good pieces of aachen-6 back and reported {after}; ledger and ERP follow")
