"""Brings a database to the schema of this code: the kit's tables and the service's, by alembic, at start, under a lock."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

KIT = Path(__file__).parent / "migrations"
LOCK_NUMBER = 1_735_550_001  # any constant: names our advisory lock in PostgreSQL


def migrate(engine: sa.Engine, service: str, versions: Path) -> None:
    """Apply what is missing; nothing is imported or locked when nothing is."""
    wanted = [(KIT / "versions", "kit_version"), (versions, f"{service}_version")]
    if all(_stands_at(engine, table) == _newest(folder) for folder, table in wanted):
        return
    with _locked(engine):
        for folder, table in wanted:
            _upgrade(engine, folder, table)


def _newest(folder: Path) -> str:
    return max(path.name.split("_")[0] for path in folder.glob("[0-9]*.py"))


def _stands_at(engine: sa.Engine, table: str) -> str:
    if not sa.inspect(engine).has_table(table):
        return ""
    with engine.connect() as connection:
        return str(connection.exec_driver_sql(f"SELECT version_num FROM {table}").scalar() or "")


def _upgrade(engine: sa.Engine, folder: Path, table: str) -> None:
    from alembic import command  # 1.5 s to import: only when there is something to do
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(KIT))
    config.set_main_option("version_locations", str(folder))
    config.set_main_option("path_separator", "os")
    config.attributes.update(engine=engine, version_table=table)
    command.upgrade(config, "head")


@contextmanager
def _locked(engine: sa.Engine) -> Iterator[None]:
    if engine.dialect.name == "sqlite":
        with Path(f"{engine.url.database}.migrate").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        return
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK_NUMBER})")
        try:
            yield
        finally:
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({LOCK_NUMBER})")
