-- What is wrong with the patterns of a task; a part of check_fields, which says what the ranks are.
create or replace function postq.file_faults(p_task jsonb)
returns table (rank numeric, field text, place text, message text)
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
declare
    v_has_files boolean := case p_task ->> 'workspace'
        when 'FILES' then true when '1' then true
        when 'NONE' then false when '2' then false
        else p_task ->> 'handler' is null end;
begin
    return query
    select f.rank, f.field, '', 'is about files, and the task has no workspace; remove it'
    from (values (70::numeric, 'outputs'), (72, 'ignore')) as f (rank, field)
    where not v_has_files and coalesce(p_task -> f.field, '[]') <> '[]';
    return query select * from postq.pattern_faults(71, 'outputs', coalesce(p_task -> 'outputs', '[]'));
    return query select * from postq.pattern_faults(73, 'ignore', coalesce(p_task -> 'ignore', '[]'));
end;
$$;
revoke all on function postq.file_faults(jsonb) from public;
