-- Milliseconds until the next lease of a consumer ends, negative where one is over; null where there
-- is none.
create or replace function postq.next_lease_ms() returns bigint
language sql stable
set search_path = pg_catalog, postq, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
    select (extract(epoch from min(o.lease_until) - postq.now()) * 1000)::bigint
    from postq.lane l
    cross join lateral (
        select o.lease_until from postq.open_attempt o
        where o.lane = l.id and o.lease_until > l.lease_floor order by o.lease_until limit 1
    ) o
    where l.executor = 'handler';
$$;
revoke all on function postq.next_lease_ms() from public;
