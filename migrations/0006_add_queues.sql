-- Queues that somebody has declared, and what is shared: places in a queue, keys, rates.

-- A queue has a row only where it was declared; all others go by the defaults.
create table postq.queue (
    name text primary key,
    description text not null default '',
    -- Nothing of it is started.
    is_paused boolean not null default false,
    -- Tasks that may run at a time; null: any number.
    max_running int check (max_running > 0),
    -- Jobs it may hold that have not ended; null: any number.
    max_jobs int check (max_jobs > 0),
    -- For tasks that state none: a RetryPolicy as it is written, and the longest run of an attempt.
    retry jsonb,
    timeout_ms bigint check (timeout_ms > 0),
    -- For jobs that state none.
    expires_after_ms bigint check (expires_after_ms > 0),
    has_dead_letters boolean not null default true,
    -- What a task gains in priority while it waits, in points per minute.
    aging double precision not null default 0 check (aging between 0 and 1000000),
    created_at timestamptz not null
) with (fillfactor = 70);

-- How many jobs a queue with a bound holds. A submit to it locks its row; nobody else does, so that a
-- job's end waits for no submitter: it is noted in departure, and subtracted by a later submit.
create table postq.bound (
    queue text primary key,
    jobs bigint not null
) with (fillfactor = 20);
create table postq.departure (
    queue text,
    job uuid,
    primary key (queue, job)
);
-- It is counted in its queue's bound.
alter table postq.job add is_counted boolean not null default false;

-- What at most so many may have at a time, one row each, made when they are first wanted. Whoever wants
-- one takes a free row that nobody has locked, so nobody waits for another's transaction, and what is
-- not committed counts as taken. Pools: `queue:NAME` (running tasks), `key:KEY` (concurrency), `rate:KEY`.
create table postq.slot (
    pool text,
    n int check (n > 0),
    is_taken boolean not null default false,
    -- Of a rate: not before.
    free_at timestamptz,
    primary key (pool, n)
) with (fillfactor = 40);

create sequence postq.parked_seq cache 1;
-- Tasks that wait for a slot of a key, the greatest priority (the lowest rank) first.
create table postq.parked (
    pool text,
    rank int,
    seq bigint,
    job uuid not null,
    n int not null,
    lane bigint not null,
    prefer uuid,
    primary key (pool, rank, seq)
);
create index parked_by_lane on postq.parked (lane, pool, rank, seq);

-- Pools to be looked at: a slot has become free, or somebody has come.
create table postq.vacancy (
    seq bigint generated always as identity primary key,
    pool text not null
);

alter table postq.task
    -- It wants a slot of a key before it is ready.
    add has_key boolean not null default false,
    -- The slot it has of its concurrency key, from before it is ready until its attempt has ended.
    add token int,
    -- The slot it has of its rate, until it is started.
    add rate_token int;

-- The slot it has of its queue.
alter table postq.open_attempt add slot int;

drop function if exists postq.submit(jsonb, uuid, text);
