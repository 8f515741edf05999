-- What is wrong with the key and the limit of a task's concurrency or rate; a part of pace_faults.
create or replace function postq.share_faults(p_field text, p_rank numeric, p_share jsonb)
returns table (rank numeric, field text, message text)
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select r.rank, p_field || r.field, r.message
    from (values
        (p_rank, '.key', case when coalesce(p_share ->> 'key', '') = '' then 'is empty; name a key'
            else postq.name_fault('key', p_share ->> 'key', 255) end),
        (p_rank + 1, '.limit', case when coalesce((p_share ->> 'limit')::int, 0) < 1 then
            format('is %s; write 1 or more', coalesce((p_share ->> 'limit')::int, 0)) end)
    ) as r (rank, field, message)
    where r.message is not null;
$$;
revoke all on function postq.share_faults(text, numeric, jsonb) from public;
