"""The edge bridge's settings: EDGE_BRIDGE_* in the environment."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from servicekit.settings import ServiceSettings


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="EDGE_BRIDGE_")

    plant_id: str = Field(description="The plant that this bridge stands in; also the only one of PLANTS")
    mes_driver: str = Field(
        pattern="^(rest_mes|staging_mes|batch_mes)$", description="rest_mes, staging_mes or batch_mes"
    )
    mes_address: str = Field(description="URL of the MES, or path of its staging database")
    line_url: str = Field("", description="OPC UA endpoint of the line; empty: none")
    line_tag_map: str = Field("stations", description="Name of the line's tag map")
    line_stations: int = Field(3, description="How many stations the line has")

    signal_driver: str = Field("modbus", pattern="^(modbus|opc_ua)$", description="modbus or opc_ua")
    signal_address: str = Field("", description="host:port, or OPC UA endpoint, of the machines' signals; empty: none")
    signal_map_file: Path | None = Field(None, description="Where the machines' signals live, as JSON")
    signal_poll_seconds: float = Field(1.0, gt=0, description="How often they are read")

    # --- laboratory and historian

    lims_folder: Path | None = Field(None, description="Folder shared with the laboratory's system; absent: none")
    lims_map_file: Path | None = Field(None, description="What the laboratory's words mean, as JSON")
    lims_quiet_seconds: float = Field(30.0, gt=0, description="A file that is cut off is given up after this long")
    time_zone: str = Field("", description="Time zone of the plant's clocks, e.g. Europe/Brussels")
    historian_url: str = Field("", description="URL of the historian; empty: none")
    historian_database: str = Field("plant", description="Its database")
    historian_measurement: str = Field("readings", description="Its measurement that holds the readings")
    historian_grace_seconds: float = Field(60.0, ge=0, description="How much later than others a tag may be written")

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        try:
            return ZoneInfo(value).key if value else ""
        except (LookupError, ValueError, OSError) as error:
            raise ValueError(f"{value} is no time zone") from error

    @model_validator(mode="after")
    def _groups_are_whole(self) -> Settings:
        if self.lims_folder is not None and not (self.lims_map_file and self.time_zone):
            raise ValueError("LIMS_FOLDER needs LIMS_MAP_FILE and TIME_ZONE")
        if self.signal_address and self.signal_map_file is None:
            raise ValueError("SIGNAL_ADDRESS needs SIGNAL_MAP_FILE")
        return self

    @property
    def laboratory_id(self) -> str:
        return f"lims-{self.plant_id}"

    @property
    def historian_grace(self) -> timedelta:
        return timedelta(seconds=self.historian_grace_seconds)

    @property
    def asks_for_evidence(self) -> bool:
        return self.lims_folder is not None or bool(self.historian_url)
