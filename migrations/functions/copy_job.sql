-- Makes the job of a retry: a copy of an ended job in which the tasks p_rerun run again, and the others
-- have succeeded as they have there; it begins at p_start where that is given. Called by retry,
-- retry_matching and redrive_one. Writes nothing of the old job but its dead letters. Returns p_id.
create or replace function postq.copy_job(
    p_job uuid, p_id uuid, p_rerun int[], p_start timestamptz default null
) returns uuid
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    v_old record;
begin
    select j.queue, j.priority, s.* into v_old
    from postq.job j join postq.job_spec s on s.job = j.id where j.id = p_job;
    if not postq.create_job(jsonb_build_object(
        'id', p_id, 'queue', v_old.queue, 'priority', v_old.priority, 'name', v_old.name,
        'task_count', v_old.task_count, 'spec', v_old.spec, 'attributes', v_old.attributes,
        -- Not that of the document: the same id with other tasks is another retry.
        'digest', encode(sha256(v_old.digest || convert_to(p_job::text || p_rerun::text, 'UTF8')), 'hex'),
        'traceparent', v_old.traceparent, 'retry_of', p_job, 'timeout_ms', v_old.timeout_ms, 'notify', v_old.notify,
        'webhook', v_old.webhook, 'run_at', p_start))
    then
        return p_id;
    end if;
    delete from postq.dead_letter d where d.ctid = any (array(
        select d.ctid from postq.dead_letter d
        where d.job = p_job and (d.attempt is null or d.lease_until <= postq.now())
        for update skip locked));
    update postq.job_progress p set open = cardinality(p_rerun) where p.job = p_id;
    insert into postq.task_spec
    select r.* from postq.task_spec s,
        jsonb_populate_record(s, jsonb_build_object('job', p_id)) r
    where s.job = p_job order by s.n;
    insert into postq.snapshot
    select r.* from postq.snapshot s,
        jsonb_populate_record(s, jsonb_build_object('job', p_id)) r
    where s.job = p_job and s.n <> all (p_rerun);
    perform postq.carry_over(p_job, p_id, p_rerun);
    perform postq.start_again(p_job, p_id, p_rerun, p_start);
    return p_id;
end;
$$;
revoke all on function postq.copy_job(uuid, uuid, int[], timestamptz) from public;
