"""PostQ for Django: put `postq.django` into INSTALLED_APPS.

Functions in `tasks.py` of any app become handlers by `@handler()`; `push` and `enqueue` use the
current connection, so commit and rollback decide; `manage.py postq_worker` runs them.
"""

from .queues import DjangoQueue, enqueue, handler, queue

__all__ = ["DjangoQueue", "enqueue", "handler", "queue"]
