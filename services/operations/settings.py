"""Operations' settings: OPERATIONS_* in the environment."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from servicekit.settings import ServiceSettings


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="OPERATIONS_")

    span_days: float = Field(7.0, description="How long spans are kept, in days")
