"""The warehouse's own process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.eventually import eventually
from tests.support.ports import free_port


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    port, key = free_port(), tmp_path / "key"
    key.write_text("secret")
    command = [sys.executable, "-m", "simulators.wms", "--port", str(port), "--state", str(tmp_path / "wms")]
    process = await asyncio.create_subprocess_exec(*command, "--api-key-file", str(key), "--delay", "0.01")
    address = f"http://127.0.0.1:{port}"

    async def is_up() -> bool:
        async with httpx.AsyncClient() as client:
            try:
                return (await client.get(f"{address}/health")).is_success
            except httpx.HTTPError:
                return False

    await eventually(is_up)
    yield address
    process.kill()
    await process.wait()
