-- Milliseconds until the next deadline of a job that is still to come; null where there is none.
create or replace function postq.next_deadline_ms() returns bigint
language sql stable
set search_path = pg_catalog, postq, pg_temp
set enable_seqscan = off
as $$
    select (extract(epoch from d.at - postq.now()) * 1000)::bigint
    from postq.deadline d where d.at > postq.now() order by d.at limit 1;
$$;
revoke all on function postq.next_deadline_ms() from public;
