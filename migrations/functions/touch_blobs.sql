-- Which of these blobs are not in the store. Those that are there are kept for the grace from now;
-- what was touched within p_fresh is not written again. A row that somebody else touches right now
-- needs no touch of ours. Called for FindMissing and by the collector of garbage.
create or replace function postq.touch_blobs(p_digests bytea[], p_fresh interval) returns bytea[]
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
    update postq.blob b set touched_at = postq.now()
    where b.ctid = any (array(
        select o.ctid from unnest(p_digests) as d (digest)
        join postq.blob o on o.digest = d.digest
        where o.touched_at < postq.now() - p_fresh
        for update of o skip locked));
    return (select coalesce(array_agg(distinct d.digest), '{}') from unnest(p_digests) as d (digest)
            where not exists (select from postq.blob o where o.digest = d.digest));
end;
$$;
revoke all on function postq.touch_blobs(bytea[], interval) from public;
