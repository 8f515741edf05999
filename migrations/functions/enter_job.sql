-- What submit and its sisters do with one document: o_id is the job's, o_created whether there is a new
-- one; else the id or the unique key had it already. p_how: {require_queue?, wait_ms?} of create_job.
create or replace function postq.enter_job(
    p_job jsonb, p_id uuid, p_traceparent text, p_how jsonb, out o_id uuid, out o_created boolean
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
    v_row jsonb;
begin
    perform postq.check_document(p_job);
    v_row := postq.job_row(p_job, coalesce(p_id, postq.new_id()), p_traceparent) || p_how;
    o_created := postq.create_job(v_row);
    if not o_created then
        o_id := postq.job_of(v_row);
        return;
    end if;
    o_id := v_row ->> 'id';
    if (v_row ->> 'task_count')::int = 1 and coalesce(p_job ->> 'input', '') = '' and not v_row ? 'after' then
        perform postq.add_tasks(o_id, v_row ->> 'queue', (v_row ->> 'priority')::int, (
            select jsonb_build_array(postq.only_task(t.key, t.value)) from jsonb_each(p_job -> 'tasks') t), '[]',
            postq.start_of(v_row));
    else
        insert into postq.submission (job, document) values (o_id, p_job);
        perform postq.hint('submission');
    end if;
end;
$$;
revoke all on function postq.enter_job(jsonb, uuid, text, jsonb) from public;
