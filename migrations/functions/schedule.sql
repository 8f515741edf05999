-- Makes a job again and again: at the times of a cron expression (5 fields, or 6 with seconds first) in
-- a time zone, or every so long from now. job is a JobSpec in proto3-JSON. A schedule of that name is
-- replaced. overlap says what becomes of a time that comes while the job before has not ended: allow,
-- skip, or queue (after it). catch_up says which of the times are made up for that came while no
-- coordinator ran: none, the last, or all (the newest catch_up_limit).
-- Raises PQ002 (job) and PQ005; a cron expression that only looks like one is told by the column error
-- of postq.schedules, once a coordinator has seen it.
create or replace function postq.schedule(
    name text, job jsonb, cron text default null, every interval default null, time_zone text default 'UTC',
    overlap text default 'allow', catch_up text default 'last', catch_up_limit int default 100
) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    perform postq.check_argument(f.field, f.message)
    from postq.schedule_faults(schedule.name, schedule.cron, schedule.every, schedule.time_zone, schedule.overlap,
        schedule.catch_up, schedule.catch_up_limit) f;
    perform postq.check_document(schedule.job);
    perform postq.put_schedule(jsonb_build_object(
        'name', schedule.name, 'cron', btrim(schedule.cron),
        'every_ms', (extract(epoch from schedule.every) * 1000)::bigint, 'time_zone', schedule.time_zone,
        'overlap', schedule.overlap, 'catch_up', schedule.catch_up, 'catch_up_limit', schedule.catch_up_limit,
        'job', schedule.job));
end;
$$;
revoke all on function postq.schedule(text, jsonb, text, interval, text, text, text, int) from public;
