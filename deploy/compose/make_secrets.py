"""Makes the secrets of docker-compose.yml, once; standard library only, for nothing else need be installed on that machine.

Outside a swarm a secret of compose is the file itself, mounted with its owner and mode. libpq refuses a password file that
others may read, so each is mode 0600 and must belong to the user of the containers: ISTHMUS_UID of .env. As root this
command gives the files to that user; else they are the caller's, and the containers must run as the caller.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent / "secrets"
DATABASES = ("master_data", "production", "inventory", "quality", "maintenance", "gateway", "operations")
AGREED = (
    "erp_aachen",
    "erp_brno",
    "wms_api_key",
    "qms_api_key",
    "cmms_api_key",
    "webhook_secret",
)  # the other side must know the same


def new_secrets() -> dict[str, str]:
    """A fresh value for every secret, by name."""
    made = {f"postgres_{name}": f"*:*:*:{name}:{secrets.token_urlsafe(24)}\n" for name in DATABASES}
    for name in ("postgres", "grafana_admin", "erp_aachen", "erp_brno", "wms_api_key", "qms_api_key", "cmms_api_key"):
        made[name] = secrets.token_urlsafe(24)
    made["webhook_secret"] = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    return made


def owner(environment: Mapping[str, str]) -> int:
    """The user id of the containers: ISTHMUS_UID of the environment, else of .env."""
    found = re.search(r"^ISTHMUS_UID=(\d+)$", (ROOT / ".env").read_text(encoding="utf-8"), re.MULTILINE)
    return int(environment.get("ISTHMUS_UID") or (found[1] if found else "10001"))


def write(folder: Path, uid: int) -> list[str]:
    """Write them all, or refuse: secrets in use are never overwritten. Raises FileExistsError."""
    made = new_secrets()
    there = sorted(name for name in made if (folder / name).exists())
    if there:
        raise FileExistsError(f"{folder} holds secrets already ({', '.join(there)}). Nothing was changed.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, value in made.items():
        path = folder / name
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(value, encoding="utf-8")
        if os.getuid() == 0:
            os.chown(path, uid, -1)
    return sorted(made)


def main() -> int:
    uid = owner(os.environ)
    try:
        names = write(FOLDER, uid)
    except FileExistsError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(names)} secrets in {FOLDER}. Agree with the other side: {', '.join(AGREED)}.")
    if os.getuid() not in (0, uid):
        print(f"They belong to you: start the containers with ISTHMUS_UID={os.getuid()}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
