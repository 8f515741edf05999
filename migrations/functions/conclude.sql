-- Ends an attempt in its consumer's own transaction (see conclude_all).
-- Called by ack, nack and release. Returns false where no such attempt is open.
create or replace function postq.conclude(
    p_job uuid, p_attempt bigint, p_outcome text, p_reason text, p_errors bytea default null,
    p_result jsonb default null, p_retry_at timestamptz default null, p_is_final boolean default false
) returns boolean
language sql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
    select c.o_attempt <> '{}'
    from postq.conclude_all(array[p_job], array[p_attempt], p_outcome, p_reason, p_errors, array[p_result], array[p_retry_at],
        p_is_final) c;
$$;
revoke all on function postq.conclude(uuid, bigint, text, text, bytea, jsonb, timestamptz, boolean) from public;
