-- Makes the jobs of a schedule's times that have come, and says when the next one comes, in one
-- transaction; only where the schedule is still as the caller has read it (p_version), so that of all
-- coordinators one does it. A schedule that somebody is changing is for a later look; for a user's
-- transaction that has taken a place in the job's queue, or its unique key, it waits no longer than the
-- timeout below. Where a job is refused, nothing is changed (see defer_schedule).
-- p_change: {next_at, waiting: [time], last_at, skipped, error}. p_jobs: [{job, tasks, gates}] as admit
-- takes them. Returns {"is_current": bool, "ready": [[lane, seq]]}.
create or replace function postq.fire_schedule(
    p_name text, p_version bigint, p_change jsonb, p_jobs jsonb
) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set lock_timeout = '300ms'
as $$
declare
    v_one jsonb;
    v_admitted jsonb;
    v_ready jsonb := '[]';
    v_last uuid;
begin
    perform 1 from postq.schedule s
    where s.name = p_name and s.version = p_version and not s.is_paused
    for update skip locked;
    if not found then
        return '{"is_current": false, "ready": []}';
    end if;
    for v_one in select j.one from jsonb_array_elements(p_jobs) with ordinality as j (one, nth) order by j.nth loop
        v_admitted := postq.admit(v_one -> 'job', v_one -> 'tasks', v_one -> 'gates');
        v_ready := v_ready || (v_admitted -> 'ready');
        -- Another one where that holds its unique key.
        v_last := v_admitted ->> 'id';
    end loop;
    update postq.schedule s
    set version = s.version + 1,
        next_at = (p_change ->> 'next_at')::timestamptz,
        waiting = array(select w.at::timestamptz from jsonb_array_elements_text(p_change -> 'waiting')
                        with ordinality as w (at, nth) order by w.nth),
        last_at = coalesce((p_change ->> 'last_at')::timestamptz, s.last_at),
        last_job = coalesce(v_last, s.last_job),
        fired = s.fired + jsonb_array_length(p_jobs),
        skipped = s.skipped + (p_change ->> 'skipped')::bigint,
        error = p_change ->> 'error', retry_at = null
    where s.name = p_name;
    return jsonb_build_object('is_current', true, 'ready', v_ready);
end;
$$;
revoke all on function postq.fire_schedule(text, bigint, jsonb, jsonb) from public;
