-- Records that consumed tasks have succeeded, as ack does for one, and tells which: what has ended, or is
-- not the caller's any more, is left out and changes nothing. results may be left out. Raises PQ005.
create or replace function postq.ack_many(ids uuid[], attempts bigint[], results jsonb[] default '{}')
returns table (id uuid, attempt bigint)
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    c_most constant int := 10000;
    c_result constant int := 1048576;
    v_count constant int := coalesce(cardinality(ack_many.ids), 0);
    v_concluded record;
    v_letters tid[];
begin
    perform postq.check_argument('ids', case when v_count > c_most
        then format('has %s elements; it may have %s', v_count, c_most) end);
    perform postq.check_argument('attempts', case when coalesce(cardinality(ack_many.attempts), 0) <> v_count
        then format('has not the %s elements of ids', v_count) end);
    perform postq.check_argument('results', x.fault)
    from (select postq.size_fault(postq.json_bytes(r.result), c_result) as fault from unnest(ack_many.results) as r (result)) x
    where x.fault is not null;
    v_concluded := postq.conclude_all(ack_many.ids, ack_many.attempts, 'succeeded', null, p_result => coalesce(ack_many.results, '{}'));
    return query select * from unnest(v_concluded.o_job, v_concluded.o_attempt);
    if cardinality(v_concluded.o_attempt) < v_count then
        -- As record does it: a statement that locks a row which was just renewed does not see it.
        v_letters := array(
            select d.ctid from unnest(ack_many.ids, ack_many.attempts) as x (id, attempt)
            cross join lateral (
                select d.ctid from postq.dead_letter d where d.job = x.id and d.attempt = x.attempt for update) d);
        return query delete from postq.dead_letter d where d.ctid = any (v_letters) returning d.job, d.attempt;
    end if;
end;
$$;
revoke all on function postq.ack_many(uuid[], bigint[], jsonb[]) from public;
