-- Not before when a job begins: its run_at, or its delay from p_submitted; null where it begins at once.
-- p_job: {run_at?, delay_ms?} beside what create_job takes.
create or replace function postq.start_of(p_job jsonb, p_submitted timestamptz default postq.now()) returns timestamptz
language sql stable
return coalesce((p_job ->> 'run_at')::timestamptz,
                p_submitted + make_interval(secs => (p_job ->> 'delay_ms')::double precision / 1000));
revoke all on function postq.start_of(jsonb, timestamptz) from public;
