"""How many nodes keep a stream is one setting, or the streams file's word."""

from __future__ import annotations

from pathlib import Path

import pytest

from servicekit.broker import StreamRules
from servicekit.settings import ServiceSettings, load

STREAMS = Path(__file__).resolve().parents[2] / "deploy" / "nats" / "streams.yaml"


@pytest.fixture(autouse=True)
def _told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "DATABASE_URL": "sqlite:///:memory:",
        "NATS_URL": "nats://n:4222",
        "LISTEN": "127.0.0.1:0",
        "PLANTS": "brno",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STREAMS_FILE", str(STREAMS))


def replicas() -> int:
    settings = load(ServiceSettings)
    rules = StreamRules.load(settings.streams_file, settings.stream_replicas)
    return int(rules.config("production-brno").num_replicas or 0)


def test_a_stream_has_the_replicas_of_the_streams_file_when_nothing_else_is_told() -> None:
    assert replicas() == 1


def test_a_stream_has_the_replicas_that_the_settings_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_REPLICAS", "3")
    assert replicas() == 3


def test_more_replicas_than_a_broker_can_keep_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STREAM_REPLICAS", "6")
    with pytest.raises(SystemExit):
        load(ServiceSettings)
    assert "STREAM_REPLICAS" in capsys.readouterr().err


@pytest.mark.parametrize("rate", ["0", "-1", "many"])
def test_a_rate_that_never_catches_up_is_refused_with_one_sentence(
    rate: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CATCH_UP_RATE", rate)
    with pytest.raises(SystemExit):
        load(ServiceSettings)
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("CATCH_UP_RATE: ")


def test_a_plant_catches_up_at_the_rate_that_the_settings_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(ServiceSettings).catch_up_rate == 20_000
    monkeypatch.setenv("CATCH_UP_RATE", "500")
    assert load(ServiceSettings).catch_up_rate == 500


@pytest.mark.parametrize(("plants", "is_refused"), [("aachen,aachen-2", True), ("aachen-1,aachen-2", False)])
def test_plants_whose_orders_could_bear_one_id_are_refused(
    plants: str, is_refused: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Order 2-17 of aachen, and order 17 of aachen-2."""
    monkeypatch.setenv("PLANTS", plants)
    if not is_refused:
        assert load(ServiceSettings).plants == tuple(plants.split(","))
        return
    with pytest.raises(SystemExit):
        load(ServiceSettings)
    (said,) = capsys.readouterr().err.splitlines()
    assert "aachen and aachen-2" in said
