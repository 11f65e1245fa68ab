"""Putting right what is parked by the console's forms: over real desks, on both databases."""

from __future__ import annotations

import asyncio
import html
import json
import re

import httpx
import pytest

from servicekit.clock import new_id
from servicekit.database import Database
from services.operations.console import forms
from tests.operations import told
from tests.support import toy
from tests.support.eventually import eventually

pytestmark = pytest.mark.connected
KEY = "shut/1 ä"  # a key that a path must not be split by


def mark_of(page: str) -> str:
    return html.unescape(re.findall(r'name="mark" value="([^"]+)"', page)[0])


def act(console: httpx.Client, path: str, what: str, **fields: str | list[str]) -> httpx.Response:
    page = "/exceptions" if "/exceptions/" not in path else path

    def shown() -> str:  # a desk that takes longer than its deadline is shown as away, without a form
        text = console.get(page).text
        return mark_of(text) if 'name="mark"' in text else ""

    mark = asyncio.run(eventually(shown))
    said = {"mark": mark, "act": what, "key": new_id(), "operator": "kim", "reason": "asked the line", **fields}
    return console.post(path, data=said)


def amounts(store: Database) -> dict[object, object]:
    return dict(told.ask(store, "SELECT tally_id, amount / 1000000 FROM tallies"))  # type: ignore[arg-type]


def audited(store: Database) -> list[tuple[object, ...]]:
    return told.ask(store, "SELECT what, operator_id, reason FROM audit ORDER BY entry_number")


def content_of(page: str) -> str:
    return html.unescape(re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)[0])


def test_a_poisoned_fact_is_tried_compared_corrected_and_released(console: httpx.Client, toy_store: Database) -> None:
    told.park(toy_store, [KEY], facts=2)
    asyncio.run(toy_store.write(lambda tx: tx.run("INSERT INTO tallies VALUES ('open', 0, ?)", (False,))))
    listed = console.get("/exceptions").text
    assert f'href="{told.lane_of(KEY)}"' in listed
    page = console.get(told.lane_of(KEY)).text
    before = toy_snapshot(toy_store)
    content = content_of(page)
    trial = act(console, told.lane_of(KEY), "try", event_id=f"{KEY}-0", content=content).text
    assert "It would fail: <code>TALLY_CLOSED</code>" in trial
    assert "Nothing: the content is as it was." in trial
    right = content.replace(KEY, "open")
    trial = act(console, told.lane_of(KEY), "try", event_id=f"{KEY}-0", content=right).text
    assert "takes effect" in trial
    assert "isthmus.inventory.v1.OutputStored" in trial
    assert '<span class="goes">-  &#34;workOrderId&#34;: &#34;shut/1 ä&#34;' in trial
    assert '<span class="comes">+  &#34;workOrderId&#34;: &#34;open&#34;' in trial
    assert toy_snapshot(toy_store) == before, "a trial changes nothing"

    corrected = act(console, told.lane_of(KEY), "correct", event_id=f"{KEY}-0", content=right)
    assert "Corrected." in corrected.text
    act(console, told.lane_of(KEY), "release")
    assert amounts(toy_store) == {KEY: 0, "open": 1}, "the first is done with, the second is stuck"
    told.reopen(toy_store)
    released = act(console, told.lane_of(KEY), "release")
    assert (released.url.path, "Released." in released.text) == ("/exceptions", True)
    assert amounts(toy_store) == {KEY: 1, "open": 1}
    kim = ("kim", "asked the line")
    assert audited(toy_store) == [("correct", *kim), ("release", *kim), ("release", *kim)]
    audit = console.get("/audit", params={"verify": "yes"}).text
    assert audit.count("asked the line") == 3
    assert audit.count('<span class="mark">holds</span>') == 2
    assert "quality does not answer" in audit


def toy_snapshot(store: Database) -> object:
    return asyncio.run(toy.snapshot(store))


def test_a_form_that_is_sent_twice_acts_once(console: httpx.Client, toy_store: Database) -> None:
    told.park(toy_store, [KEY])
    content = content_of(console.get(told.lane_of(KEY)).text)
    key = new_id()
    for _ in range(2):
        answer = act(console, told.lane_of(KEY), "correct", event_id=f"{KEY}-0", content=content, key=key)
        assert "Corrected." in answer.text
    assert len(audited(toy_store)) == 1


def test_to_discard_takes_a_second_person(console: httpx.Client, toy_store: Database) -> None:
    told.park(toy_store, [KEY, "another"])
    fact = {"event_id": f"{KEY}-0"}
    alone = act(console, told.lane_of(KEY), "discard", **fact)
    assert (alone.status_code, "SECOND_PERSON_NEEDED" in alone.text) == (409, True)
    assert "Proposed." in act(console, told.lane_of(KEY), "propose", **fact).text
    assert "discard proposed" in console.get("/exceptions").text
    assert "kim wants it discarded: asked the line" in console.get(told.lane_of(KEY)).text
    assert act(console, told.lane_of(KEY), "discard", **fact).status_code == 409
    done = act(console, told.lane_of(KEY), "discard", operator="ann", **fact)
    assert "Discarded, by two of you." in done.text
    assert [row[:2] for row in audited(toy_store)] == [("propose", "kim"), ("discard", "ann")]
    assert "NOTHING_CHOSEN" in act(console, "/exceptions", "chosen").text
    assert console.get(told.lane_of(KEY)).status_code == 404


def test_many_lanes_are_released_one_after_another_and_what_is_stuck_is_named(
    console: httpx.Client, toy_store: Database
) -> None:
    told.park(toy_store, [f"many-{n}" for n in range(6)] + ["other-1"])
    told.reopen(toy_store)
    asyncio.run(
        toy_store.write(lambda tx: tx.run("UPDATE tallies SET is_closed = ? WHERE tally_id = 'many-3'", (True,)))
    )
    picks = [json.dumps(["inventory", "inventory", f"many-{n}"]) for n in range(2)]
    chosen = act(console, "/exceptions", "chosen", pick=picks)
    assert wait_done(console, chosen).count("2 lanes are empty, 0 are stuck, 0 are left. 2 facts took effect.") == 1
    assert sum(amounts(toy_store).values()) == 2  # type: ignore[arg-type]
    matching = act(console, "/exceptions", "matching", match="MANY-")
    page = wait_done(console, matching)
    assert "3 lanes are empty, 1 are stuck, 0 are left. 3 facts took effect." in page
    assert "<code>TALLY_CLOSED</code>" in page
    assert amounts(toy_store)["other-1"] == 0
    assert len(audited(toy_store)) == 6


def wait_done(console: httpx.Client, begun: httpx.Response) -> str:
    path = begun.url.path
    assert path.startswith("/releases/")
    asyncio.run(eventually(lambda: "Done:" in console.get(path).text, within=30))
    return console.get(path).text


def test_a_release_of_many_is_stopped_between_two_lanes(console: httpx.Client, toy_store: Database) -> None:
    told.park(toy_store, [f"many-{n}" for n in range(200)])
    told.reopen(toy_store)
    begun = act(console, "/exceptions", "matching", match="")
    assert "Under way" in begun.text
    stopped = console.post(begun.url.path, data={"mark": mark_of(begun.text)})
    asyncio.run(eventually(lambda: "Stopped:" in console.get(begun.url.path).text))
    done = sum(amounts(toy_store).values())  # type: ignore[arg-type]
    assert stopped.is_success
    assert 0 < done < 200
    assert len(audited(toy_store)) == done


def test_a_form_from_elsewhere_too_large_unreadable_or_unsigned_does_nothing(
    console: httpx.Client, toy_store: Database
) -> None:
    told.park(toy_store, [KEY])
    told.reopen(toy_store)
    before = toy_snapshot(toy_store)
    mark = mark_of(console.get(told.lane_of(KEY)).text)
    good = {"mark": mark, "act": "release", "operator": "kim", "reason": "asked"}

    def refused(data: dict[str, str] | bytes, **headers: str) -> tuple[int, str]:
        body = {"content": data} if isinstance(data, bytes) else {"data": data}
        answer = console.post(told.lane_of(KEY), headers=headers, **body)  # type: ignore[arg-type]
        return answer.status_code, re.findall(r"<h1>(.*?)</h1>", answer.text)[0]

    assert refused(good, origin="http://evil.example") == (403, "FORM_FOREIGN")
    assert refused(good, origin="null") == (403, "FORM_FOREIGN")
    assert refused(good, origin="") == (403, "FORM_FOREIGN")
    assert refused({**good, "mark": mark[:-2]}) == (403, "FORM_EXPIRED")
    assert refused({**good, "mark": ""}) == (403, "FORM_EXPIRED")
    assert refused({**good, "operator": " "}) == (400, "ACTION_UNSIGNED")
    assert refused({**good, "operator": "k" * 200})[0] == 400
    assert refused({**good, "act": "explode"}) == (400, "FORM_UNREADABLE")
    assert refused(b"\xff=\xff") == (400, "FORM_UNREADABLE")
    assert refused(b"a=1&" * 3000) == (400, "FORM_UNREADABLE")
    assert refused({**good, "content": "x" * forms.BODY_MOST}) == (413, "FORM_TOO_LARGE")
    rebound = console.get("/exceptions", headers={"host": "evil.example:80"})
    assert (rebound.status_code, "own name" in rebound.text) == (421, True)
    assert toy_snapshot(toy_store) == before


def test_the_second_of_two_operators_is_told_that_it_was_too_late(console: httpx.Client, toy_store: Database) -> None:
    told.park(toy_store, [KEY])
    content = content_of(console.get(told.lane_of(KEY)).text)
    fact = {"event_id": f"{KEY}-0"}
    assert act(console, told.lane_of(KEY), "correct", content=content.replace(KEY, "new-1"), **fact).is_success
    late = act(console, told.lane_of(KEY), "correct", content=content.replace(KEY, "new-2"), operator="ann", **fact)
    assert (late.status_code, "LANE_CHANGED" in late.text) == (409, True)
    act(console, told.lane_of(KEY), "release")
    assert amounts(toy_store)["new-1"] == 1
    assert "new-2" not in amounts(toy_store)


def test_a_stopped_slot_is_listed_and_goes_on_when_a_person_says_so(console: httpx.Client, toy_store: Database) -> None:
    sql = "INSERT INTO slot_stop VALUES ('inventory', 'production-aachen', 'FACTS_LOST', 'gone', 1, ?)"
    asyncio.run(toy_store.write(lambda tx: tx.run(sql, (False,))))
    page = console.get("/exceptions").text
    assert ">stands still<" in page
    done = act(console, "/stops/inventory", "resume", consumer="inventory", slot="production-aachen")
    assert "The reader goes on." in done.text
    assert ">stands still<" not in done.text
    assert [row[:2] for row in audited(toy_store)] == [("resume", "kim")]


def test_five_thousand_exceptions_are_paged_found_by_their_words_and_open(
    console: httpx.Client, toy_store: Database
) -> None:
    told.park(toy_store, [f"order-{n:04}" for n in range(5000)])
    page = console.get("/exceptions").text
    assert "5,000 of 5,000" in page
    assert page.count('name="pick"') == 100
    assert len(page) < 200_000
    assert "page 1 of 50" in page
    last = console.get("/exceptions", params={"page": "50"}).text
    assert "order-4999" in last
    found = console.get("/exceptions", params={"match": "TALLY order-4711"}).text
    assert "1 of 5,000" in found
    assert (
        "None of 5,000 has these words in it." in console.get("/exceptions", params={"match": "nothing like it"}).text
    )
    for odd in ("0", "-1", "99999999999", "x", "²"):
        assert console.get("/exceptions", params={"page": odd}).status_code == 200
