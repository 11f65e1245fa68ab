"""The compose file and the Dockerfile keep the rules of the production shape."""

from __future__ import annotations

import importlib
import re
from fnmatch import fnmatch
from typing import Any

import pytest

from deploy.compose.make_secrets import new_secrets
from tests.support.shape import ROOT, compose, ours, recipe, service_of

ALL = compose()["services"]
OURS = ours()
SERVICES = sorted(path.parent.name for path in (ROOT / "services").glob("*/__main__.py"))
SECRET_WORDS = re.compile(r"password|secret|token|api_?key|credential", re.IGNORECASE)
USER_AND_PASSWORD = re.compile(r"://[^/\s:@]+:[^/\s@]+@")


def environment(container: Any) -> dict[str, str]:
    return {name: str(value) for name, value in (container.get("environment") or {}).items()}


def test_every_service_has_a_container() -> None:
    assert sorted({service_of(container) for container in OURS.values()}) == SERVICES


def test_every_hub_service_has_a_database_and_a_role_of_its_own() -> None:
    urls = [value for c in OURS.values() for name, value in environment(c).items() if name.endswith("_DATABASE_URL")]
    hub = [url for url in urls if url.startswith("postgresql")]
    assert len(set(hub)) == len(hub) == len(SERVICES) - 1
    for url in hub:
        name = re.fullmatch(r"postgresql\+psycopg://(\w+)@postgres:5432/\1\?passfile=/run/secrets/postgres_\1", url)
        assert name, url
        assert f"CREATE DATABASE {name[1]} OWNER {name[1]};" in (ROOT / "deploy/compose/databases.sql").read_text()


@pytest.mark.parametrize("name", [name for name in OURS if name.startswith("edge_bridge")])
def test_a_bridge_has_its_own_disk_and_starts_without_the_hub(name: str) -> None:
    assert f"{name}:/data" in OURS[name]["volumes"]
    assert environment(OURS[name])["EDGE_BRIDGE_DATABASE_URL"].startswith("sqlite:////data/")
    assert not OURS[name]["depends_on"]


@pytest.mark.parametrize("name", ALL)
def test_no_environment_holds_a_secret(name: str) -> None:
    mounted = [f"/run/secrets/{secret}" for secret in ALL[name].get("secrets", [])]
    for variable, value in environment(ALL[name]).items():
        assert not USER_AND_PASSWORD.search(value), variable
        if SECRET_WORDS.search(variable):
            assert value in mounted, variable
        for path in re.findall(r"/run/secrets/\w+", value):
            assert path in mounted, variable


def test_every_secret_is_made_by_the_command_and_given_to_someone() -> None:
    declared = set(compose()["secrets"])
    assert declared == set(new_secrets())
    assert declared == {secret for container in ALL.values() for secret in container.get("secrets", [])}


@pytest.mark.parametrize("name", ALL)
def test_every_published_port_is_on_loopback_only(name: str) -> None:
    for port in ALL[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


def test_no_port_is_published_twice() -> None:
    ports = [port.split(":")[1] for container in ALL.values() for port in container.get("ports", [])]
    assert len(ports) == len(set(ports))


@pytest.mark.parametrize("name", ALL)
def test_every_container_has_a_health_check_a_restart_policy_and_a_pinned_image(name: str) -> None:
    assert ALL[name]["healthcheck"]["test"][0] == "CMD"
    assert ALL[name]["restart"] == "unless-stopped"
    assert re.search(r":v?\d+\.\d+", ALL[name]["image"])


@pytest.mark.parametrize("name", OURS)
def test_our_containers_run_as_nobody_special_on_a_file_system_that_is_read_only(name: str) -> None:
    container = OURS[name]
    assert re.fullmatch(r"[1-9]\d+", str(container["user"]))
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in container["security_opt"]


@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_our_containers_is_a_setting_of_its_service(name: str) -> None:
    service = service_of(OURS[name])
    known = importlib.import_module(f"services.{service}.settings").Settings.model_fields
    prefix = f"{service.upper()}_"
    for variable in environment(OURS[name]):
        assert variable.startswith(prefix)
        assert variable.removeprefix(prefix).lower() in known, variable


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_its_own_service_and_the_libraries_only(service: str) -> None:
    assert [source for source, _ in recipe(service).copies] == [
        "libs/contracts",
        "libs/servicekit",
        "services/__init__.py",
        f"services/{service}",
        "deploy/nats/streams.yaml",
    ]


def test_the_image_says_who_it_runs_as_how_it_starts_and_how_it_is_asked() -> None:
    made = recipe("production")
    assert re.fullmatch(r"[1-9]\d+", made.user)
    assert made.environment["SERVICE"] == "production"
    assert made.command[:2] == ["sh", "-c"]
    assert made.command[2].startswith("exec ")  # else SIGTERM ends the shell and kills the service
    assert '"servicekit.health"' in made.health


def test_what_the_image_copies_is_not_kept_from_it() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = [line.removeprefix("!") for line in lines if line.startswith("!")]
    for source in [recipe("production").lock, *(source for source, _ in recipe("production").copies)]:
        assert any(fnmatch(source, f"{pattern}*") for pattern in let_in), source
