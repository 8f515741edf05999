"""Ids of jobs, minted by the submitter so that a submit may be sent twice."""

from __future__ import annotations

import hashlib
import os
import time
from uuid import UUID


def new_id() -> str:
    """A UUIDv7: 48 bits of time in milliseconds, then randomness."""
    return _made(time.time_ns() // 1_000_000, os.urandom(10))


def id_after(job_id: str) -> str:
    """The id of the job that follows another one: always the same, so that it follows once."""
    before = UUID(job_id).int
    return _made((before >> 80) + 1, hashlib.sha256(job_id.encode()).digest()[:10])


def _made(millis: int, chance: bytes) -> str:
    random = int.from_bytes(chance, "big")
    value = (millis & (1 << 48) - 1) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=value))
