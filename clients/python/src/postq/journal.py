"""What workers and consumers log of each attempt, for people and, as JSON lines, for machines."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone

from .context import Context
from .outcome import Outcome, Verdict

_log = logging.getLogger("postq.task")


def note_start(context: Context) -> None:
    """An attempt begins."""
    if _log.isEnabledFor(logging.INFO):
        _log.info("%s started", context.handler, extra={"postq": _facts(context)})


def note_end(context: Context, verdict: Verdict, seconds: float) -> None:
    """An attempt has ended: a failure at the level of errors, with its traceback."""
    is_failure = verdict.outcome in (Outcome.FAILED, Outcome.TIMED_OUT) and not verdict.is_again
    level = logging.ERROR if is_failure else logging.INFO
    if not _log.isEnabledFor(level):
        return
    facts = _facts(context) | {"outcome": verdict.outcome.value, "seconds": round(seconds, 6)}
    if verdict.outcome is Outcome.SUCCEEDED:
        facts["result"] = json.loads(verdict.result) if verdict.result else None
    if verdict.reason:
        facts["reason"] = verdict.reason
    text = f"{context.handler} {verdict.outcome.value} in {seconds:.3f} s"
    details = f": {verdict.reason}" if verdict.reason else ""
    traceback = f"\n{verdict.errors}" if verdict.errors else ""
    _log.log(level, "%s", f"{text}{details}{traceback}", extra={"postq": facts})


def _facts(context: Context) -> dict[str, object]:
    return {
        "job": context.job_id,
        "task": context.task,
        "handler": context.handler,
        "queue": context.queue,
        "attempt": context.attempt,
        "attempt_number": context.attempt_number,
    }


class JsonFormatter(logging.Formatter):
    """A line of JSON per record, with what is known of the attempt as fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, object] = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "postq", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
