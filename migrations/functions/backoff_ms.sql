-- The pause before the n-th retry: p_backoff_ms * p_factor^(n-1) + p_increment_ms * (n-1), at most
-- p_max_ms, less the part p_jitter (0 to 1) of p_jitter_part. With the defaults the same rule as
-- postq_common::retry.
create or replace function postq.backoff_ms(
    p_backoff_ms bigint, p_max_ms bigint, p_retry int, p_jitter double precision,
    p_factor double precision default 2, p_increment_ms bigint default 0,
    p_jitter_part double precision default 0.5
) returns bigint
language sql immutable
return (least(p_backoff_ms * power(p_factor, least(greatest(p_retry - 1, 0), 62))
              + p_increment_ms::double precision * greatest(p_retry - 1, 0), p_max_ms)
        * (1 - p_jitter * p_jitter_part))::bigint;
revoke all on function postq.backoff_ms(
    bigint, bigint, int, double precision, double precision, bigint, double precision) from public;
