"""PostQ in a Django project, on a database that `manage.py migrate` has set up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from postq import Job, sql

from .cluster import Coordinator, clean_environment, eventually

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def project(cluster: Any) -> Iterator[str]:
    """A database of the project's own, made by its own commands; its DSN."""
    name = f"django_{os.getpid()}"
    with psycopg.connect(cluster.database_url, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    dsn = urlunsplit(urlsplit(cluster.database_url)._replace(path=f"/{name}"))
    manage(dsn, "migrate", "--run-syncdb", "--verbosity", "0")
    return dsn


def manage(dsn: str, *arguments: str, **environment: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.manage", *arguments],
        cwd=HERE.parent,
        env={**clean_environment(), "TEST_DSN": dsn, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


def python(dsn: str, code: str, **environment: str) -> str:
    """Runs code inside the project."""
    start = "from django.db import connection, transaction\nfrom tests.shop.models import Order\n"
    return manage(dsn, "shell", "-c", start + code, **environment)


def work(dsn: str, *arguments: str) -> str:
    return manage(dsn, "postq_worker", "--once", *arguments)


def rows(dsn: str, query: str) -> list[Any]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query).fetchall()


def test_what_is_enqueued_in_atomic_is_there_with_the_commit_dq33(project: str) -> None:
    """DQ33: through Django's connection: committed with the order, gone with its rollback."""
    python(
        project,
        "from tests.shop.tasks import send_receipt\n"
        "with transaction.atomic():\n"
        "    order = Order.objects.create(customer='ann')\n"
        "    send_receipt.push(order.pk)\n"
        "try:\n"
        "    with transaction.atomic():\n"
        "        lost = Order.objects.create(customer='bob')\n"
        "        send_receipt.push(lost.pk)\n"
        "        raise KeyError\n"
        "except KeyError:\n"
        "    pass\n",
    )
    assert rows(project, "select state::text from postq.jobs") == [("queued",)]
    work(project)
    assert rows(project, "select customer, receipts from shop_order") == [("ann", 1)]
    results = rows(project, "select result from postq.tasks where state = 'succeeded'")
    assert results == [("receipt for ann",)]


def test_any_job_is_enqueued_on_the_connection(project: str) -> None:
    python(
        project,
        "from postq.django import enqueue\n"
        "enqueue({'name': 'graph', 'tasks': {'a': {'command': 'true'},"
        " 'b': {'depends': ['a'], 'handler': 'send_receipt'}}})\n",
    )
    assert rows(project, "select state::text from postq.jobs where name = 'graph'") == [("queued",)]


@pytest.mark.parametrize("mode", ["at_least_once", "exactly_once"])
def test_a_failing_handler_leaves_what_its_mode_promises(project: str, mode: str) -> None:
    python(
        project,
        "from tests.shop.tasks import fail\n"
        f"fail.push(Order.objects.create(customer='{mode}').pk)\n",
    )
    work(project, "--queue", "mail", "--mode", mode)
    [(receipts,)] = rows(project, f"select receipts from shop_order where customer = '{mode}'")
    # Two attempts: each one's work is undone where it is in one transaction with the ack.
    assert receipts == (0 if mode == "exactly_once" else 2)


def test_exactly_once_runs_inside_atomic(project: str) -> None:
    python(project, "from tests.shop.tasks import in_atomic\nin_atomic.push()\n")
    work(project, "--queue", "default", "--mode", "exactly_once")
    query = "select t.result from postq.tasks t where t.name = 'in_atomic'"
    assert rows(project, query) == [(True,)]


def test_eager_runs_here_and_stores_nothing_dq32(project: str) -> None:
    """DQ32: the eager flag, for tests of an application."""
    before = rows(project, "select count(*) from postq.jobs")
    python(
        project,
        "from tests.shop.tasks import send_receipt\n"
        "order = Order.objects.create(customer='eager')\n"
        "send_receipt.push(order.pk)\n",
        TEST_EAGER="1",
    )
    assert rows(project, "select receipts from shop_order where customer = 'eager'") == [(1,)]
    assert rows(project, "select count(*) from postq.jobs") == before


def test_a_handler_in_a_process_has_djangos_settings_and_models(project: str) -> None:
    python(
        project,
        "from tests.shop.tasks import ship\nship.push(Order.objects.create(customer='apart').pk)\n",
    )
    work(project)
    assert rows(project, "select receipts from shop_order where customer = 'apart'") == [(1,)]
    assert rows(project, "select result from postq.tasks where name = 'ship'") == [(True,)]


def test_the_worker_stays_until_it_is_terminated(project: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.manage", "postq_worker"],
        cwd=HERE.parent,
        env={**clean_environment(), "TEST_DSN": project},
    )
    try:
        python(
            project,
            "from tests.shop.tasks import send_receipt\n"
            "send_receipt.push(Order.objects.create(customer='stay').pk)\n",
        )
        query = "select receipts from shop_order where customer = 'stay'"
        eventually(lambda: rows(project, query) == [(1,)])
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_the_worker_may_be_one_of_a_coordinator(project: str, tmp_path: Path) -> None:
    coordinator = Coordinator(project, tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.manage", "postq_worker", "--coordinator", coordinator.target],
        cwd=HERE.parent,
        env={**clean_environment(), "TEST_DSN": project},
    )
    try:
        python(
            project,
            "from tests.shop.tasks import send_receipt\n"
            "send_receipt.push(Order.objects.create(customer='coordinated').pk)\n",
        )
        query = "select receipts from shop_order where customer = 'coordinated'"
        eventually(lambda: rows(project, query) == [(1,)])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        coordinator.kill()


def test_an_unknown_queue_is_named(project: str) -> None:
    with pytest.raises(AssertionError, match="no handlers for nowhere"):
        work(project, "--queue", "nowhere")


def test_the_admin_shows_cancels_and_redrives(project: str) -> None:
    with psycopg.connect(project, autocommit=True) as connection:
        job_id = sql.submit(connection, Job({"a": "true"}, name="to-cancel"))
        sql.publish(connection, "x", queue="dead", max_retries=1)
        [taken] = sql.consume(connection, 1, "dead")
        sql.nack(connection, taken, "broken for good")
    told = python(
        project,
        "from django.contrib.auth.models import User\n"
        "from django.test import Client\n"
        "user = User.objects.create_superuser('root', 'r@example.org', 'x')\n"
        "client = Client()\n"
        "client.force_login(user)\n"
        "def see(path, **data):\n"
        "    answer = (client.post if data else client.get)(path, data, follow=True)\n"
        "    assert answer.status_code == 200, (path, answer.status_code)\n"
        "    return answer.content.decode()\n"
        "assert 'to-cancel' in see('/admin/postq/job/')\n"
        f"page = see('/admin/postq/job/{job_id}/change/')\n"
        "assert 'to-cancel' in page\n"
        "assert 'broken for good' in see('/admin/postq/deadletter/')\n"
        f"see('/admin/postq/deadletter/{taken.id}/change/')\n"
        "assert client.get('/admin/postq/job/add/').status_code == 403\n"
        f"assert client.get('/admin/postq/job/{job_id}/delete/').status_code == 403\n"
        f"see('/admin/postq/job/', action='cancel', _selected_action='{job_id}')\n"
        f"see('/admin/postq/deadletter/', action='redrive', _selected_action='{taken.id}')\n"
        "print('all seen')\n",
    )
    assert "all seen" in told
    assert rows(project, "select 1 from postq.dead_letters where queue = 'dead'") == []
    states = rows(project, "select state::text from postq.jobs where queue = 'dead' order by 1")
    assert states == [("failed",), ("queued",)]
    with psycopg.connect(project, autocommit=True) as connection:
        connection.execute("select postq.sweep()")
        job = sql.get(connection, job_id)
        assert job is not None
        assert job.state == "cancelled"


def test_djangos_own_tasks_run_on_postq(project: str) -> None:
    """`django.tasks` since 6.0, django-tasks before: enqueue, run, and read the result."""
    told = python(
        project,
        "from tests.shop.tasks import add, attempt, later, broken\n"
        "with transaction.atomic():\n"
        "    results = [add.enqueue(2, b=3), attempt.enqueue('try'), later.enqueue('abc'),"
        " broken.enqueue()]\n"
        "assert [r.status for r in results] == ['READY'] * 4, results\n"
        "assert add.get_result(results[0].id).status == 'READY'\n"
        "try:\n"
        "    with transaction.atomic():\n"
        "        gone = add.enqueue(1, 1)\n"
        "        raise KeyError\n"
        "except KeyError:\n"
        "    pass\n"
        "print(' '.join(r.id for r in results), gone.id)\n",
    )
    *ids, gone = told.strip().splitlines()[-1].split()
    work(project)
    told = python(
        project,
        "from tests.shop.tasks import add, attempt, later, broken\n"
        f"a, b, c, d = [t.get_result(i) for t, i in zip([add, attempt, later, broken], {ids})]\n"
        "assert (a.return_value, a.args, a.kwargs) == (5, [2], {'b': 3}), a\n"
        "assert b.return_value == 'try 1', b\n"
        "assert c.return_value == 'ABC', c\n"
        "assert (d.status, d.attempts) == ('FAILED', 2), d\n"
        "assert d.errors[0].exception_class is ValueError\n"
        "assert 'no luck' in d.errors[0].traceback\n"
        "missing = 0\n"
        f"for lost in ['{gone}', 'no id']:\n"
        "    try:\n"
        "        add.get_result(lost)\n"
        "    except Exception as error:\n"
        "        assert type(error).__name__ == 'TaskResultDoesNotExist', error\n"
        "        missing += 1\n"
        "assert missing == 2\n"
        "try:\n"
        "    add.using(priority=1000)\n"
        "except Exception as error:\n"
        "    print('refused', type(error).__name__)\n",
    )
    assert "refused InvalidTask" in told


def test_a_django_task_runs_after_its_time(project: str) -> None:
    python(
        project,
        "from django.utils import timezone\n"
        "from datetime import timedelta\n"
        "from tests.shop.tasks import later\n"
        "later.using(run_after=timezone.now() + timedelta(days=1)).enqueue('tomorrow')\n",
    )
    query = "select run_at - created_at > %s::interval from postq.tasks t join postq.jobs j"
    hours = timedelta(hours=23)
    found = rows(
        project,
        query.replace("%s", f"'{hours}'")
        + " on j.id = t.job_id where t.state = 'scheduled' and t.spec -> 'arguments' ->> 'args'"
        " like '%tomorrow%'",
    )
    assert found == [(True,)]
