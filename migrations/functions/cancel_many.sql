-- Asks for the end of up to 10,000 jobs, as cancel does for one. Unknown and ended ones are left alone.
-- Returns how many were asked. Raises PQ005.
create or replace function postq.cancel_many(ids uuid[], reason text default null) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
set jit = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    c_most constant int := 10000;
    v_given constant int := coalesce(cardinality(cancel_many.ids), 0);
    v_count bigint;
begin
    perform postq.check_argument('ids', case when v_given > c_most
        then format('has %s elements; it may have %s', v_given, c_most) end);
    insert into postq.inbox (job, kind, reason)
    select j.id, 'cancel', cancel_many.reason
    from (select distinct u.id from unnest(cancel_many.ids) u (id)) u
    join postq.job j on j.id = u.id
    where j.finished_at is null
    order by j.id;
    get diagnostics v_count = row_count;
    if v_count > 0 then
        perform postq.hint('inbox');
    end if;
    return v_count;
end;
$$;
revoke all on function postq.cancel_many(uuid[], text) from public;
