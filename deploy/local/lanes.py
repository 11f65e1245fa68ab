"""The test lanes, one after another, with one closing line. `--all` takes in what is marked as long.

A lane that can't run fails the run, unless ALLOW_SKIP names it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LANES = {
    "unit": "not connected and not flow",
    "connected": "connected",
    "flow": "flow",
}
NO_TESTS = 5  # pytest's exit code


def marker_of(lane: str, *, everything: bool) -> str:
    """What pytest selects by."""
    return LANES[lane] if everything else f"({LANES[lane]}) and not long"


def main(arguments: list[str]) -> int:
    """Run each lane with its marker; 0 only if all passed."""
    paths = [argument for argument in arguments if not argument.startswith("--")]
    allowed = set(filter(None, os.environ.get("ALLOW_SKIP", "").split(",")))
    passed = failed = skipped = 0
    for lane in LANES:
        if lane in allowed:
            print(f"== {lane}: left out by ALLOW_SKIP", flush=True)
            continue
        begun = time.monotonic()
        print(f"== {lane}", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "-m", marker_of(lane, everything="--all" in arguments), *paths]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        summary = ""
        for line in process.stdout:
            print(line, end="", flush=True)
            summary = line if re.search(r"\d+ (passed|failed|error|skipped)", line) else summary
        code = process.wait()
        counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|errors?|skipped)", summary)}
        passed += counts.get("passed", 0)
        skipped += counts.get("skipped", 0)
        failed += counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)
        print(f"== {lane}: {time.monotonic() - begun:.0f} s", flush=True)
        if code not in (0, NO_TESTS) or (code == NO_TESTS and not paths):
            failed = max(failed, 1)
    if skipped and not allowed:
        print(f"{skipped} tests were skipped and ALLOW_SKIP names no lane: that is a failure", flush=True)
        failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
