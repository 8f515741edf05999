-- Gives a consumed task back uncounted: it was not started, and is ready for others once the caller
-- has committed. A dead letter is put back. Raises PQ003 and PQ004 (see refuse_stale).
create or replace function postq.release(id uuid, attempt bigint) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
begin
    if postq.conclude(release.id, release.attempt, 'released', 'given back by its consumer') then
        return;
    end if;
    update postq.dead_letter d set attempt = null, lease_until = null
    where d.job = release.id and d.attempt = release.attempt;
    if not found then
        perform postq.refuse_stale(release.id, release.attempt);
    end if;
end;
$$;
revoke all on function postq.release(uuid, bigint) from public;
