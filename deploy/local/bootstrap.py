"""Makes the virtual environment from the hash-pinned locks; standard library only, for nothing is installed yet."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
OLDEST = (3, 11)
DISK_LEAST = 2 * 1024**3
SCRIPT = """#!{python}
from deploy.local.cli import main

main()
"""


def say(text: str) -> None:
    sys.stderr.write(f"[setup] {text}\n")


def stop(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    raise SystemExit(1)


def main(lock_name: str) -> None:
    """Install `requirements/<lock_name>.lock`; nothing is done when it is installed already."""
    lock = ROOT / "requirements" / f"{lock_name}.lock"
    stamp = VENV / f".{lock_name}.installed"
    wanted = hashlib.sha256(lock.read_bytes() + Path(__file__).read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    check_machine()
    python = VENV / "bin" / "python"
    if not python.exists():
        import venv

        say("making the virtual environment")
        venv.EnvBuilder(with_pip=True).create(VENV)
    if not (VENV / "bin" / "uv").exists():
        say("installing the installer")
        run(str(python), "-m", "pip", "install", "-q", "--require-hashes", "-r", "requirements/install.lock")
    say(f"installing {sum('==' in line for line in lock.read_text().splitlines())} packages of {lock.name}")
    # Compiled once: else each of 17 processes compiles what it imports, at every start where no bytecode may be written.
    flags = ("-q", "--compile-bytecode", "--require-hashes")
    run(str(VENV / "bin" / "uv"), "pip", "install", *flags, "-p", str(python), "-r", str(lock))
    put_on_path(python)
    stamp.write_text(wanted)
    say("ready")


def check_machine() -> None:
    if sys.version_info < OLDEST:
        stop(
            f"Isthmus needs Python 3.11 or newer; this is {sys.version.split()[0]}: install it, or name it by make PYTHON=..."
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        stop("Python's venv module is missing or incomplete here; on Debian or Ubuntu: apt-get install python3-venv")
    free = shutil.disk_usage(ROOT).free
    if free < DISK_LEAST:
        stop(f"Isthmus needs 2 GiB of free disk in {ROOT}; there are {free // 1024**2} MiB.")


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        stop(f"Set-up failed at: {' '.join(command)}\n{(done.stderr or done.stdout).strip()[-2000:]}")


def put_on_path(python: Path) -> None:
    site = Path(
        subprocess.run(
            [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    )
    roots = [ROOT, ROOT / "libs", ROOT / "libs" / "contracts"]
    (site / "isthmus_suite.pth").write_text("".join(f"{root}\n" for root in roots))
    script = VENV / "bin" / "isthmus"
    script.write_text(SCRIPT.format(python=python))
    script.chmod(0o755)


if __name__ == "__main__":
    main(sys.argv[1])
