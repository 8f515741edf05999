"""Admin pages: jobs, to look at and to cancel; dead letters, to look at and to try once more."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import connections
from django.http import HttpRequest

from .. import sql
from ..errors import PostqError
from .conf import setting
from .models import DeadLetter, Job


class _ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Nothing is added, changed or deleted by hand; actions need the right to change."""

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Jobs are enqueued by code."""
        return False

    def has_delete_permission(self, request: HttpRequest, *_: Any) -> bool:
        """History stays."""
        return False

    def get_readonly_fields(self, request: HttpRequest, *_: Any) -> list[str]:
        """All."""
        return [field.name for field in self.model._meta.fields]


@admin.register(Job)
class JobAdmin(_ReadOnly):
    """Jobs."""

    list_display = ("id", "name", "queue", "state", "created_at", "finished_at", "reason")
    list_filter = ("state", "queue")
    search_fields = ("=id", "name")
    actions = ("cancel",)
    show_full_result_count = False

    @admin.action(description="Cancel", permissions=["change"])
    def cancel(self, request: HttpRequest, chosen: Any) -> None:
        """Ends what has not started, and asks the rest to stop."""
        for job in chosen:
            sql.cancel(connections[setting("DATABASE")], str(job.id), f"by {request.user}")
        self.message_user(request, f"{len(chosen)} jobs are being cancelled")


@admin.register(DeadLetter)
class DeadLetterAdmin(_ReadOnly):
    """Dead letters."""

    list_display = ("id", "task", "queue", "attempts", "died_at", "reason")
    list_filter = ("queue", "task")
    search_fields = ("=id", "task")
    actions = ("redrive",)
    show_full_result_count = False

    @admin.action(description="Try once more", permissions=["change"])
    def redrive(self, request: HttpRequest, chosen: Any) -> None:
        """Each as a new job."""
        from django.db import transaction

        done = 0
        for letter in chosen:
            try:
                with transaction.atomic(using=setting("DATABASE")):
                    sql.redrive(connections[setting("DATABASE")], str(letter.id))
                done += 1
            except PostqError as error:
                self.message_user(request, f"{letter.id}: {error}", messages.ERROR)
        self.message_user(request, f"{done} dead letters are tried once more")
