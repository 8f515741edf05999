"""The shop's handlers, found by name of this module."""

from django.db.models import F

from postq.django import handler, queue
from postq.django.tasks_api import HAS_TASKS

mail = queue("mail", max_attempts=2, backoff=0)


@handler()
def send_receipt(order_id: int) -> str:
    from .models import Order

    order = Order.objects.get(pk=order_id)
    Order.objects.filter(pk=order_id).update(receipts=F("receipts") + 1)
    return f"receipt for {order.customer}"


@handler(queue_name="warehouse", mode="process")
def ship(order_id: int) -> bool:
    import multiprocessing

    from .models import Order

    Order.objects.filter(pk=order_id).update(receipts=F("receipts") + 1)
    return multiprocessing.parent_process() is not None


@mail.handler(name="shop.fail")
def fail(order_id: int) -> None:
    from .models import Order

    Order.objects.filter(pk=order_id).update(receipts=F("receipts") + 1)
    raise ValueError("no such address")


@handler()
def in_atomic() -> bool:
    from django.db import connection

    return connection.in_atomic_block


if HAS_TASKS:
    try:
        from django.tasks import task
    except ImportError:
        from django_tasks import task

    @task
    def add(a, b):
        return a + b

    @task(queue_name="mail", takes_context=True, priority=5)
    def attempt(context, text):
        return f"{text} {context.attempt}"

    @task
    async def later(text):
        return text.upper()

    @task
    def broken():
        raise ValueError("no luck")
