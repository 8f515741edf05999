-- Raises PQ002 with all that is wrong with a job document; see submit, its only caller.
create or replace function postq.check_document(p_job jsonb) returns void
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    -- What one transaction checks in well under two seconds.
    c_tasks constant int := 10000;
    c_bytes constant int := 67108864;
    c_lines constant int := 100;
    v_lines text[] := postq.check_shape(p_job);
    v_count int;
begin
    if octet_length(p_job::text) > c_bytes then
        v_lines := array[format('the document has %s bytes; it may have %s', octet_length(p_job::text), c_bytes)];
    elsif v_lines = '{}' then
        select count(*) into v_count from jsonb_object_keys(coalesce(p_job -> 'tasks', '{}'));
        if v_count > c_tasks then
            v_lines := array[postq.problem_line('{tasks}', '', format(
                'the job has %s tasks; by SQL it may have %s: submit it by gRPC', v_count, c_tasks))];
        else
            v_lines := postq.check_fields(p_job) || postq.check_depends(p_job);
        end if;
    end if;
    v_count := cardinality(v_lines);
    if v_count > 0 then
        raise exception using errcode = 'PQ002',
            message = 'the job cannot be accepted: ' || v_lines[1] || case v_count
                when 1 then ''
                when 2 then ' (and 1 more problem)'
                else format(' (and %s more problems)', v_count - 1) end,
            detail = array_to_string(v_lines[1:c_lines] || case when v_count > c_lines
                then array[format('and %s more problems', v_count - c_lines)] end, e'\n');
    end if;
end;
$$;
revoke all on function postq.check_document(jsonb) from public;
