-- Counts the jobs of a queue that have not ended, for its bound. What began or ended in transactions that are
-- open now and do not see the bound makes the count drift, so it is taken once more when they have ended
-- (p_noted, see bound). The row's lock keeps submitters out meanwhile; jobs that end are noted in
-- departure, which the count and what it makes up for read in one snapshot. Called by set_queue and
-- sweep_limits.
create or replace function postq.count_jobs(p_queue text, p_noted xid8) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set enable_seqscan = off
as $$
begin
    insert into postq.bound (queue, jobs, noted) values (p_queue, 0, '0') on conflict do nothing;
    perform 1 from postq.bound b where b.queue = p_queue for update;
    with gone as (
        delete from postq.departure d where d.queue = p_queue
    )
    update postq.bound b
    set jobs = (select count(*) from postq.job j where j.queue = p_queue and j.finished_at is null), noted = p_noted
    where b.queue = p_queue;
end;
$$;
revoke all on function postq.count_jobs(text, xid8) from public;
