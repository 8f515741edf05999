"""The generated code is what the contract says."""

from __future__ import annotations

import runpy
from pathlib import Path

PYTHON = Path(__file__).resolve().parents[1]


def test_committed_stubs_are_those_of_the_contract(tmp_path: Path) -> None:
    generate = runpy.run_path(str(PYTHON / "tools" / "generate.py"))["generate"]
    generate(tmp_path)
    made = {p.name: p.read_text() for p in (tmp_path / "postq" / "v1").iterdir()}
    kept = {p.name: p.read_text() for p in (PYTHON / "src/postq/v1").iterdir() if p.is_file()}
    stale = sorted(name for name in made.keys() | kept.keys() if made.get(name) != kept.get(name))
    assert not stale, f"run scripts/python.sh stubs: {stale}"


def test_types_are_shipped_jq44() -> None:
    """JQ44: py.typed is there; that mypy --strict passes is `scripts/python.sh check`."""
    assert (PYTHON / "src/postq/py.typed").exists()
