-- Whether a task is tried again after an attempt that ended so, as far as its retry policy goes that
-- names outcomes and exit codes; how many attempts it has left is another matter. A stop that nobody
-- asked for is a failure. The same rule as postq_common::retry::covers.
create or replace function postq.is_retried(p_spec postq.task_spec, p_outcome postq.outcome, p_exit_code int)
returns boolean
language sql immutable
return (p_spec.retry_outcomes is null or p_spec.retry_outcomes = '{}'
        or case p_outcome when 'cancelled' then 'failed' else p_outcome end = any (p_spec.retry_outcomes))
    and (p_spec.retry_exit_codes is null or p_spec.retry_exit_codes = '{}' or p_outcome = 'timed_out'
         or p_exit_code is null or p_exit_code = any (p_spec.retry_exit_codes));
revoke all on function postq.is_retried(postq.task_spec, postq.outcome, int) from public;
