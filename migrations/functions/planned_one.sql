-- A document, which was checked, as admit_many takes it: with its only task, or to wait for a coordinator.
create or replace function postq.planned_one(p_document jsonb, p_id uuid) returns jsonb
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_job jsonb := postq.job_row(p_document, p_id);
begin
    if v_job ->> 'task_count' <> '1' or v_job ? 'after' or coalesce(p_document ->> 'input', '') <> '' then
        return jsonb_build_object('job', v_job, 'document', p_document);
    end if;
    return jsonb_build_object('job', v_job, 'gates', '[]'::jsonb, 'tasks', (
        select jsonb_build_array(postq.only_task(t.key, t.value)) from jsonb_each(p_document -> 'tasks') t));
end;
$$;
revoke all on function postq.planned_one(jsonb, uuid) from public;
