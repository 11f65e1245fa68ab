"""Starts a service of ours as `python -m services.X` does, with what the harness puts in its way wrapped around the kit.

Nothing here is a flag of the shipped code: crash points, full disks and planted bugs are patches of this process.
"""

from __future__ import annotations

import runpy
import sys


def main() -> None:
    runpy.run_module(sys.argv[1], run_name="__main__")


if __name__ == "__main__":
    main()
