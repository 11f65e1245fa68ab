"""Settings from the environment, read once, with all problems told together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from servicekit.domain import PLANT_ID

S = TypeVar("S", bound="ServiceSettings")
CATCH_UP_RATE = 20_000


class ServiceSettings(BaseSettings):
    """What every service is told. A service's own settings add to this and set its prefix."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    database_url: str = Field(description="SQLAlchemy URL: sqlite:////path or postgresql+psycopg://...")
    nats_url: str = Field(description="Broker, e.g. nats://127.0.0.1:4222; nodes of a cluster separated by commas")
    listen: str = Field(description="host:port of the gRPC server; loopback unless told otherwise")
    plants: Annotated[tuple[str, ...], NoDecode] = Field(description="Plant ids, separated by commas")
    otlp_endpoint: str = Field("", description="host:port that spans go to; empty: none")
    metrics_endpoint: str = Field("", description="host:port that metrics go to by OTLP; empty: none")
    metrics_seconds: float = Field(10.0, gt=0, description="How often they are read and sent")
    log_level: str = Field("info", description="debug, info, warning or error")
    streams_file: Path = Field(Path("deploy/nats/streams.yaml"), description="How streams are declared")
    stream_replicas: int = Field(0, ge=0, le=5, description="Nodes that keep a stream; 0: as the streams file says")
    catch_up_rate: int = Field(CATCH_UP_RATE, gt=0, description="Facts a second at which a slot's backlog is told")
    drain_seconds: float = Field(2.0, description="Time given to calls in flight at SIGTERM")

    @field_validator("plants", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("plants")
    @classmethod
    def _are_plants(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [plant for plant in value if not PLANT_ID.fullmatch(plant)]
        if wrong or not value:
            raise ValueError(f"plant ids are [a-z0-9-]{{1,32}}, not {wrong}")
        alike = [f"{one} and {other}" for one in value for other in value if other.startswith(f"{one}-")]
        if alike:
            raise ValueError(
                f"{', '.join(alike)}: orders of the two could bear one id, <plant>-<number>; rename a plant"
            )
        return value


def load(settings: type[S]) -> S:
    """The settings, or an exit with every problem on its own line."""
    try:
        return settings()  # type: ignore[call-arg]  # the environment gives them
    except ValidationError as error:
        prefix = settings.model_config.get("env_prefix", "").upper()
        for problem in error.errors():
            name = prefix + "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"{name}: {problem['msg']}\n")
        raise SystemExit(2) from None
