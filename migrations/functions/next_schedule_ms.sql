-- Milliseconds until a schedule is to be looked at, not above zero where one is now; null where none
-- ever is. One is now whose next time has come or is not known, or where a time waits for a job that
-- has ended; one that could not fire is when it is tried again.
create or replace function postq.next_schedule_ms() returns bigint
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select min(case
        when s.retry_at is not null then (extract(epoch from s.retry_at - postq.now()) * 1000)::bigint
        when s.error is null and s.next_at is null then 0
        when s.waiting <> '{}' and (s.overlap = 'allow' or not postq.is_open(s.last_job)) then 0
        else (extract(epoch from s.next_at - postq.now()) * 1000)::bigint end)
    from postq.schedule s where not s.is_paused;
$$;
revoke all on function postq.next_schedule_ms() from public;
