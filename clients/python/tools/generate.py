"""Writes `src/postq/v1` from the contract in `proto/`, or to another directory to compare.

python tools/generate.py [DIRECTORY]
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[3]
PROTOS = ROOT / "proto"
SOURCES = Path(__file__).resolve().parents[1] / "src"


def generate(target: Path) -> None:
    """Generates the stubs below `target`, as the package `postq.v1`."""
    names = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("postq/v1/*.proto"))
    well_known = str(files("grpc_tools") / "_proto")
    arguments = [
        "protoc",
        f"-I{PROTOS}",
        f"-I{well_known}",
        f"--python_out={target}",
        f"--pyi_out={target}",
        f"--grpc_python_out={target}",
        *names,
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc failed")
    init = '"""The generated messages and stubs of the contract, `proto/postq/v1`."""\n'
    (target / "postq" / "v1" / "__init__.py").write_text(init)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCES)
