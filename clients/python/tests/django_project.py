"""Django's settings for tests, with a database that is known only when they run."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings


def set_up(dsn: str) -> None:
    """Once per process."""
    if settings.configured:
        return
    parts = urlsplit(dsn)
    settings.configure(
        SECRET_KEY="tests",
        USE_TZ=True,
        ROOT_URLCONF="tests.django_urls",
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "postq.django",
            "tests.shop",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        TASKS={
            "default": {
                "BACKEND": "postq.django.backend.PostqBackend",
                "QUEUES": [],
                "OPTIONS": {"max_attempts": 2, "backoff": 0},
            }
        },
        POSTQ={"EAGER": os.environ.get("TEST_EAGER") == "1"},
        STATIC_URL="static/",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": parts.path.lstrip("/"),
                "USER": parts.username,
                "HOST": parse_qs(parts.query)["host"][0],
            }
        },
    )
    django.setup()


def connection(dsn: str) -> Any:
    """Django's default connection."""
    set_up(dsn)
    from django.db import connection as default

    return default
