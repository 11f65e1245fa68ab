"""The `isthmus` command without a system behind it: its help, and what it says of settings that can't be."""

from __future__ import annotations

import json
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
import typer

from deploy.local import ports
from deploy.local.cli import app, main
from deploy.local.foreign import Place
from deploy.local.system import prepare_once
from deploy.local.tryton.plants import SEEDS
from tests.support.isthmus import free_base

Run = Callable[..., str]


def commands(group: click.Command, path: str = "isthmus") -> Iterator[tuple[str, click.Command]]:
    if isinstance(group, click.Group) or hasattr(group, "commands"):
        for name, command in group.commands.items():
            yield from commands(command, f"{path} {name}")
    else:
        yield path, group


EVERY_COMMAND = dict(commands(typer.main.get_command(app)))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home on ports where nothing listens."""
    folder = tmp_path / "home"
    monkeypatch.setenv("ISTHMUS_PORT_BASE", str(free_base()))
    monkeypatch.setenv("ISTHMUS_HOME", str(folder))
    return folder


@pytest.fixture
def isthmus(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs the command in this process; gives what it printed, or the sentence that it ended with."""
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["isthmus", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return capsys.readouterr().out.strip() if ended.value.code in (0, None) else str(ended.value.code)

    yield run
    signal.signal(signal.SIGTERM, handler)


def test_the_walk_finds_the_commands() -> None:
    assert {"isthmus up", "isthmus trace", "isthmus lanes release", "isthmus logs"} <= EVERY_COMMAND.keys()


@pytest.mark.parametrize("path", EVERY_COMMAND)
def test_every_command_has_an_example_in_its_help_and_answers_in_json(path: str) -> None:
    command = EVERY_COMMAND[path]
    assert f"Example: {path}" in (command.help or "")
    assert any("--json" in parameter.opts for parameter in command.params)


def test_nothing_runs_is_an_answer(isthmus: Run) -> None:
    assert isthmus("ps") == "Isthmus: nothing"
    assert isthmus("ps", "--json") == "[]"
    assert '"stopped": false' in isthmus("down", "--json")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trace", "FA-000001"], "isthmus ps"),
        (["lanes", "list"], "isthmus ps"),
        (["postings", "warehouse"], "There is no service warehouse"),
        (["logs", "warehouse"], "There is no log of warehouse"),
    ],
)
def test_what_can_not_be_answered_is_one_sentence(isthmus: Run, arguments: list[str], words: str) -> None:
    said = isthmus(*arguments)
    assert words in said
    assert len(said.splitlines()) == 1


def test_up_with_a_taken_port_names_port_and_holder_and_starts_nothing(isthmus: Run, home: Path) -> None:
    port = ports.local()["production"]
    with socket.create_server(("127.0.0.1", port)):
        assert f"Port {port} (for production) is taken by " in isthmus("up")
    assert not home.exists()


@pytest.mark.parametrize("said", ["many", "80", "70000"])
def test_a_port_base_that_can_not_be_is_refused(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISTHMUS_PORT_BASE", said)
    with pytest.raises(ports.SettingWrong, match="ISTHMUS_PORT_BASE"):
        ports.local()


def test_a_home_of_an_earlier_version_is_left_alone(isthmus: Run, home: Path) -> None:
    home.mkdir()
    (home / "port_base").write_text("18000")
    assert f"{home} was made by an earlier version" in isthmus("up")
    assert [path.name for path in home.iterdir() if path.is_dir() and path.name != "logs"] == []


@pytest.mark.parametrize(
    ("name", "made"), [("ISTHMUS_PORT_BASE", "18000"), ("ISTHMUS_PLANTS", "aachen,brno")], ids=["ports", "plants"]
)
def test_a_home_stays_on_the_ports_and_plants_it_was_made_for(isthmus: Run, home: Path, name: str, made: str) -> None:
    home.mkdir()
    wanted = {"ISTHMUS_PORT_BASE": str(ports.local()["nats"]), "ISTHMUS_PLANTS": ",".join(ports.plants())}
    (home / "made_for.json").write_text(json.dumps({**wanted, name: made}))
    assert f"{name}={made}" in isthmus("up")


def test_a_kept_home_gets_the_broker_configuration_of_this_release(home: Path) -> None:
    home.mkdir()
    wanted = {"ISTHMUS_PORT_BASE": str(ports.local()["nats"]), "ISTHMUS_PLANTS": ",".join(ports.plants())}
    (home / "made_for.json").write_text(json.dumps(wanted))
    (home / "nats.conf").write_text("of a release before")
    place = Place(home, ports.local(), {plant: SEEDS[plant] for plant in ports.plants()})
    prepare_once(place, lambda text: None)
    said = (home / "nats.conf").read_text()
    assert f'listen: "127.0.0.1:{place.ports["nats"]}"' in said
    assert "max_file: 1T" in said
