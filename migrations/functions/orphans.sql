-- Open attempts whose agent is connected to no registered coordinator: whoever was to end them died
-- on the way. Seen twice in a row, some seconds apart, they are lost. Those that must not overlap
-- another (see is_exclusive) only after the agent has had the time to notice that it is alone.
create or replace function postq.orphans() returns table (attempt bigint, session bigint, job uuid, n int)
language sql stable
set search_path = pg_catalog, postq, pg_temp
set jit = off
as $$
    select o.attempt, o.session, o.job, o.n
    from postq.agent a join postq.open_attempt o on o.agent = a.id
    where not exists (select from postq.coordinator c where c.id = a.coordinator)
      and not (postq.is_exclusive(o.job, o.n) and a.left_at > postq.now() - interval '7 s');
$$;
revoke all on function postq.orphans() from public;
