-- Jobs that run out of time, and schedules: what makes jobs by itself.

-- Why a job fails, whatever its tasks do: it did not start, or did not end, in time.
alter table postq.job add overdue text check (overdue in ('expired', 'timed out'));
create index deadline_by_job on postq.deadline (job);

-- What makes a job again and again. A row is small, changes rarely, and is nobody's hot path.
create table postq.schedule (
    name text primary key,
    id uuid not null,
    -- One of them.
    cron text,
    every_ms bigint check (every_ms > 0),
    -- An IANA name; what a cron expression means.
    time_zone text not null,
    -- What becomes of a firing while the job of the one before has not ended.
    overlap text not null check (overlap in ('allow', 'skip', 'queue')),
    -- Which firings are made up for that nobody was there to make.
    catch_up text not null check (catch_up in ('none', 'last', 'all')),
    -- How many at most.
    catch_up_limit int not null check (catch_up_limit between 1 and 1000),
    -- A JobSpec.
    job jsonb not null,
    is_paused boolean not null default false,
    -- Times are counted from here: the first one lies behind it.
    since timestamptz not null,
    -- Null until a coordinator has looked at it, and where there is none any more.
    next_at timestamptz,
    -- Times that have come and wait for the job before to end; oldest first.
    waiting timestamptz[] not null default '{}',
    last_at timestamptz,
    last_job uuid,
    fired bigint not null default 0,
    skipped bigint not null default 0,
    -- Why it does not fire.
    error text,
    -- Rises with every change: the fence of whoever fires it.
    version bigint not null default 1,
    created_at timestamptz not null,
    check ((cron is null) <> (every_ms is null))
);
create index schedule_by_next on postq.schedule (next_at) where not is_paused;
