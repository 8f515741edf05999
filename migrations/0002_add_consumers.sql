-- Consumers that speak only SQL: their attempts have a lease instead of an agent, and what used up
-- its attempts stays behind as a dead letter.

-- A type of this name would take every call postq.job_state('...') for a cast.
alter type postq.job_state rename to state_of_job;

-- What becomes of a failed attempt: backoff_ms * factor^(n-1) + increment_ms * (n-1) before the
-- n-th retry, at most max_backoff_ms, less a random part of up to jitter.
alter table postq.task_spec
    add factor double precision not null default 2 check (factor between 1 and 100),
    add increment_ms bigint not null default 0 check (increment_ms >= 0),
    add jitter double precision not null default 0.5 check (jitter between 0 and 1);
drop function if exists postq.backoff_ms(bigint, bigint, int, double precision);
drop function if exists postq.hint_ready(jsonb);
drop function if exists postq.apply_cancel(uuid, text);

-- Which ended job this one repeats.
alter table postq.job_spec add retry_of uuid;

-- Since when a task can be claimed: what consumers order different lanes by.
alter table postq.ready add since timestamptz not null default statement_timestamp();

-- Where a consumer finds what has fallen due in the lanes of its queue.
alter table postq.scheduled add lane bigint;
update postq.scheduled s set lane = t.lane from postq.task t where t.job = s.job and t.n = s.n;
alter table postq.scheduled alter lane set not null;
create index scheduled_by_lane on postq.scheduled (lane, run_at);

-- An attempt is an agent's, fenced by its session, or a consumer's, until its lease ends.
alter table postq.open_attempt
    alter agent drop not null,
    alter session drop not null,
    add lane bigint,
    add lease_until timestamptz,
    -- Not to be tried again, however it ends: delivered at most once.
    add is_final boolean not null default false,
    add check ((agent is null) = (session is null)),
    add check ((agent is null) = (lease_until is not null)),
    add check ((lane is null) = (lease_until is null));
create index open_attempt_by_lease on postq.open_attempt (lane, lease_until) where lane is not null;

-- Below these times nothing is alive or can still appear, as with the floor.
alter table postq.lane
    add due_floor timestamptz not null default '-infinity',
    add lease_floor timestamptz not null default '-infinity',
    add time_candidate timestamptz;

-- What a consumer said of its work; for language workers too.
alter table postq.attempt add result jsonb;

-- settle: a task ended in its consumer's transaction, and the job does not know it yet. note: it
-- changed without an end.
alter table postq.inbox
    drop constraint inbox_kind_check,
    add n int,
    add check (kind in ('cancel', 'settle', 'note')),
    add check ((kind = 'cancel') = (n is null));

-- Tasks that failed for good: kept to be looked at, consumed or tried once more.
create table postq.dead_letter (
    job uuid,
    n int,
    queue text not null,
    -- What consumers choose by: the handler, or the task's name where it has none.
    task text not null,
    reason text,
    attempts int not null,
    died_at timestamptz not null,
    -- Who consumes it, and until when; or not before when it is offered again.
    attempt bigint,
    lease_until timestamptz,
    primary key (job, n),
    check (attempt is null or lease_until is not null)
) with (fillfactor = 80);
create index dead_letter_by_queue on postq.dead_letter (queue, died_at, job, n);

-- Consumers that wait to be told of work in a queue, each on a channel of its own.
create table postq.sleeper (
    id bigint generated always as identity primary key,
    queue text not null,
    backend int not null,
    -- Another process may have the number by now. Null where the owner may not know.
    backend_start timestamptz,
    since timestamptz not null
);
create index sleeper_by_queue on postq.sleeper (queue, since);

-- One job of publish_bulk; what is null takes the default of publish.
create type postq.bulk_job as (
    task text,
    arguments jsonb,
    scheduled_at timestamptz,
    timeout interval,
    priority int,
    max_retries int,
    queue text,
    attributes jsonb
);
