-- A retry policy of a document, as add_tasks takes it; what is not written is left out.
create or replace function postq.retry_plan(p_retry jsonb) returns jsonb
language sql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
    select case when coalesce(jsonb_typeof(p_retry), 'null') = 'null' then '{}' else
        jsonb_strip_nulls(jsonb_build_object(
            'max_attempts', nullif(coalesce(p_retry ->> 'max_attempts', p_retry ->> 'maxAttempts')::int, 0),
            'backoff_ms', postq.duration_ms(p_retry ->> 'backoff'),
            'max_backoff_ms', postq.duration_ms(coalesce(p_retry ->> 'max_backoff', p_retry ->> 'maxBackoff')),
            'factor', p_retry -> 'factor',
            'increment_ms', postq.duration_ms(p_retry ->> 'increment'),
            'jitter', p_retry -> 'jitter',
            'delays_ms', (select jsonb_agg(postq.duration_ms(d.pause) order by d.nth)
                from jsonb_array_elements_text(p_retry -> 'delays') with ordinality as d (pause, nth)),
            'outcomes', (select jsonb_agg(distinct case when o.word in ('TIMED_OUT', '1') then 'timed_out' else 'failed' end)
                from jsonb_array_elements_text(p_retry -> 'outcomes') o (word)),
            'exit_codes', (select jsonb_agg(distinct c.code::int)
                from jsonb_array_elements_text(coalesce(p_retry -> 'exit_codes', p_retry -> 'exitCodes')) c (code))))
        end;
$$;
revoke all on function postq.retry_plan(jsonb) from public;
