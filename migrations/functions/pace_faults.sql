-- What is wrong with the fields of a task that say how often, how soon and beside what it may run; a
-- part of check_fields, which says what the ranks are.
create or replace function postq.pace_faults(p_task jsonb)
returns table (rank numeric, field text, place text, message text)
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
declare
    c_name constant int := 255;
    c_duration constant int := 316224000;
    c_delays constant int := 100;
    c_crashes constant int := 1000;
    v_retry jsonb := p_task -> 'retry';
    v_delays jsonb := coalesce(v_retry -> 'delays', '[]');
    v_crashes int := coalesce(p_task ->> 'crash_limit', p_task ->> 'crashLimit');
    v_concurrency jsonb := p_task -> 'concurrency';
    v_rate jsonb := p_task -> 'rate';
    v_period text := coalesce(v_rate ->> 'period', '0s');
begin
    return query
    select r.rank, r.field, '', r.message
    from (values
        (5.1, 'retry.increment', postq.negative_fault(v_retry ->> 'increment')),
        (19.1, 'retry.factor', case when not (v_retry ->> 'factor')::numeric between 1 and 100 then
            'is out of range; it may be 1 to 100' end),
        (19.2, 'retry.increment', postq.duration_fault(v_retry ->> 'increment', c_duration)),
        (19.3, 'retry.jitter', case when not (v_retry ->> 'jitter')::numeric between 0 and 1 then
            'is out of range; it may be 0 to 1' end),
        (19.4, 'retry.delays', case when jsonb_array_length(v_delays) > c_delays then
            format('has %s pauses; it may have %s', jsonb_array_length(v_delays), c_delays) end),
        (20, 'priority', case when not (p_task ->> 'priority')::int between -1000 and 1000 then
            format('is %s; it may be -1000 to 1000', (p_task ->> 'priority')::int) end),
        (21, 'crash_limit', case when v_crashes not between 0 and c_crashes then
            format('is %s; write 1 to %s', v_crashes, c_crashes) end)
    ) as r (rank, field, message)
    where r.message is not null;
    return query
    select 5.2 + d.nth / 100000.0, 'retry.delays', format('[%s]', d.nth - 1), postq.negative_fault(d.pause)
    from jsonb_array_elements_text(v_delays) with ordinality as d (pause, nth)
    where postq.negative_fault(d.pause) is not null;
    return query
    select 19.5 + d.nth / 100000.0, 'retry.delays', format('[%s]', d.nth - 1), postq.duration_fault(d.pause, c_duration)
    from jsonb_array_elements_text(v_delays) with ordinality as d (pause, nth)
    where postq.duration_fault(d.pause, c_duration) is not null;
    return query
    select 19.6 + c.nth / 100000.0, 'retry.exit_codes', format('[%s]', c.nth - 1),
           format('is %s; the exit code of a failure is 1 to 255', c.code::int)
    from jsonb_array_elements_text(coalesce(v_retry -> 'exit_codes', v_retry -> 'exitCodes', '[]'))
        with ordinality as c (code, nth)
    where c.code::int not between 1 and 255;
    if jsonb_typeof(v_concurrency) = 'object' then
        return query select f.rank, f.field, '', f.message from postq.share_faults('concurrency', 22, v_concurrency) f;
    end if;
    if jsonb_typeof(v_rate) = 'object' then
        return query
        select 5.3, 'rate.period', '', postq.negative_fault(v_period)
        where postq.negative_fault(v_period) is not null;
        return query select f.rank, f.field, '', f.message from postq.share_faults('rate', 24, v_rate) f;
        return query
        select 26::numeric, 'rate.period', '', r.message
        from (values
            (case when v_period ~ '^-?0+(\.0+)?s$' or v_period like '-%' then 'is zero; give it a time, as 60s' end),
            (postq.duration_fault(v_period, c_duration))) as r (message)
        where r.message is not null;
    end if;
end;
$$;
revoke all on function postq.pace_faults(jsonb) from public;
