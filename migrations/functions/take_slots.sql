-- Gives the attempts that a consume has just made the slots of their queue that it has locked (see
-- queue_room): each a place and a start, where the queue limits these.
create or replace function postq.take_slots(p_pool text[], p_slot int[], p_job uuid[], p_n int[]) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    -- It starts now, not when this statement began.
    v_now timestamptz := postq.now() + (clock_timestamp() - statement_timestamp());
begin
    with given as materialized (
        select g.pool, g.slot, row_number() over (partition by g.pool order by g.slot) as k
        from unnest(p_pool, p_slot) as g (pool, slot)
    ), placed as (
        update postq.open_attempt o set slot = g.slot
        from unnest(p_job, p_n) with ordinality as x (job, n, ord) join given g on g.k = x.ord and g.pool like 'queue:%'
        where o.job = x.job and o.n = x.n
    )
    update postq.slot s
    set is_taken = s.pool like 'queue:%', used_at = case when s.pool like 'starts:%' then v_now else s.used_at end
    from given g
    where s.pool = g.pool and s.n = g.slot and g.k <= cardinality(p_n);
end;
$$;
revoke all on function postq.take_slots(text[], int[], uuid[], int[]) from public;
