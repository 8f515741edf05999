"""The queues that are measured, each in a database of its own: how jobs that do nothing get in, how
a worker runs them, and how many are left."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

import psycopg

QUEUE = "bench"


class Contender(ABC):
    """One queue. `dsn` is its database, `coordinator` PostQ's."""

    left: str
    """A query for how many jobs have not ended."""

    def __init__(self, dsn: str, coordinator: str) -> None:
        self.dsn = dsn
        self.coordinator = coordinator

    @abstractmethod
    def prepare(self) -> None:
        """Its tables."""

    @abstractmethod
    def fill(self, jobs: int) -> None:
        """Puts in so many jobs, before the clock runs."""

    @abstractmethod
    async def work(self, concurrency: int) -> None:
        """A worker, until its process is told to stop."""


class PostqSql(Contender):
    """PostQ's SQL consumer: no coordinator has a part in it."""

    # Jobs that have ended stay: to look for the others among them takes longer with each round.
    left = "select (select count(*) from postq.ready) + (select count(*) from postq.open_attempt)"

    def prepare(self) -> None:
        from postq.sql.migrate import migrate

        migrate(self.dsn)

    def fill(self, jobs: int) -> None:
        from postq import sql

        with psycopg.connect(self.dsn, autocommit=True) as connection:
            for start in range(0, jobs, 1000):
                batch = [{}] * min(1000, jobs - start)
                sql.publish_many(connection, "nothing", batch, queue=QUEUE)

    async def work(self, concurrency: int) -> None:
        from postq.sql import Consumer, SqlQueue

        queue = SqlQueue(QUEUE, self.dsn)
        queue.handler(nothing)
        # As many more held ready, as PgQueuer has them.
        await Consumer(queue, concurrency=concurrency, prefetch=concurrency).run()


class PostqGrpc(PostqSql):
    """PostQ's worker at a coordinator, whose database this is."""

    def prepare(self) -> None:
        """The coordinator has done it."""

    async def work(self, concurrency: int) -> None:
        from postq import Queue
        from postq.worker import Worker

        queue = Queue(QUEUE)
        queue.handler(nothing)
        await Worker(
            queue,
            target=self.coordinator,
            concurrency=concurrency,
            prefetch=concurrency,
        ).run()


class Procrastinate(Contender):
    """Procrastinate's worker, over psycopg."""

    left = "select count(*) from procrastinate_jobs where status in ('todo', 'doing')"

    def prepare(self) -> None:
        app, _ = self._app()

        async def apply() -> None:
            async with app.open_async():
                await app.schema_manager.apply_schema_async()

        asyncio.run(apply())

    def fill(self, jobs: int) -> None:
        app, task = self._app()

        async def defer() -> None:
            async with app.open_async():
                for start in range(0, jobs, 1000):
                    await task.batch_defer_async(*[{}] * min(1000, jobs - start))

        asyncio.run(defer())

    async def work(self, concurrency: int) -> None:
        app, _ = self._app()
        async with app.open_async():
            await app.run_worker_async(concurrency=concurrency, queues=[QUEUE])

    def _app(self):
        import procrastinate

        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=self.dsn))
        return app, app.task(queue=QUEUE, name="nothing")(nothing)


class PgQueuer(Contender):
    """PgQueuer's, over asyncpg."""

    left = "select count(*) from pgqueuer"

    def prepare(self) -> None:
        asyncio.run(self._with_queries(lambda queries: queries.install()))

    def fill(self, jobs: int) -> None:
        async def enqueue(queries) -> None:
            for start in range(0, jobs, 1000):
                count = min(1000, jobs - start)
                await queries.enqueue(["nothing"] * count, [None] * count, [0] * count)

        asyncio.run(self._with_queries(enqueue))

    async def work(self, concurrency: int) -> None:
        import asyncpg
        from pgqueuer import PgQueuer as Application
        from pgqueuer.db import AsyncpgDriver

        connection = await asyncpg.connect(self.dsn)
        application = Application(AsyncpgDriver(connection))

        @application.entrypoint("nothing")
        async def entry(_job) -> None:
            await nothing()

        # It wants to have room for two batches.
        await application.run(batch_size=concurrency, max_concurrent_tasks=2 * concurrency)

    async def _with_queries(self, do) -> None:
        import asyncpg
        from pgqueuer.db import AsyncpgDriver
        from pgqueuer.queries import Queries

        connection = await asyncpg.connect(self.dsn)
        try:
            await do(Queries(AsyncpgDriver(connection)))
        finally:
            await connection.close()


async def nothing() -> None:
    """The handler of all of them."""


CONTENDERS: dict[str, type[Contender]] = {
    "postq-grpc": PostqGrpc,
    "postq-sql": PostqSql,
    "procrastinate": Procrastinate,
    "pgqueuer": PgQueuer,
}
