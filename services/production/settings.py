"""Production's settings: PRODUCTION_* in the environment."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from servicekit.settings import ServiceSettings


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="PRODUCTION_")

    plant_time_zones: dict[str, str] = Field(
        default_factory=dict, description='IANA zone by plant as JSON, e.g. {"aachen": "Europe/Berlin"}; else UTC'
    )
    over_delivery_percent: Decimal = Field(Decimal(10), description="Most that may be made above plan, in percent")
