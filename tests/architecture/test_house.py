"""The rules of the house that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ("libs/contracts/isthmus", "libs/contracts/buf")
FUNCTION_MOST, FILE_MOST = 60, 500
SERVICES = ("master_data", "production", "inventory", "quality", "maintenance", "edge_bridge", "gateway", "operations")
ROLES = (
    "README.md",
    "__main__.py",
    "settings.py",
    "rpc.py",
    "event_handlers.py",
    "use_cases.py",
    "store.py",
    "wire.py",
)


def tracked(*patterns: str) -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    return [ROOT / name for name in names if not name.startswith(GENERATED) and (ROOT / name).exists()]


def parsed() -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text())) for path in tracked("*.py")]


def test_no_test_stands_in_a_class_for_pytest_would_not_run_it() -> None:
    classes = [
        f"{path}: {node.name}"
        for path, tree in parsed()
        if path.is_relative_to(ROOT / "tests")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(getattr(part, "name", "").startswith("test_") for part in node.body)
    ]
    assert classes == []


def test_no_file_and_no_function_is_longer_than_a_reader_likes() -> None:
    for path, tree in parsed():
        assert len(path.read_text().splitlines()) <= FILE_MOST, path
        if "migrations" in path.parts:  # a schema is one list, and never edited again
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                assert size <= FUNCTION_MOST, f"{path}:{node.lineno} {node.name} has {size} lines"


def test_only_the_doors_of_the_kit_catch_everything() -> None:
    for path, tree in parsed():
        if "servicekit" in path.parts and "tests" not in path.parts:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type is not None else "everything"
                assert caught not in ("Exception", "BaseException", "everything") or _raises(node), (
                    f"{path}:{node.lineno}"
                )


def _raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) for node in ast.walk(handler))


def test_no_test_waits_by_sleeping() -> None:
    for path in tracked("tests/**/test_*.py"):
        assert "time." + "sleep(" not in path.read_text(), path


def test_nothing_names_a_registry_or_a_place_on_one_machine() -> None:
    words = [
        "py" + "pi.org",
        "pythonhost" + "ed.org",
        "npm" + "js.",
        "deb.de" + "bian.org",
        "/wo" + "rk/",
        "/ro" + "ot/",
    ]
    for path in tracked():
        if path.suffix in (".png", ".lock") or path.is_dir():
            continue
        text = path.read_text(errors="replace")
        for word in words:
            assert word not in text, f"{path} names {word}"


def test_no_float_counts_anything_in_a_domain() -> None:
    for path in tracked("services/*/domain/*.py"):
        assert "float" not in path.read_text(), path


@pytest.mark.parametrize("service", SERVICES)
def test_the_same_role_has_the_same_file_name(service: str) -> None:
    missing = [role for role in ROLES if not (ROOT / "services" / service / role).exists()]
    allowed = {"master_data": {"event_handlers.py"}, "operations": {"wire.py"}}.get(service, set())
    assert set(missing) <= allowed


ROW = re.compile(
    r"^\| (?P<rule>[^|]+) \| `(?P<reason>[A-Z_]+)` \| `(?P<code>[^`]+)` \| `(?P<test>[^`]+)` \|$", re.MULTILINE
)


@pytest.mark.parametrize("service", SERVICES)
def test_the_rule_index_points_at_code_and_tests_that_are_there(service: str) -> None:
    rows = list(ROW.finditer((ROOT / "services" / service / "README.md").read_text()))
    assert rows or service == "operations"
    for row in rows:
        name, _, symbol = row["code"].partition(": ")
        code = (ROOT / "services" / service / name).read_text()
        assert symbol in code, row["code"]
        assert row["reason"] in "\n".join(p.read_text() for p in (ROOT / "services" / service).rglob("*.py")), row[
            "reason"
        ]
        test = ROOT / "tests" / row["test"]
        assert test.exists(), row["test"]


def test_links_of_every_readme_lead_somewhere() -> None:
    for path in tracked("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path}: {target}"


def test_the_import_rules_hold() -> None:
    done = subprocess.run(
        [".venv/bin/lint-imports", "--no-cache"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:]


def test_a_deliberate_violation_turns_the_import_rules_red(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    names = [
        p.relative_to(ROOT)
        for p in tracked("services/**", "libs/servicekit/**", "libs/simulators/**", "pyproject.toml")
    ]
    names += [p.relative_to(ROOT) for p in tracked("deploy/**/*.py", "tests/**/*.py")]
    for name in names:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    domain = copy / "services/production/domain/plant.py"
    domain.write_text("import sqlalchemy\n" + domain.read_text())
    environment = {"PYTHONPATH": f"{copy}:{copy / 'libs'}:{ROOT / 'libs/contracts'}", "PATH": "/usr/bin:/bin"}
    command = [str(ROOT / ".venv/bin/lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=copy, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode != 0
    assert "a domain knows nothing but itself BROKEN" in done.stdout
