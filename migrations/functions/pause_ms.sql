-- The pause before the n-th retry of a task: its place in delays_ms, the last for ever, or as
-- backoff_ms computes it; less the part p_chance (0 to 1) of its jitter. The same rule as
-- postq_common::retry::delay.
create or replace function postq.pause_ms(p_spec postq.task_spec, p_retry int, p_chance double precision) returns bigint
language sql immutable
return case when p_spec.delays_ms = '{}' or p_spec.delays_ms is null then
        postq.backoff_ms(p_spec.backoff_ms, p_spec.max_backoff_ms, p_retry, p_chance,
            p_spec.factor, p_spec.increment_ms, p_spec.jitter)
    else (p_spec.delays_ms[least(greatest(p_retry, 1), cardinality(p_spec.delays_ms))]
          * (1 - p_chance * p_spec.jitter))::bigint end;
revoke all on function postq.pause_ms(postq.task_spec, int, double precision) from public;
