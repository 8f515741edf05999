-- Submits a job from anybody's transaction: it exists once that has committed, and never was if it
-- is rolled back. p_job is a JobSpec in proto3-JSON; p_id may be minted by the caller (a UUIDv7), and
-- then submitting the same document again is the same job. Returns the job's id.
--
-- Everything that is wrong with the document is told at once: SQLSTATE PQ002, the first problem and
-- their number as the message, a line "path: problem" for each as the detail. Where values are not
-- of the kind they should be, the rest is looked at once these are right.
--
-- A job of one task is admitted here; any other waits as a submission for a coordinator to plan it,
-- and so does one with an input, whose files only a coordinator can look up.
create or replace function postq.submit(
    p_job jsonb, p_id uuid default null, p_traceparent text default null
) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
    v_id uuid := coalesce(p_id, postq.new_id());
    v_queue text;
    v_priority int;
    v_task_count int;
    v_row jsonb;
begin
    perform postq.check_document(p_job);
    v_queue := coalesce(nullif(p_job ->> 'queue', ''), 'default');
    v_priority := coalesce((p_job ->> 'priority')::int, 0);
    select count(*) into v_task_count from jsonb_object_keys(p_job -> 'tasks');
    v_row := jsonb_build_object(
        'run_at', coalesce(p_job ->> 'run_at', p_job ->> 'runAt'), 'delay_ms', postq.duration_ms(p_job ->> 'delay'),
        'expires_after_ms', postq.duration_ms(coalesce(p_job ->> 'expires_after', p_job ->> 'expiresAfter')),
        'timeout_ms', postq.some_ms(p_job ->> 'timeout'), 'notify', p_job -> 'notify',
        'id', v_id, 'queue', v_queue, 'priority', v_priority, 'name', coalesce(p_job ->> 'name', ''),
        'task_count', v_task_count, 'spec', p_job - 'tasks',
        'attributes', coalesce(nullif(p_job -> 'attributes', 'null'), '{}'),
        'digest', encode(sha256(convert_to(p_job::text, 'UTF8')), 'hex'), 'traceparent', p_traceparent);
    if not postq.create_job(v_row) then
        return v_id;
    end if;
    if v_task_count = 1 and coalesce(p_job ->> 'input', '') = '' then
        perform postq.add_tasks(v_id, v_queue, v_priority, (
            select jsonb_build_array(postq.only_task(t.key, t.value)) from jsonb_each(p_job -> 'tasks') t), '[]',
            postq.start_of(v_row));
    else
        insert into postq.submission (job, document) values (v_id, p_job);
        perform postq.hint('submission');
    end if;
    return v_id;
end;
$$;
revoke all on function postq.submit(jsonb, uuid, text) from public;
