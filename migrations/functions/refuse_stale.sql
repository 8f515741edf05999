-- Raises what is to be told of an attempt that is not open: PQ003 no such job, PQ004 it has ended or
-- never was.
create or replace function postq.refuse_stale(p_job uuid, p_attempt bigint) returns void
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_outcome postq.outcome;
begin
    if not exists (select from postq.job j where j.id = p_job) then
        raise exception using errcode = 'PQ003', message = format('there is no job %s', p_job);
    end if;
    select a.outcome into v_outcome from postq.attempt a where a.id = p_attempt and a.job = p_job;
    raise exception using errcode = 'PQ004',
        message = case
            when v_outcome is null then format('attempt %s of job %s is not open', p_attempt, p_job)
            else format('attempt %s of job %s has ended: %s', p_attempt, p_job, v_outcome) end,
        hint = 'Whoever consumes the task now has another attempt; undo what this one did.';
end;
$$;
revoke all on function postq.refuse_stale(uuid, bigint) from public;
