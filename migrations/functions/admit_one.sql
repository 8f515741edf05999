-- Stores one job of a list: planned, or (with a document) as a submission, for a coordinator to plan.
-- Called by admit_many.
create or replace function postq.admit_one(
    p_one jsonb, out o_id uuid, out o_created boolean, out o_ready jsonb
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_admitted jsonb;
begin
    if p_one ? 'document' then
        o_ready := '[]';
        o_created := postq.create_job(p_one -> 'job');
        if o_created then
            o_id := p_one #>> '{job,id}';
            insert into postq.submission (job, document) values (o_id, p_one -> 'document');
            perform postq.hint('submission');
        else
            o_id := postq.job_of(p_one -> 'job');
        end if;
        return;
    end if;
    v_admitted := postq.admit(p_one -> 'job', p_one -> 'tasks', p_one -> 'gates');
    o_id := v_admitted ->> 'id';
    o_created := v_admitted -> 'created';
    o_ready := v_admitted -> 'ready';
end;
$$;
revoke all on function postq.admit_one(jsonb, out uuid, out boolean, out jsonb) from public;
