-- The tasks of an ended job that a retry runs again: those that did not succeed and those that are
-- named, with all that comes after them. A job that succeeded has none but the named ones, for what it
-- skipped was skipped rightly.
create or replace function postq.rerun_of(p_job uuid, p_names text[]) returns int[]
language sql stable
set search_path = pg_catalog, postq, pg_temp
set jit = off
set enable_seqscan = off
as $$
    with recursive again (n) as (
        select t.n from postq.task t
        where t.job = p_job and t.state <> 'succeeded'
          and (select j.state from postq.job j where j.id = p_job) <> 'succeeded'
        union
        select s.n from postq.task_spec s where s.job = p_job and s.name = any (p_names)
        union
        select t.n
        from again a
        join postq.gate_parent p on p.job = p_job and p.parent = a.n
        join postq.gate g on g.job = p_job and g.g = p.g
        cross join lateral generate_series(g.first_n, g.last_n) as t (n)
    )
    select coalesce(array_agg(a.n order by a.n), '{}') from again a;
$$;
revoke all on function postq.rerun_of(uuid, text[]) from public;
