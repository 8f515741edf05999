-- What is wrong with a webhook as it is written; the same rules as postq_common::webhook. Without users,
-- fragments, backslashes and segments of dots, an address begins with an allowed one only where it leads
-- below that.
create or replace function postq.webhook_faults(p_webhook jsonb) returns table (rank int, field text, message text)
language sql immutable strict
set search_path = pg_catalog, postq, pg_temp
as $$
    select f.rank, f.field, f.message
    from (values
        (24, 'webhook.url', case
            when octet_length(coalesce(p_webhook ->> 'url', '')) > 2048 then
                format('has %s bytes; it may have 2048', octet_length(p_webhook ->> 'url'))
            when coalesce(p_webhook ->> 'url', '') !~ '^https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?(/[!-~]*)?$'
                or p_webhook ->> 'url' ~ '[#\\]'
                or p_webhook ->> 'url' ~* '/(\.|%2e){1,2}(/|\?|$)' then
                'is no address of a webhook; write https://HOST/PATH, the host in small letters and without a user, a fragment or segments of dots' end),
        (25, 'webhook.secret', case
            when coalesce(p_webhook ->> 'secret', '') !~ '^([A-Za-z0-9_][A-Za-z0-9_.-]{0,99})?$' then
                'is not the name of a secret, which has letters, digits, _, . and -' end)
    ) as f (rank, field, message)
    where f.message is not null;
$$;
revoke all on function postq.webhook_faults(jsonb) from public;
