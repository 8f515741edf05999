-- Stores a schedule under its name, in the place of one that was there; whether it is paused and what
-- it has done stays. Called by schedule and by the coordinator; the caller has checked it.
-- p_schedule: {name, cron | every_ms, time_zone, overlap, catch_up, catch_up_limit, job}.
create or replace function postq.put_schedule(p_schedule jsonb) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    insert into postq.schedule (name, id, cron, every_ms, time_zone, overlap, catch_up, catch_up_limit, job,
        since, created_at)
    values (p_schedule ->> 'name', postq.new_id(), p_schedule ->> 'cron', (p_schedule ->> 'every_ms')::bigint,
        p_schedule ->> 'time_zone', p_schedule ->> 'overlap', p_schedule ->> 'catch_up',
        (p_schedule ->> 'catch_up_limit')::int, p_schedule -> 'job', postq.now(), postq.now())
    on conflict (name) do update
    set cron = excluded.cron, every_ms = excluded.every_ms, time_zone = excluded.time_zone,
        overlap = excluded.overlap, catch_up = excluded.catch_up, catch_up_limit = excluded.catch_up_limit,
        job = excluded.job, since = excluded.since, next_at = null, waiting = '{}', error = null, retry_at = null,
        version = schedule.version + 1;
    perform postq.hint('schedule');
end;
$$;
revoke all on function postq.put_schedule(jsonb) from public;
