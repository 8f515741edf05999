-- When the n-th of several jobs begins, counted from 0, of which p_rate begin per second; null: at once.
create or replace function postq.start_of_nth(p_n bigint, p_rate double precision) returns timestamptz
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select case when p_n > 0 and p_rate is not null then postq.now() + make_interval(secs => p_n / p_rate) end;
$$;
revoke all on function postq.start_of_nth(bigint, double precision) from public;
