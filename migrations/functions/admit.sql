-- Stores a planned job. Called by the coordinator, for a job that came by gRPC and for a submission
-- (p_submission, which it removes). Sent twice, the second call does nothing. The three roots of the
-- files that its first tasks start from (p_job.input, hex) are kept as the snapshot of task -1.
-- Returns {"created": bool, "id": the job's, which is another one's where that holds the unique key,
-- "ready": [[lane, seq]]}. Raises PQ001, PQ003 and PQ005 (see create_job).
create or replace function postq.admit(
    p_job jsonb, p_tasks jsonb, p_gates jsonb, p_submission bigint default null
) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_id uuid := p_job ->> 'id';
    v_start timestamptz;
    v_ready jsonb;
begin
    if p_submission is not null then
        -- Gone: planned by another coordinator, or cancelled while it waited. Locked: somebody is at
        -- it, perhaps in a user's transaction.
        delete from postq.submission s
        where s.ctid = any (array(select s.ctid from postq.submission s
                                  where s.seq = p_submission for update skip locked));
        if not found then
            return jsonb_build_object('created', false, 'id', v_id, 'ready', '[]'::jsonb);
        end if;
    elsif not postq.create_job(p_job) then
        return jsonb_build_object('created', false, 'id', postq.job_of(p_job), 'ready', '[]'::jsonb);
    end if;
    if p_job ? 'input' then
        insert into postq.snapshot (job, n, content, provenance, times)
        select v_id, -1, decode(p_job #>> '{input,0}', 'hex'), decode(p_job #>> '{input,1}', 'hex'),
               decode(p_job #>> '{input,2}', 'hex');
    end if;
    if exists (select from postq.job_wait w where w.job = v_id) then
        v_start := 'infinity';
        insert into postq.inbox (job, kind) values (v_id, 'after');
        perform postq.hint('inbox');
    else
        v_start := postq.start_of(p_job, (select j.created_at from postq.job j where j.id = v_id));
    end if;
    v_ready := postq.add_tasks(v_id, p_job ->> 'queue', (p_job ->> 'priority')::int, p_tasks, p_gates, v_start);
    v_ready := v_ready || postq.grant_vacant();
    return jsonb_build_object('created', true, 'id', v_id, 'ready', v_ready);
end;
$$;
revoke all on function postq.admit(jsonb, jsonb, jsonb, bigint) from public;
