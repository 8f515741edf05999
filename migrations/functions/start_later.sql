-- Puts what is ready or parked of a job that the caller's transaction has made to a later time. Nobody else
-- has seen any of it. Called by start_again.
create or replace function postq.start_later(p_job uuid, p_start timestamptz) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set enable_seqscan = off
as $$
begin
    with held as materialized (
        select t.n, t.lane, t.seq from postq.task t where t.job = p_job and t.state in ('ready', 'parked')
    ), taken as (
        delete from postq.ready r using held h where r.lane = h.lane and r.seq = h.seq
    ), unparked as (
        delete from postq.parked k using held h where k.lane = h.lane and k.job = p_job and k.n = h.n
    ), moved as (
        update postq.task t set state = 'scheduled', seq = null, run_at = p_start, reason = null
        from held h where t.job = p_job and t.n = h.n
        returning t.n, t.lane
    )
    insert into postq.scheduled (run_at, job, n, lane) select p_start, p_job, m.n, m.lane from moved m;
    perform postq.hint('due');
end;
$$;
revoke all on function postq.start_later(uuid, timestamptz) from public;
