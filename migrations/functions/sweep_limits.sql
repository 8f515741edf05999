-- What queues' limits need now and then. Counts once more, for a bound that was set while others were at
-- it, when these have ended (see count_jobs); counts what has begun to run while nobody saw the limit;
-- forgets what is left of limits that are no more. Waits for nobody. Called by coordinators and by sweep.
create or replace function postq.sweep_limits(p_limit int default 1000) returns void
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_bound record;
begin
    for v_bound in
        select b.queue, b.noted from postq.bound b
        where b.noted is not null
           or not exists (select from postq.queue q where q.name = b.queue and q.max_jobs is not null)
        order by b.queue for update skip locked
    loop
        -- Looked at again, for the row was locked after the query began.
        if not exists (select from postq.queue q where q.name = v_bound.queue and q.max_jobs is not null) then
            delete from postq.bound b where b.queue = v_bound.queue;
            delete from postq.departure d where d.queue = v_bound.queue;
        elsif v_bound.noted = '0' then
            -- Made now, when the bound is to be seen: whoever does not see it has an earlier one.
            update postq.bound b set noted = pg_current_xact_id() where b.queue = v_bound.queue;
        elsif v_bound.noted < pg_snapshot_xmin(pg_current_snapshot()) then
            perform postq.count_jobs(v_bound.queue, null);
        end if;
    end loop;
    perform postq.count_running(q.name) from postq.queue q where q.max_running is not null;
    delete from postq.slot s
    where s.ctid = any (array(
        select s.ctid from postq.slot s
        where not s.is_taken
          and (s.pool like 'queue:%' and not exists (
                   select from postq.queue q where q.name = substr(s.pool, length('queue:') + 1) and s.n <= q.max_running)
               or s.pool like 'starts:%' and not exists (
                   select from postq.queue q
                   where q.name = substr(s.pool, length('starts:') + 1) and (s.n <= q.rate_limit
                       or s.used_at > postq.now() - make_interval(secs => q.rate_period_ms / 1000.0))))
        order by s.pool, s.n limit p_limit for update skip locked));
end;
$$;
revoke all on function postq.sweep_limits(int) from public;
