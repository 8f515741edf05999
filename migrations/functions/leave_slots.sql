-- Sets the slots free that attempts have which began before their queue had a limit (see count_running), and
-- tells who waits. Called by record and succeed_singles, which have just ended them. What ends an attempt
-- without seeing that it has one leaves it to free_slots.
create or replace function postq.leave_slots(p_attempt bigint[]) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    v_pools text[];
begin
    if not exists (select from postq.slot s where s.attempt is not null) then
        return;
    end if;
    with freed as (
        update postq.slot s set is_taken = false, job = null, attempt = null
        where s.attempt = any (p_attempt)
        returning s.pool
    )
    select array_agg(distinct f.pool) into v_pools from freed f;
    perform postq.hint_queue(substr(u.pool, length('queue:') + 1)) from unnest(v_pools) as u (pool);
end;
$$;
revoke all on function postq.leave_slots(bigint[]) from public;
