-- Whether it is this caller's turn to collect garbage: nobody has begun within p_period.
create or replace function postq.begin_collection(p_period interval) returns boolean
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    insert into postq.fact as f (key, value) values ('collected_at', postq.now()::text)
    on conflict (key) do update set value = excluded.value
    where f.value::timestamptz <= postq.now() - p_period;
    return found;
end;
$$;
revoke all on function postq.begin_collection(interval) from public;
