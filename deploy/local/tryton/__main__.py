"""A real ERP of one plant from the command line: `prepare` it, `serve` it in the foreground, `reset` it to its seed.

For a rehearsal by hand, and for whoever supervises the server with tools of his own.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from deploy.local.tryton import install
from deploy.local.tryton.plants import SEEDS


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.tryton", description=__doc__)
    parser.add_argument("verb", choices=["prepare", "serve", "reset"])
    parser.add_argument("--plant", required=True, choices=sorted(SEEDS))
    parser.add_argument("--series", default="", choices=["", *install.known_series()], help="default: the plant's own")
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("--port", required=True, type=int)
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    series = asked.series or SEEDS[asked.plant].series
    is_running = install.is_ready(asked.port, series)
    if is_running:
        print(f"a server answers on port {asked.port} already: stop it first", file=sys.stderr)
        return 1
    if asked.verb != "serve" or not (asked.home / "seed.json").exists():
        try:
            install.prepare(asked.plant, asked.home, asked.port, _tell, series)
        except install.SetupFailed as failure:
            print(failure, file=sys.stderr)
            return 1
    if asked.verb == "serve":
        command = install.command(asked.home)
        os.execve(command[0], command, {**os.environ, "PYTHONPATH": ""})  # noqa: S606 - no shell
    return 0


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
