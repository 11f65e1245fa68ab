"""The gateway's settings: GATEWAY_* in the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field
from pydantic_settings import SettingsConfigDict

from servicekit.settings import ServiceSettings


class ErpBinding(BaseModel):
    """How the ERP of a plant is reached; the password stands in a file."""

    family: str = "tryton"
    url: str
    database: str = "erp"
    user: str = "gateway"
    password_file: Path


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="GATEWAY_")

    master_data: str = Field(description="host:port of master data")
    production: str = Field(description="host:port of production")
    inventory: str = Field(description="host:port of inventory")
    erps: dict[str, ErpBinding] = Field(description="ERP by plant, as JSON")
    wms_url: str = Field("", description="URL of the WMS; empty: none")
    wms_api_key_file: Path | None = Field(None, description="File with the WMS's API key")
    quality: str = Field("", description="host:port of quality; empty: the QMS's webhooks are not taken")
    maintenance: str = Field("", description="host:port of maintenance; empty: the CMMS is not followed")
    qms_url: str = Field("", description="URL of the QMS; empty: none")
    qms_api_key_file: Path | None = Field(None, description="File with the QMS's token")
    cmms_url: str = Field("", description="URL of the CMMS; empty: none")
    cmms_api_key_file: Path | None = Field(None, description="File with the CMMS's API key")
    full_sync_hours: float = Field(
        24, gt=0, description="All master data of the ERPs is compared once in so many hours"
    )
    webhook_listen: str = Field("", description="host:port for partners' webhooks; empty: none")
    webhook_secret_file: Path | None = Field(None, description="File with the Standard Webhooks secret")
