-- Stores a planned job. Called by the coordinator, for a job that came by gRPC and for a submission
-- (p_submission, which it removes). Sent twice, the second call does nothing. The three roots of the
-- files that its first tasks start from (p_job.input, hex) are kept as the snapshot of task -1.
-- Returns {"created": bool, "ready": [[lane, seq]]}. Raises PQ001 (see create_job).
create or replace function postq.admit(
    p_job jsonb, p_tasks jsonb, p_gates jsonb, p_submission bigint default null
) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_id uuid := p_job ->> 'id';
begin
    if p_submission is not null then
        -- Gone: planned by another coordinator, or cancelled while it waited.
        delete from postq.submission s where s.seq = p_submission;
        if not found then
            return '{"created": false, "ready": []}';
        end if;
    elsif not postq.create_job(p_job) then
        return '{"created": false, "ready": []}';
    end if;
    if p_job ? 'input' then
        insert into postq.snapshot (job, n, content, provenance, times)
        select v_id, -1, decode(p_job #>> '{input,0}', 'hex'), decode(p_job #>> '{input,1}', 'hex'),
               decode(p_job #>> '{input,2}', 'hex');
    end if;
    return jsonb_build_object('created', true, 'ready', postq.add_tasks(
        v_id, p_job ->> 'queue', (p_job ->> 'priority')::int, p_tasks, p_gates,
        postq.start_of(p_job, (select j.created_at from postq.job j where j.id = v_id))));
end;
$$;
revoke all on function postq.admit(jsonb, jsonb, jsonb, bigint) from public;
