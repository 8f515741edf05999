-- Decides what an ended job keeps of its snapshots: p_kept, and what it started from; all where p_kept
-- is null. Says how many were dropped.
create or replace function postq.trim_snapshots(p_job uuid, p_kept int[]) returns bigint
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_count bigint;
begin
    delete from postq.snapshot s where s.job = p_job and p_kept is not null and s.n <> -1 and s.n <> all (p_kept);
    get diagnostics v_count = row_count;
    update postq.snapshot s set is_trimmed = true where s.job = p_job and not s.is_trimmed;
    return v_count;
end;
$$;
revoke all on function postq.trim_snapshots(uuid, int[]) from public;
