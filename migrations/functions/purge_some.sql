-- Removes dead letters: those of the jobs p_jobs, or else of a queue; those that are being consumed stay.
-- The jobs they tell of stay as they are. Called by purge and the coordinator. Returns how many there were.
create or replace function postq.purge_some(p_queue text, p_jobs uuid[]) returns bigint
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_count bigint;
begin
    if p_jobs is null then
        delete from postq.dead_letter d
        where d.ctid = any (array(
            select d.ctid from postq.dead_letter d
            where d.queue = p_queue and (d.attempt is null or d.lease_until <= postq.now())
            for update skip locked));
    else
        delete from postq.dead_letter d
        where d.ctid = any (array(
            select d.ctid from postq.dead_letter d
            where d.job = any (p_jobs) and (d.attempt is null or d.lease_until <= postq.now())
            for update skip locked));
    end if;
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;
revoke all on function postq.purge_some(text, uuid[]) from public;
