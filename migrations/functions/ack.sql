-- Records that a consumed task has succeeded, in the caller's transaction, with what it has to tell.
-- Of a dead letter (id and attempt from `dlq@NAME`): removes it. Raises PQ003 and PQ004 (see
-- refuse_stale); then the caller's transaction is lost, and with it whatever the work did there.
create or replace function postq.ack(id uuid, attempt bigint, result jsonb default null) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
begin
    perform postq.check_argument('result', postq.size_fault(postq.json_bytes(ack.result), 1048576));
    if postq.conclude(ack.id, ack.attempt, 'succeeded', null, p_result => ack.result) then
        return;
    end if;
    delete from postq.dead_letter d where d.job = ack.id and d.attempt = ack.attempt;
    if not found then
        perform postq.refuse_stale(ack.id, ack.attempt);
    end if;
end;
$$;
revoke all on function postq.ack(uuid, bigint, jsonb) from public;
