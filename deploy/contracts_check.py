"""Fails when the committed stubs are not what the contracts generate."""

from __future__ import annotations

import filecmp
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STUBS = ROOT / "libs" / "contracts"


def main() -> int:
    protos = ROOT / "protos"
    files = sorted(str(p.relative_to(protos)) for d in ("isthmus", "buf") for p in (protos / d).rglob("*.proto"))
    tools = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"-I{sysconfig.get_path('purelib')}"]
        command += [f"--plugin=protoc-gen-{name}={tools}/protoc-gen-{name}" for name in ("mypy", "mypy_grpc")]
        command += [f"--{name}_out={out}" for name in ("python", "grpc_python")]
        command += [f"--{name}_out=quiet:{out}" for name in ("mypy", "mypy_grpc")]
        subprocess.run([*command, *files], cwd=protos, check=True)
        made = {p.relative_to(out) for p in Path(out).rglob("*") if p.is_file()}
        kept = {p.relative_to(STUBS) for p in STUBS.rglob("*_pb2*") if "build" not in p.parts}
        differing = sorted(str(p) for p in made & kept if not filecmp.cmp(Path(out) / p, STUBS / p, shallow=False))
        differing += sorted(str(p) for p in made ^ kept)
    if differing:
        print(f"Stubs differ from the contracts (run: make protos): {', '.join(differing[:8])}")
    return 1 if differing else 0


if __name__ == "__main__":
    raise SystemExit(main())
