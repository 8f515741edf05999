"""Jobs and dead letters as Django's models over PostQ's views: to be read, not written."""

from __future__ import annotations

from typing import Any

from django.db import models


class _Read(models.Manager[Any]):
    """Of the database that holds the queue."""

    def get_queryset(self) -> models.QuerySet[Any]:
        """All of them."""
        from .conf import setting

        rows: models.QuerySet[Any] = super().get_queryset().using(setting("DATABASE"))
        return rows


class Job(models.Model):
    """A row of `postq.jobs`."""

    id = models.UUIDField(primary_key=True)
    name = models.TextField()
    queue = models.TextField()
    state = models.TextField()
    reason = models.TextField(null=True)
    priority = models.IntegerField()
    attributes = models.JSONField()
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    task_count = models.IntegerField()
    open_tasks = models.IntegerField()

    objects = _Read()

    class Meta:
        """A view."""

        managed = False
        db_table = 'postq"."jobs'
        ordering = ("-created_at",)
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return f"{self.name or 'job'} {self.id}"


class DeadLetter(models.Model):
    """A row of `postq.dead_letters`."""

    id = models.UUIDField(primary_key=True)
    queue = models.TextField()
    task = models.TextField()
    arguments = models.JSONField(null=True)
    attributes = models.JSONField()
    reason = models.TextField(null=True)
    attempts = models.IntegerField()
    died_at = models.DateTimeField()
    history = models.JSONField(null=True)

    objects = _Read()

    class Meta:
        """A view."""

        managed = False
        db_table = 'postq"."dead_letters'
        ordering = ("-died_at",)
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return f"{self.task} {self.id}"
