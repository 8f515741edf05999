-- Records that a consumed task has failed, in the caller's transaction: it is offered again at
-- retry_at, or after its backoff, while it has attempts left; then, or where is_final says that trying
-- again cannot help, it has failed for good and is a dead letter. A dead letter that was consumed is put
-- back. Raises PQ003 and PQ004 (see refuse_stale), PQ005.
create or replace function postq.nack(
    id uuid, attempt bigint, error text default null, retry_at timestamptz default null,
    is_final boolean default false
) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    c_errors constant int := 65536;
    c_reason constant int := 1000;
    v_errors bytea := convert_to(nack.error, 'UTF8');
begin
    perform postq.check_argument('retry_at', case when nack.is_final and nack.retry_at is not null then
        'is given with is_final; leave one of them out' end);
    perform postq.check_argument('retry_at', postq.time_fault(nack.retry_at));
    if postq.conclude(nack.id, nack.attempt, 'failed',
        coalesce(left(nack.error, c_reason), 'its consumer gave it back without a reason'),
        substring(v_errors from greatest(octet_length(v_errors) - c_errors, 0) + 1),
        p_retry_at => case when nack.retry_at is not null then greatest(nack.retry_at, postq.now()) end,
        p_is_final => coalesce(nack.is_final, false))
    then
        return;
    end if;
    update postq.dead_letter d
    set attempt = null, lease_until = case when nack.retry_at > postq.now() then nack.retry_at end, reason = coalesce(left(nack.error, c_reason), d.reason)
    where d.job = nack.id and d.attempt = nack.attempt;
    if not found then
        perform postq.refuse_stale(nack.id, nack.attempt);
    end if;
end;
$$;
revoke all on function postq.nack(uuid, bigint, text, timestamptz, boolean) from public;
