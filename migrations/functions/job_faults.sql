-- What is wrong with the fields of a job that say when it begins, when it must have ended, and what
-- it shares with others; a part of check_fields, which says what the ranks are.
create or replace function postq.job_faults(p_job jsonb)
returns table (rank numeric, field text, place text, message text)
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
declare
    c_name constant int := 255;
    c_data constant int := 1048576;
    c_duration constant int := 316224000;
    c_after constant int := 1000;
    c_uuid constant text := '^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$';
    v_delay text := p_job ->> 'delay';
    v_expires text := coalesce(p_job ->> 'expires_after', p_job ->> 'expiresAfter');
    v_timeout text := p_job ->> 'timeout';
    v_key text := coalesce(p_job -> 'unique' ->> 'key', '');
    v_period text := p_job -> 'unique' ->> 'period';
    v_jobs jsonb := coalesce(p_job -> 'after' -> 'jobs', '[]');
begin
    return query
    select r.rank, r.field, '', r.message
    from (values
        (-1, 'input', case when coalesce(p_job ->> 'input', '') !~ '^([0-9a-fA-F]{64})?$' then
            'is not a digest of a snapshot; it has 64 hexadecimal digits' end),
        (-0.9, 'delay', postq.negative_fault(v_delay)),
        (-0.8, 'expires_after', postq.negative_fault(v_expires)),
        (-0.7, 'timeout', postq.negative_fault(v_timeout)),
        (-0.6, 'unique.period', postq.negative_fault(v_period)),
        (15, 'run_at', case when v_delay is not null and coalesce(p_job ->> 'run_at', p_job ->> 'runAt') is not null then
            'is set beside delay; set one of them' end),
        (16, 'delay', postq.duration_fault(v_delay, c_duration)),
        (17, 'expires_after', case when v_expires ~ '^-?0+(\.0+)?s$' then
            'is zero; give the job some time, or leave it out for no limit' end),
        (17, 'expires_after', postq.duration_fault(v_expires, c_duration)),
        (18, 'timeout', case when v_timeout ~ '^-?0+(\.0+)?s$' then
            'is zero; give the job some time, or leave it out for no limit' end),
        (18, 'timeout', postq.duration_fault(v_timeout, c_duration)),
        (19, 'data', postq.size_fault(postq.json_bytes(nullif(p_job -> 'data', 'null')), c_data))
    ) as r (rank, field, message)
    where r.message is not null;
    if jsonb_typeof(p_job -> 'unique') = 'object' then
        return query
        select r.rank::numeric, r.field, '', r.message
        from (values
            (20, 'unique.key', case when v_key = '' then 'is empty; name a key'
                else postq.name_fault('key', v_key, c_name) end),
            (21, 'unique.period', case when v_period ~ '^-?0+(\.0+)?s$' then
                'is zero; leave it out for as long as the job is open' end),
            (21, 'unique.period', postq.duration_fault(v_period, c_duration))
        ) as r (rank, field, message)
        where r.message is not null;
    end if;
    if jsonb_typeof(p_job -> 'after') = 'object' then
        return query
        select 22::numeric, 'after.jobs', '', case
            when v_jobs = '[]' then 'is empty; name a job, or leave after out'
            else format('names %s jobs; it may name %s', jsonb_array_length(v_jobs), c_after) end
        where v_jobs = '[]' or jsonb_array_length(v_jobs) > c_after;
        return query
        select 23 + j.nth / 100000.0, 'after.jobs', format('[%s]', j.nth - 1),
               'is not the id of a job, which is a UUID'
        from jsonb_array_elements_text(v_jobs) with ordinality as j (id, nth)
        where j.id !~ c_uuid;
    end if;
    return query select * from postq.pattern_faults(24, 'artifacts', coalesce(p_job -> 'artifacts', '[]'));
    return query select * from postq.pattern_faults(26, 'ignore', coalesce(p_job -> 'ignore', '[]'));
end;
$$;
revoke all on function postq.job_faults(jsonb) from public;
