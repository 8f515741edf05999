-- Asks for the end of the jobs that a filter chooses (see find_jobs), or of those of a queue; with
-- waiting_only of those that have not started. At most max_count, the newest first. Returns how many
-- were asked. Raises PQ005.
create or replace function postq.cancel_matching(
    filter text default null, queue text default null, waiting_only boolean default false,
    reason text default null, max_count int default 10000
) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
begin
    perform postq.check_argument('filter', case
        when coalesce(cancel_matching.filter, '') = '' and cancel_matching.queue is null
             and not coalesce(cancel_matching.waiting_only, false) then
            'is missing, and so is queue; say which jobs' end);
    return postq.cancel_many(array(
        select f.id from postq.find_jobs(cancel_matching.filter, cancel_matching.queue,
            case when cancel_matching.waiting_only then '{scheduled,queued}'::text[]
                 else '{scheduled,queued,running}' end,
            max_count => cancel_matching.max_count) f), cancel_matching.reason);
end;
$$;
revoke all on function postq.cancel_matching(text, text, boolean, text, int) from public;
