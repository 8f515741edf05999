-- Gives attempts back uncounted: they never reached their agent, or it hands them back unfinished.
-- Returns what finish returns.
create or replace function postq.release(
    p_attempt bigint[], p_session bigint[], p_job uuid[], p_n int[], p_reason text
) returns jsonb
language sql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
    select postq.finish(p_attempt, p_session, p_job, p_n,
        array_fill('released'::text, array[cardinality(p_attempt)]), '{}', '{}',
        array_fill(p_reason, array[cardinality(p_attempt)]), '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}');
$$;
revoke all on function postq.release(bigint[], bigint[], uuid[], int[], text) from public;
