-- What a document or a queue's settings say of a webhook, as job_spec keeps it; null where they name none.
create or replace function postq.webhook_of(p_webhook jsonb) returns jsonb
language sql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
    select jsonb_build_object('url', p_webhook ->> 'url', 'secret', coalesce(nullif(p_webhook ->> 'secret', ''), 'default'))
    where jsonb_typeof(p_webhook) = 'object';
$$;
revoke all on function postq.webhook_of(jsonb) from public;
