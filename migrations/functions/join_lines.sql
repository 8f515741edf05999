-- Parks tasks of these lanes whose time has come and whose keys others stand in line for already, at most
-- p_limit of the first p_limit of each lane, and tells how many; with a filter only tasks of jobs whose
-- attributes it holds for. So that what is due behind them is found. Called by take_due and take_matching.
create or replace function postq.join_lines(
    p_lane bigint[], p_floor timestamptz[], p_now timestamptz, p_limit int, p_filter jsonpath default null
) returns int
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_row tid[];
    v_run_at timestamptz[];
    v_job uuid[];
    v_n int[];
    v_held record;
begin
    select array_agg(d.ctid), array_agg(d.run_at), array_agg(d.job), array_agg(d.n) into v_row, v_run_at, v_job, v_n
    from (select s.ctid, s.run_at, s.job, s.n from postq.scheduled s
          where s.ctid = any (array(
              select x.ctid
              from unnest(p_lane, p_floor) as l (lane, floor)
              cross join lateral (
                  select s.ctid, s.job, s.n from postq.scheduled s
                  where s.lane = l.lane and s.run_at > l.floor and s.run_at <= p_now order by s.run_at limit p_limit) x
              where (p_filter is null or (select js.attributes @@ p_filter from postq.job_spec js where js.job = x.job))
                and (select exists (select from postq.parked k
                                    where k.pool = any (array['key:' || t.concurrency_key, 'rate:' || t.rate_key]))
                     from postq.task_spec t where t.job = x.job and t.n = x.n)))
          order by s.run_at, s.job, s.n limit p_limit for update skip locked) d;
    if v_job is null then
        return 0;
    end if;
    select * into v_held from postq.hold_tasks(v_job, v_n, '{}', v_run_at);
    delete from postq.scheduled s where s.ctid = any (array(select v_row[i] from unnest(v_held.o_ord || v_held.o_gone) as i));
    if v_held.o_ord <> '{}' then
        perform postq.park_due(array(select v_job[i] from unnest(v_held.o_ord) as i), array(select v_n[i] from unnest(v_held.o_ord) as i));
    end if;
    return cardinality(v_held.o_ord);
end;
$$;
revoke all on function postq.join_lines(bigint[], timestamptz[], timestamptz, int, jsonpath) from public;
