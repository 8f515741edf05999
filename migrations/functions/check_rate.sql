-- Refuses (PQ005) a number of jobs per second that is none, and how many there may be at most.
create or replace function postq.check_rate(p_rate double precision, p_count int, p_most int) returns void
language plpgsql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    perform postq.check_argument('rate', case when p_rate not between 0.001 and 1000000 then
        format('is %s; it may be 0.001 to 1000000 jobs per second, or null for all at once', p_rate) end);
    perform postq.check_argument('max_count', case when coalesce(p_count, 0) not between 1 and p_most then
        format('is %s; it may be 1 to %s', coalesce(p_count::text, 'null'), p_most) end);
end;
$$;
revoke all on function postq.check_rate(double precision, int, int) from public;
