-- Gives the attempts that a consume has just made the slots of their queue that it has locked.
create or replace function postq.take_slots(p_queue text, p_slot int[], p_job uuid[], p_n int[]) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
begin
    update postq.open_attempt o set slot = p_slot[x.ord]
    from unnest(p_job, p_n) with ordinality as x (job, n, ord)
    where o.job = x.job and o.n = x.n;
    update postq.slot s set is_taken = true
    where s.pool = 'queue:' || p_queue and s.n = any (p_slot[1 : cardinality(p_n)]);
end;
$$;
revoke all on function postq.take_slots(text, int[], uuid[], int[]) from public;
