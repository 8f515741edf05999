-- Takes attempts that have ended and whose output has arrived, or is not waited for any more (p_settled after the
-- end), to move what is long to the blob store. Nobody else takes them for p_lease, unless they are given back.
-- Of each: behind which chunk and up to which one its output is to be moved, so that p_tail bytes or the last chunk
-- stay. o_last is null where less than p_tail would move: such output stays, and is not looked at again.
-- Called by coordinators, which store the output and call move_logs.
create or replace function postq.take_logs(
    p_limit int, p_tail bigint, p_settled interval, p_lease interval,
    out o_attempt bigint, out o_first bigint, out o_last bigint
) returns setof record
language sql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
    with ripe as (
        select l.attempt, coalesce((select max(p.last) from postq.log_page p where p.attempt = l.attempt), 0) as moved
        from postq.long_log l join postq.attempt a on a.id = l.attempt
        where (l.taken_at is null or l.taken_at < postq.now() - p_lease)
          and (a.finished_at < postq.now() - p_settled
               or exists (select from postq.log_chunk c where c.attempt = a.id and c.number >= a.log_chunks))
        order by l.attempt limit p_limit
        for update of l skip locked
    ), sized as (
        select r.attempt, r.moved, s.last
        from ripe r cross join lateral (
            select max(b.number) filter (where b.behind >= p_tail) as last
            from (select c.number,
                         sum(octet_length(c.data)) over (order by c.number desc) - octet_length(c.data) as behind,
                         sum(octet_length(c.data)) over () as bytes
                  from postq.log_chunk c where c.attempt = r.attempt and c.number > r.moved) b
            where b.bytes >= 2 * p_tail
        ) s
    ), doubled as (
        -- Sent again at the moment when they were moved.
        delete from postq.log_chunk c using ripe r where c.attempt = r.attempt and c.number <= r.moved
    ), short as (
        delete from postq.long_log l using sized s where l.attempt = s.attempt and s.last is null
    ), taken as (
        update postq.long_log l set taken_at = postq.now()
        from sized s where l.attempt = s.attempt and s.last is not null
    )
    select s.attempt, s.moved, s.last from sized s order by s.attempt;
$$;
revoke all on function postq.take_logs(int, bigint, interval, interval) from public;
