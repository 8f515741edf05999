-- The pause before the n-th retry: p_backoff_ms doubled n - 1 times, at most p_max_ms, less the
-- part p_jitter (0 to 1) of one half. The same rule as postq_common::retry.
create or replace function postq.backoff_ms(
    p_backoff_ms bigint, p_max_ms bigint, p_retry int, p_jitter double precision
) returns bigint
language sql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
    select (least(p_backoff_ms * power(2::double precision, least(greatest(p_retry - 1, 0), 62)), p_max_ms)
            * (1 - p_jitter / 2))::bigint;
$$;
revoke all on function postq.backoff_ms(bigint, bigint, int, double precision) from public;
