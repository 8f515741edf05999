-- Tries up to max_count dead letters of a queue once more, the oldest first (see redrive), with a filter (see
-- find_jobs) only those whose job's attributes it holds for; those that are being consumed, and those of
-- jobs that have not ended, stay. With a rate so many begin per second, the first at once. Returns the new
-- jobs. Raises PQ005.
create or replace function postq.redrive_all(
    queue text, max_count int default 1000, filter text default null, rate double precision default null
) returns setof uuid
language plpgsql volatile security definer
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    perform postq.check_argument('queue', case when redrive_all.queue is null then 'is null; name the queue' end);
    return query select r.new_job from postq.redrive_some(redrive_all.queue, null, redrive_all.max_count, redrive_all.filter,
        redrive_all.rate) r;
end;
$$;
revoke all on function postq.redrive_all(text, int, text, double precision) from public;
