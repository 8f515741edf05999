-- Tasks as add_tasks takes them, with what their queue says for those that state no retry policy or no
-- timeout.
create or replace function postq.with_defaults(p_queue text, p_tasks jsonb) returns jsonb
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_retry jsonb;
    v_timeout_ms bigint;
begin
    select q.retry, q.timeout_ms into v_retry, v_timeout_ms from postq.queue q
    where q.name = p_queue and (q.retry is not null or q.timeout_ms is not null);
    if not found then
        return p_tasks;
    end if;
    return (
        select jsonb_agg(t.value
            || case when v_retry is not null and coalesce(t.value -> 'spec' -> 'retry', 'null') = 'null'
                    then postq.retry_plan(v_retry) else '{}' end
            || case when v_timeout_ms is not null and coalesce(t.value -> 'spec' -> 'timeout', 'null') = 'null'
                    then jsonb_build_object('spec', t.value -> 'spec' || jsonb_build_object(
                        'timeout', trim_scale(v_timeout_ms / 1000.0) || 's')) else '{}' end
            order by t.ord)
        from jsonb_array_elements(p_tasks) with ordinality as t (value, ord));
end;
$$;
revoke all on function postq.with_defaults(text, jsonb) from public;
