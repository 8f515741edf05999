-- Raises PQ002 with what is wrong with a document, or with several; nothing where that is nothing.
create or replace function postq.refuse_document(p_what text, p_lines text[]) returns void
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    c_lines constant int := 100;
    v_count int := cardinality(p_lines);
begin
    if v_count > 0 then
        raise exception using errcode = 'PQ002',
            message = p_what || ' cannot be accepted: ' || p_lines[1] || case v_count
                when 1 then ''
                when 2 then ' (and 1 more problem)'
                else format(' (and %s more problems)', v_count - 1) end,
            detail = array_to_string(p_lines[1:c_lines] || case when v_count > c_lines
                then array[format('and %s more problems', v_count - c_lines)] end, e'\n');
    end if;
end;
$$;
revoke all on function postq.refuse_document(text, text[]) from public;
