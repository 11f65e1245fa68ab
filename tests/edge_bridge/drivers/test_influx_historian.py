"""A real InfluxDB is asked by bound parameters, and an answer that is not whole is none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from deploy.local.influx import Influx
from services.edge_bridge.domain.evidence import HistorianRead, Question, Reading
from services.edge_bridge.driver import DriverAway
from services.edge_bridge.drivers import influx_historian
from services.edge_bridge.drivers.influx_historian import InfluxHistorian, Place, chunk_of, identifier, reading_of
from tests.support import influx
from tests.support.ports import free_port

BEGIN = datetime(2026, 11, 25, 6, tzinfo=UTC)
ODD = "it's \"odd\", \\or '1'='1"


def at(second: float) -> datetime:
    return BEGIN + timedelta(seconds=second)


def a_read(tag_id: str = "reactor1.temperature", seconds: int = 60) -> HistorianRead:
    question = Question(BEGIN, at(seconds), Decimal(78), Decimal(82), timedelta(seconds=10))
    return HistorianRead("ghent-1-50-H-1", "hold", "ghent", "ghent-1", tag_id, "CEL", question, False, "")


def test_a_number_is_exact_and_a_sensors_noise_is_rounded_away() -> None:
    rows, is_last = chunk_of('{"results":[{"series":[{"values":[[1764050400000000,80.1,192]]}]}]}')
    assert is_last
    assert reading_of(rows[0]) == Reading(datetime(2025, 11, 25, 6, tzinfo=UTC), Decimal("80.1"), is_good=True)
    assert reading_of([Decimal(0), Decimal("80.12345649999999"), Decimal(192)]).value == Decimal("80.123456")


@pytest.mark.parametrize(
    ("value", "quality"),
    [
        (Decimal(80), Decimal(0)),
        (Decimal(80), Decimal(64)),
        (Decimal(80), None),
        (Decimal(80), "GOOD"),
        (Decimal(80), Decimal(256)),
        (None, Decimal(192)),
        ("80", Decimal(192)),
        (Decimal("1e300"), Decimal(192)),
    ],
)
def test_what_is_no_number_or_not_said_to_be_good_is_a_bad_reading(value: object, quality: object) -> None:
    assert not reading_of([Decimal(0), value, quality]).is_good


def test_a_chunk_that_is_not_the_last_says_so() -> None:
    rows, is_last = chunk_of('{"results":[{"series":[{"values":[[1,2,3]],"partial":true}],"partial":true}]}')
    assert (len(rows), is_last) == (1, False)


@pytest.mark.parametrize("line", ['{"error":"timeout"}', '{"results":[{"error":"database not found"}]}'])
def test_an_error_in_an_answer_is_none(line: str) -> None:
    with pytest.raises(ValueError, match=r"timeout|not found"):
        chunk_of(line)


def test_a_name_is_quoted() -> None:
    assert identifier('a"b\\c') == '"a\\"b\\\\c"'


async def test_a_historian_that_is_not_there_is_away() -> None:
    nobody = InfluxHistorian(
        "historian-ghent", Place(f"http://127.0.0.1:{free_port()}", "plant", "readings", timedelta())
    )
    for ask in (nobody.check(), nobody.is_written(a_read()), nobody.readings(a_read())):
        with pytest.raises(DriverAway):
            await ask


# --- with a real server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    found = influx.started(tmp_path_factory.mktemp("influx"))
    yield found
    found.kill()


def historian(server: Influx, measurement: str = "readings", database: str = influx.DATABASE) -> InfluxHistorian:
    place = Place(server.url, database, measurement, timedelta(seconds=30))
    return InfluxHistorian("historian-ghent", place)


@pytest.mark.connected
async def test_readings_of_the_window_come_with_their_quality_chunk_by_chunk(
    server: Influx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(influx_historian, "CHUNK", 7)
    written = [(at(second), f"80.{second % 10}", 192 if second % 5 else 0) for second in range(-5, 70)]
    influx.write(server, "chunks", written)
    readings = await historian(server).readings(a_read("chunks"))
    assert [(r.time, r.value, r.is_good) for r in readings] == [
        (time, Decimal(value), quality == 192) for time, value, quality in written if BEGIN <= time <= at(60)
    ]


@pytest.mark.connected
async def test_a_reading_without_a_value_is_a_bad_one(server: Influx) -> None:
    influx.write(server, "empty", [(at(1), "", 192), (at(2), "80", 192)])
    assert [r.is_good for r in await historian(server).readings(a_read("empty"))] == [False, True]


@pytest.mark.connected
async def test_a_tag_id_is_data_whatever_it_holds(server: Influx) -> None:
    influx.write(server, ODD, [(at(1), "80", 192)])
    influx.write(server, "another", [(at(1), "10", 192)])
    asked = historian(server)
    assert [r.value for r in await asked.readings(a_read(ODD))] == [Decimal(80)]
    assert await asked.readings(a_read("' OR \"tag\" =~ /.*/ OR '1'='")) == []


@pytest.mark.connected
async def test_more_readings_than_are_taken_are_told_not_cut(server: Influx, monkeypatch: pytest.MonkeyPatch) -> None:
    influx.write(server, "many", [(at(second), "80", 192) for second in range(20)])
    monkeypatch.setattr(influx_historian, "READINGS_MOST", 10)
    with pytest.raises(DriverAway, match="more than 10 readings"):
        await historian(server).readings(a_read("many"))


@pytest.mark.connected
async def test_a_window_is_written_when_the_tag_is_past_its_end_or_all_others_long_are(server: Influx) -> None:
    asked = historian(server, "written")
    later = a_read("slow", seconds=10_000)
    assert not await historian(server).is_written(later)
    influx.write(server, "slow", [(at(9_999), "80", 192)])
    influx.write(server, "others", [(at(10_029), "1", 192)])
    assert not await historian(server).is_written(later)
    influx.write(server, "others", [(at(10_030), "1", 192)])
    assert await historian(server).is_written(later)
    assert not await asked.is_written(later)
    influx.write(server, "quick", [(at(20_000), "80", 192)])
    assert await historian(server).is_written(a_read("quick", seconds=20_000))


@pytest.mark.connected
async def test_a_database_that_is_not_there_is_told(server: Influx) -> None:
    with pytest.raises(DriverAway, match="database not found"):
        await historian(server, database="nowhere").readings(a_read())
