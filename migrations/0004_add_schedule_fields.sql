-- What a job and its tasks may say about when they run, how often, and beside what.

alter table postq.job_spec
    -- Longest run of the whole job, from its first start.
    add timeout_ms bigint check (timeout_ms > 0),
    -- Its end is told on the channel postq_completed.
    add notify boolean not null default false;

alter table postq.task_spec
    -- Started at most once: never tried again where it may have started.
    add at_most_once boolean not null default false,
    -- The pauses between its attempts, the last for ever, instead of computed ones.
    add delays_ms bigint[],
    -- What is tried again; null: every outcome, every exit code.
    add retry_outcomes postq.outcome[],
    add retry_exit_codes int[],
    -- At most so many with the same key run at a time.
    add concurrency_key text,
    add concurrency_limit int check (concurrency_limit > 0),
    -- At most so many with the same key start within a period.
    add rate_key text,
    add rate_limit int check (rate_limit > 0),
    add rate_period_ms bigint check (rate_period_ms > 0);

-- When something happens to a whole job: what has not started by then expires, what has not ended
-- times out.
create table postq.deadline (
    at timestamptz,
    job uuid,
    kind text check (kind in ('expire', 'time_out')),
    primary key (at, job, kind)
);

drop function if exists postq.add_tasks(uuid, text, int, jsonb, jsonb);
drop function if exists postq.only_task(text, jsonb);
drop function if exists postq.backoff_ms(bigint, bigint, int, double precision, double precision, bigint, double precision);
