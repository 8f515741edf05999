-- All that is wrong with a job document, one line "path: problem" each.
create or replace function postq.document_faults(p_job jsonb) returns text[]
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    -- What one transaction checks in well under two seconds.
    c_tasks constant int := 10000;
    c_bytes constant int := 67108864;
    v_lines text[] := postq.check_shape(p_job);
    v_count int;
begin
    if octet_length(p_job::text) > c_bytes then
        return array[format('the document has %s bytes; it may have %s', octet_length(p_job::text), c_bytes)];
    elsif v_lines <> '{}' then
        return v_lines;
    end if;
    select count(*) into v_count from jsonb_object_keys(coalesce(p_job -> 'tasks', '{}'));
    if v_count > c_tasks then
        return array[postq.problem_line('{tasks}', '', format(
            'the job has %s tasks; by SQL it may have %s: submit it by gRPC', v_count, c_tasks))];
    end if;
    return postq.check_fields(p_job) || postq.check_depends(p_job);
end;
$$;
revoke all on function postq.document_faults(jsonb) from public;
