"""What the documents show is run: each section in a directory of its own, block by block.

Images are replaced by one that is made of this machine's busybox, because nothing is pulled here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from .cluster import PROGRAMS, ROOT, Cluster, clean_environment

PYTHON = ROOT / "clients" / "python"
IMAGE = "postq-demo-busybox"
_FENCE = re.compile(r"^```(\w+)?(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Section:
    """The blocks below one heading, in order."""

    title: str
    files: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)


def read(text: str, title: str) -> Section:
    section = Section(title)
    for kind, name, body in _FENCE.findall(text):
        if kind == "python" and name:
            section.files[name] = body.replace("debian:bookworm-slim", IMAGE)
        elif kind == "sh":
            section.commands.append(body)
        elif kind == "text":
            section.expected += body.splitlines()
    return section


def sections() -> list[Section]:
    quickstarts = (PYTHON / "QUICKSTARTS.md").read_text()
    parts = re.split(r"^## ", quickstarts, flags=re.MULTILINE)[1:]
    return [read((PYTHON / "README.md").read_text(), "README")] + [
        read(part, part.splitlines()[0]) for part in parts
    ]


@pytest.fixture(scope="session")
def image() -> str:
    subprocess.run([ROOT / "scripts" / "demo-image.sh"], check=True)
    return IMAGE


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.title)
def test_what_is_shown_works(
    section: Section, cluster: Cluster, image: str, tmp_path: Path
) -> None:
    for name, text in section.files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    script = tmp_path / "run.sh"
    stop = "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n"
    script.write_text("set -eu\n" + stop + "".join(section.commands))
    programs = f"{Path(sys.executable).parent}:{PROGRAMS}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", str(script)],
        cwd=tmp_path,
        env={
            **clean_environment(),
            "PATH": programs,
            "POSTQ_COORDINATOR": f"http://{cluster.target}",
            "DATABASE_URL": cluster.database_url,
            "PGHOST": parse_qs(urlsplit(cluster.database_url).query)["host"][0],
        },
        stdout=subprocess.PIPE,
        stderr=(tmp_path / "errors").open("w"),
        text=True,
        timeout=100,
        check=False,
    )
    errors = (tmp_path / "errors").read_text()
    assert ran.returncode == 0, f"{ran.stdout}\n{errors}"
    told = iter(ran.stdout.splitlines())
    missing = [line for line in section.expected if line not in told]
    assert not missing, f"{missing} not in this order in:\n{ran.stdout}\n{errors}"


def test_five_quickstarts_are_there() -> None:
    assert len(sections()) == 6
    assert all(section.files and section.expected for section in sections())
