-- The state of every job, task and attempt.
--
-- Narrow rows that change (job, task, gate) stand apart from wide rows that do not (job_spec,
-- task_spec), and what can be claimed now (ready) apart from both. No column that changes is
-- indexed, so that updates stay on their page; there are no foreign keys, because every write goes
-- through the functions of this schema.

create type postq.job_state as enum
    ('scheduled', 'queued', 'running', 'succeeded', 'failed', 'cancelled');
create type postq.task_state as enum
    ('blocked', 'scheduled', 'parked', 'ready', 'running', 'succeeded', 'failed', 'cancelled', 'skipped');
create type postq.outcome as enum
    ('succeeded', 'failed', 'timed_out', 'cancelled', 'lost', 'released');
create type postq.run_if as enum ('succeeded', 'failed', 'finished');
create type postq.executor as enum ('shell', 'docker', 'handler');

create sequence postq.attempt_id;
create sequence postq.session_id;
create sequence postq.lane_id;
-- The order of what became ready. Cache 1 and taken only after the transaction has an id: the
-- floors of the lanes are judged by that (see sweep_lanes).
create sequence postq.ready_seq cache 1;
create sequence postq.submission_seq cache 1;
create sequence postq.inbox_seq cache 1;

create table postq.job (
    id uuid primary key,
    queue text not null,
    priority int not null check (priority between -1000 and 1000),
    state postq.job_state not null,
    reason text,
    created_at timestamptz not null,
    started_at timestamptz,
    cancel_requested_at timestamptz,
    finished_at timestamptz,
    check ((state in ('succeeded', 'failed', 'cancelled')) = (finished_at is not null))
) with (fillfactor = 70);
create index job_by_queue on postq.job (queue, id);

-- What a job is made of and never changes.
create table postq.job_spec (
    job uuid primary key,
    name text not null,
    task_count int not null check (task_count > 0),
    -- The submitted document without its tasks.
    spec jsonb not null,
    attributes jsonb not null,
    -- Of the whole document: the same id with the same digest is the same job.
    digest bytea not null,
    traceparent text
);
create index job_spec_by_attributes on postq.job_spec using gin (attributes jsonb_path_ops);

-- How far a job has come: a ledger whose newest row counts. One row updated for ever would drag a
-- chain of dead versions behind it whenever somebody holds back the horizon.
create table postq.job_progress (
    job uuid,
    revision bigint,
    open int not null check (open >= 0),
    failed int not null check (failed >= 0),
    cancelled int not null check (cancelled >= 0),
    primary key (job, revision)
);

create table postq.task (
    job uuid,
    n int,
    state postq.task_state not null,
    -- The gate it waits at; a task without dependencies has none.
    gate int,
    lane bigint not null,
    -- Its row in ready, while it is ready.
    seq bigint,
    -- Its row in scheduled, while it waits for its time.
    run_at timestamptz,
    -- The current or the last execution.
    attempt bigint,
    attempts int not null default 0 check (attempts >= 0),
    crashes int not null default 0 check (crashes >= 0),
    -- The job's revision at its last change.
    revision bigint not null,
    reason text,
    started_at timestamptz,
    finished_at timestamptz,
    primary key (job, n),
    check ((state in ('succeeded', 'failed', 'cancelled', 'skipped')) = (finished_at is not null)),
    check ((state = 'ready') = (seq is not null)),
    check ((state = 'scheduled') = (run_at is not null)),
    check (state <> 'running' or attempt is not null)
) with (fillfactor = 65);

create table postq.task_spec (
    job uuid,
    n int,
    name text not null,
    run_if postq.run_if not null,
    -- -1 is unlimited.
    max_attempts int not null check (max_attempts = -1 or max_attempts > 0),
    crash_limit int not null check (crash_limit > 0),
    backoff_ms bigint not null check (backoff_ms >= 0),
    max_backoff_ms bigint not null check (max_backoff_ms >= 0),
    -- As written.
    depends int[] not null,
    -- After the transitive reduction.
    parents int[] not null,
    has_workspace boolean not null,
    spec jsonb not null,
    primary key (job, n),
    unique (job, name)
);

-- One distinct set of dependencies inside a job. The tasks that wait for it are first_n to last_n.
create table postq.gate (
    job uuid,
    g int,
    first_n int not null,
    last_n int not null,
    open int not null check (open >= 0),
    failed int not null default 0,
    unsuccessful int not null default 0,
    primary key (job, g),
    check (first_n <= last_n)
) with (fillfactor = 60);

create table postq.gate_parent (
    job uuid,
    parent int,
    g int,
    primary key (job, parent, g)
);

-- Gates whose parents have ended and whose dependants are released in pages.
create table postq.opening (
    job uuid,
    g int,
    from_n int not null,
    prefer uuid,
    primary key (job, g)
);

-- Ready tasks that are interchangeable for claiming. Twins are harmless: nobody waits for another
-- transaction to learn a lane's id.
create table postq.lane (
    id bigint primary key default nextval('postq.lane_id'),
    queue text not null,
    priority int not null,
    executor postq.executor not null,
    handler text,
    -- Nothing at or below it is alive or can still appear.
    floor bigint not null default 0,
    floor_candidate bigint,
    -- The candidate holds once no transaction older than this is left.
    floor_horizon xid8,
    check ((executor = 'handler') = (handler is not null))
) with (fillfactor = 50);
create index lane_by_kind on postq.lane (queue, priority, executor, handler);

create table postq.ready (
    lane bigint,
    seq bigint,
    job uuid not null,
    n int not null,
    -- The agent that finished the last parent.
    prefer uuid,
    primary key (lane, seq)
);

create table postq.scheduled (
    run_at timestamptz,
    job uuid,
    n int,
    primary key (run_at, job, n)
);

-- The executions under way: at most one per task, by its key.
create table postq.open_attempt (
    job uuid,
    n int,
    attempt bigint not null,
    agent uuid not null,
    session bigint not null,
    started_at timestamptz not null,
    cancel_requested_at timestamptz,
    primary key (job, n)
) with (fillfactor = 70);
create index open_attempt_by_agent on postq.open_attempt (agent);

-- The executions that have ended: written once.
create table postq.attempt (
    id bigint primary key,
    job uuid not null,
    n int not null,
    agent uuid,
    session bigint,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    outcome postq.outcome not null,
    exit_code int,
    signal int,
    reason text,
    -- The last 64 KiB of each stream; bytes, because text holds no NUL.
    results bytea,
    errors bytea,
    ran_ms bigint,
    log_chunks bigint
);
create index attempt_by_task on postq.attempt (job, n, id);

-- The files a task left: three roots (content, provenance, times).
create table postq.snapshot (
    job uuid,
    n int,
    content bytea not null,
    provenance bytea not null,
    times bytea not null,
    primary key (job, n)
);

-- Output as it was written. Large chunks are blobs.
create table postq.log_chunk (
    attempt bigint,
    number bigint,
    stream smallint not null,
    data bytea not null,
    primary key (attempt, number)
);

-- Jobs that wait to be planned.
create table postq.submission (
    seq bigint primary key default nextval('postq.submission_seq'),
    job uuid not null,
    document jsonb not null
);

-- What users' transactions ask for, applied after they have committed.
create table postq.inbox (
    seq bigint primary key default nextval('postq.inbox_seq'),
    job uuid not null,
    kind text not null check (kind in ('cancel')),
    reason text
);

create table postq.agent (
    id uuid primary key,
    boot uuid not null,
    session bigint not null,
    -- The first session of this boot: what is open under an older one died with the process before.
    boot_session bigint not null,
    -- The coordinator it is connected to; null once it has left.
    coordinator uuid,
    name text not null,
    host text not null,
    version text not null,
    -- 0: it is about to leave and takes nothing new.
    slots int not null check (slots >= 0),
    executors text[] not null,
    handlers text[] not null,
    labels jsonb not null,
    connected_at timestamptz not null,
    left_at timestamptz,
    check ((coordinator is null) = (left_at is not null))
);
create unique index agent_by_session on postq.agent (session);

create table postq.coordinator (
    id uuid primary key,
    host text not null,
    version text not null,
    -- Rises as long as it lives; others watch it change.
    beat bigint not null,
    -- It waits for a notification instead of looking.
    is_sleeping boolean not null,
    started_at timestamptz not null
) with (fillfactor = 20);

-- Facts about this database: the id of its blob store.
create table postq.fact (
    key text primary key,
    value text not null
);
