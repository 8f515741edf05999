-- What jobs have to do with each other: keys that one of them holds, jobs that wait for jobs, and
-- those whose way is told.

-- A key is held by a job until that has ended or, with a period, until the period is over; the
-- holder's own state says so, and nothing has to be released. `scope` is a queue, or empty for all.
create table postq.unique_key (
    scope text,
    key text,
    job uuid not null,
    held_until timestamptz,
    primary key (scope, key)
) with (fillfactor = 80);

-- A job that waits for jobs, until it is decided what becomes of it: how those that ended did, and
-- from when on its first tasks may run.
create table postq.job_wait (
    job uuid primary key,
    run_if postq.run_if not null,
    run_at timestamptz,
    failed int not null default 0,
    unsuccessful int not null default 0,
    -- The first that was not as wanted.
    culprit text
) with (fillfactor = 80);

-- The jobs it still waits for.
create table postq.job_after (
    parent uuid,
    child uuid,
    primary key (parent, child)
);
create index job_after_by_child on postq.job_after (child, parent);

-- after: a job that waits for jobs is to look at them.
alter table postq.inbox
    drop constraint inbox_kind_check,
    drop constraint inbox_check,
    add constraint inbox_kind_check check (kind in ('cancel', 'settle', 'note', 'after')),
    add constraint inbox_check check ((kind in ('cancel', 'after')) = (n is null));

-- Which jobs are to be told of, among all others.
create index job_spec_by_notify on postq.job_spec (job) where notify;

drop function if exists postq.publish(text, jsonb, timestamptz, interval, int, int, text, jsonb, interval,
    double precision, interval, uuid);
drop function if exists postq.consume(int, text, text[], interval, text);
drop function if exists postq.consume_dead(int, text, text[], interval);
