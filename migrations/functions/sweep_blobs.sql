-- Forgets blobs that nobody has touched since p_before: one page behind p_after. Returns the last
-- digest looked at (null: there are no more), how many were forgotten, and their bytes.
-- Called by the collector of garbage when it has touched all that is kept.
create or replace function postq.sweep_blobs(
    p_after bytea, p_before timestamptz, p_limit int,
    out o_last bytea, out o_count bigint, out o_bytes bigint
)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
begin
    select p.digest into o_last
    from (select b.digest from postq.blob b where b.digest > p_after order by b.digest limit p_limit) p
    order by p.digest desc limit 1;
    with gone as (
        delete from postq.blob b
        where b.ctid = any (array(
            select o.ctid from postq.blob o
            where o.digest > p_after and o.digest <= o_last and o.touched_at < p_before
            for update skip locked))
          -- Touched meanwhile: it stays.
          and b.touched_at < p_before
        returning b.stored_bytes
    )
    select count(*), coalesce(sum(g.stored_bytes), 0) into o_count, o_bytes from gone g;
end;
$$;
revoke all on function postq.sweep_blobs(bytea, timestamptz, int) from public;
