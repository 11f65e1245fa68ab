"""The toy as a process: the kit's own desk over parked lanes, without a plant around it.   Settings: INVENTORY_*."""

from __future__ import annotations

from pathlib import Path

from pydantic_settings import SettingsConfigDict

from servicekit.run import Service, run_service
from servicekit.settings import ServiceSettings, load
from tests.support import toy


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="INVENTORY_")

    versions: Path  # of the toy's tables


if __name__ == "__main__":
    settings = load(Settings)
    service = Service(
        store=toy.STORE, migrations=settings.versions, servicers=lambda _kit, _server: [], handlers=toy.HANDLERS
    )
    run_service(service, settings)
