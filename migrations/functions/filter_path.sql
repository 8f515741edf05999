-- A filter over attributes, as jobs are compared with it (attributes @@ path): a predicate in the SQL/JSON
-- path language. Raises PQ005 with what is wrong with one that is none, or that could fail on some job:
-- values of different types never do, they are just not as wanted. Null and empty: no filter.
create or replace function postq.filter_path(p_filter text) returns jsonpath
language plpgsql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    c_bytes constant int := 65536;
    v_path jsonpath;
    v_bare text;
begin
    if coalesce(p_filter, '') = '' then
        return null;
    end if;
    perform postq.check_argument('filter', postq.size_fault(octet_length(p_filter), c_bytes));
    begin
        v_path := p_filter::jsonpath;
        -- Fails where the answer is not true, false or unknown.
        perform jsonb_path_match('{}', v_path);
    exception
        when invalid_parameter_value or singleton_sql_json_item_required then
            perform postq.check_argument('filter', 'is no condition; write one, as $.team == "data"');
        when others then
            perform postq.check_argument('filter', format('is not understood: %s', postq.shown(sqlerrm)));
    end;
    -- Without its texts and names.
    v_bare := regexp_replace(v_path::text, '"([^"\\]|\\.)*"', '""', 'g');
    perform postq.check_argument('filter', case
        when v_bare ~ '\$""' then 'names a variable; there are none, write the value'
        when v_bare ~ '\.(datetime|date|time|time_tz|timestamp|timestamp_tz)\(' then
            'compares times; keep them as texts in ISO 8601 and compare these' end);
    return v_path;
end;
$$;
revoke all on function postq.filter_path(text) from public;
