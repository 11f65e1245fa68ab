"""Operations' settings: OPERATIONS_* in the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from servicekit.settings import ServiceSettings

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="OPERATIONS_")

    span_days: float = Field(7.0, gt=0, description="How long a trace is kept after its last span, in days")
    spans_most: int = Field(
        2_000_000, gt=0, description="Spans kept in all; beyond, ordinary traces go before slow, failed and parked ones"
    )
    slow_span_seconds: float = Field(5.0, gt=0, description="A span that takes as long makes its trace a slow one")
    inventory: str = Field("", description="host:port of inventory; empty: books can't be compared")
    production: str = Field("", description="host:port of production; empty: books can't be compared")
    gateway: str = Field("", description="host:port of the gateway; empty: books can't be compared")
    edge_bridges: dict[str, str] = Field(
        {}, description="host:port of edge bridges by plant, as JSON; a plant without: its MES is not compared"
    )
    console_listen: str = Field("", description="host:port of the console, loopback only; empty: there is none")
    kpi_seconds: float = Field(300.0, ge=1, description="How long the interval of figures over time is")
    console_form_minutes: float = Field(
        480.0, gt=0, description="How long a page's forms are good for; older ones do nothing and say so"
    )
    desks: dict[str, str] = Field(
        {}, description="host:port of every service whose exceptions are shown, by name, as JSON"
    )
    trace_url: str = Field("", description="Where a trace can be looked at; its id is put behind it. Empty: nowhere")
    interfaces_file: Path = Field(
        Path(__file__).parent / "interfaces.yaml", description="The interfaces whose time is kept, with their limits"
    )

    @field_validator("console_listen")
    @classmethod
    def _is_loopback(cls, value: str) -> str:
        host = value.rpartition(":")[0]
        if value and host not in LOOPBACK:
            raise ValueError(
                f"the console has no login yet: it listens on {' or '.join(LOOPBACK)}, not on {host or value}"
            )
        return value

    reconcile_hours: float = Field(24.0, ge=0, description="How often every plant's books are compared; 0: when asked")
