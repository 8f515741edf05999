-- Takes up to p_limit deliveries whose time has come behind p_after (the cursor of the caller; a slow pass
-- starts at -infinity), up to p_each to one origin and none to those of p_busy, among the first thousand.
-- Each is the caller's until lease_until: who does not say in time how it went (settle_delivery) leaves
-- it to others.
create or replace function postq.take_deliveries(
    p_after timestamptz, p_limit int, p_each int, p_busy text[], p_lease interval
) returns table (job uuid, origin text, url text, secret text, body text, attempts int, due_at timestamptz,
    lease_until timestamptz)
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
begin
    return query
        with near as materialized (
            select d.job, d.origin, d.next_at from postq.delivery d
            where d.next_at >= p_after and d.next_at <= postq.now() and d.origin <> all (p_busy)
            order by d.next_at limit 1000
        ), chosen as materialized (
            select d.job, n.next_at
            from (select n.*, row_number() over (partition by n.origin order by n.next_at) as place from near n) n
            join postq.delivery d on d.job = n.job
            where n.place <= p_each and d.next_at = n.next_at
            order by n.next_at limit p_limit for update of d skip locked
        )
        update postq.delivery d set next_at = postq.now() + p_lease
        from chosen c where d.job = c.job
        returning d.job, d.origin, d.url, d.secret, d.body, d.attempts, c.next_at, d.next_at;
end;
$$;
revoke all on function postq.take_deliveries(timestamptz, int, int, text[], interval) from public;
