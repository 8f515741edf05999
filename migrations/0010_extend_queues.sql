-- Twin lanes that are folded, schedules that try again, and what queues say of jobs that have ended.

-- Lanes that have a twin of a lower id, which stands for both: what becomes ready goes there. They stay
-- in postq.lane until nothing is left in them.
create table postq.lane_fold (
    lane bigint primary key,
    into_lane bigint not null,
    since timestamptz not null
);

-- Its time has come and could not fire (error says why): it is tried again then.
alter table postq.schedule add retry_at timestamptz;

alter table postq.queue
    -- How long jobs that have ended stay; null: as coordinators are told.
    add retain_ms bigint check (retain_ms > 0),
    -- How many of them stay at most, the newest.
    add retain_jobs int check (retain_jobs > 0),
    -- All of its jobs are told of, as if they had asked for it.
    add has_notify boolean not null default false;

drop function if exists postq.nack(uuid, bigint, text, timestamptz);
drop function if exists postq.conclude(uuid, bigint, text, text, bytea, jsonb, timestamptz);
drop function if exists postq.purge_finished(interval, int, uuid);
drop function if exists postq.take_parked(bigint[], int);
drop function if exists postq.take_matching(bigint[], bigint[], timestamptz[], timestamptz, int, jsonpath);
drop function if exists postq.leases_over(bigint[], timestamptz[], timestamptz, int);
drop function if exists postq.expire_now(bigint[], timestamptz[], timestamptz, int);
