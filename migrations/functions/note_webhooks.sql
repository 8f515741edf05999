-- Notes where to coordinators send and which secrets they have, for check_webhook: {"allow": [prefix],
-- "secrets": [name]}. Called by a coordinator at its start; all of one database are to be told the same.
create or replace function postq.note_webhooks(p_webhooks jsonb) returns void
language sql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
    insert into postq.fact (key, value) values ('webhooks', p_webhooks::text)
    on conflict (key) do update set value = excluded.value where fact.value <> excluded.value;
$$;
revoke all on function postq.note_webhooks(jsonb) from public;
