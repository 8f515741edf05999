-- Submits a job from anybody's transaction: it exists once that has committed, and never was if it
-- is rolled back. p_job is a JobSpec in proto3-JSON; p_id may be minted by the caller (a UUIDv7), and
-- then submitting the same document again is the same job. Returns the job's id: that of another one
-- where that holds the unique key of this one (submit_unique tells).
--
-- Everything that is wrong with the document is told at once: SQLSTATE PQ002, the first problem and
-- their number as the message, a line "path: problem" for each as the detail. Where values are not
-- of the kind they should be, the rest is looked at once these are right.
--
-- A job of one task is admitted here; any other waits as a submission for a coordinator to plan it,
-- and so does one with an input, whose files only a coordinator can look up, and one that waits for
-- other jobs.
--
-- Of a queue that holds as many jobs as it may, waits up to p_wait for room, and is refused then (PQ010).
-- With p_require_queue the queue must have been declared (PQ011).
create or replace function postq.submit(
    p_job jsonb, p_id uuid default null, p_traceparent text default null, p_wait interval default null,
    p_require_queue boolean default false
) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    perform postq.check_argument('p_wait', case when p_wait < '0' or p_wait > '1 hour' then
        format('is %s; it may be 0 to 1 hour', p_wait) end);
    return (select e.o_id from postq.enter_job(p_job, p_id, p_traceparent, jsonb_strip_nulls(jsonb_build_object(
        'require_queue', p_require_queue, 'wait_ms', round(extract(epoch from p_wait) * 1000)))) e);
end;
$$;
revoke all on function postq.submit(jsonb, uuid, text, interval, boolean) from public;
