-- Retries (see retry) the jobs that a filter chooses (see find_jobs), or those of a queue, that have failed, or
-- are in other states that jobs end in (states: failed, cancelled), and that nobody has retried or
-- redriven yet; so it may be repeated. At most max_count, the newest first; with a rate so many begin per
-- second, the first at once. What somebody has at hand just now is left alone. Returns each job and its new one.
-- Raises PQ005, and PQ010 where a queue has no room for them; then none is retried.
create or replace function postq.retry_matching(
    filter text default null, queue text default null, states text[] default '{failed}', max_count int default 1000,
    rate double precision default null
) returns table (id uuid, new_id uuid)
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
declare
    c_page constant int := 1000;
    v_ids uuid[];
    v_rerun int[];
    v_count int := 0;
    v_last uuid;
begin
    perform postq.check_rate(retry_matching.rate, retry_matching.max_count, 10000);
    perform postq.check_argument('filter', case
        when coalesce(retry_matching.filter, '') = '' and retry_matching.queue is null then
            'is missing, and so is queue; say which jobs' end);
    perform postq.check_argument('states', case
        when coalesce(cardinality(retry_matching.states), 0) = 0
             or not retry_matching.states <@ array['failed', 'cancelled'] then
            'may be failed, cancelled or both' end);
    loop
        v_ids := array(
            select f.id from postq.find_jobs(retry_matching.filter, retry_matching.queue, retry_matching.states,
                max_count => c_page, before_id => v_last) f);
        foreach id in array v_ids loop
            v_last := retry_matching.id;
            continue when exists (select from postq.job_spec s where s.retry_of = retry_matching.id);
            perform 1 from postq.job j where j.id = retry_matching.id for update skip locked;
            -- Looked at again, for another one may have had it until now.
            continue when not found or exists (select from postq.job_spec s where s.retry_of = retry_matching.id);
            v_rerun := postq.rerun_of(retry_matching.id, null);
            -- It ended before it had tasks.
            continue when v_rerun = '{}';
            new_id := postq.copy_job(retry_matching.id, postq.new_id(), v_rerun,
                postq.start_of_nth(v_count, retry_matching.rate));
            return next;
            v_count := v_count + 1;
            if v_count = retry_matching.max_count then
                return;
            end if;
        end loop;
        exit when cardinality(v_ids) < c_page;
    end loop;
end;
$$;
revoke all on function postq.retry_matching(text, text, text[], int, double precision) from public;
