-- Refuses (PQ005) a webhook (see webhook_of) that no coordinator would serve: they say at their start where
-- to they send and which secrets they have (the fact `webhooks`). Null is none.
create or replace function postq.check_webhook(p_webhook jsonb) returns void
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_known jsonb;
begin
    if p_webhook is null then
        return;
    end if;
    select f.value::jsonb into v_known from postq.fact f where f.key = 'webhooks';
    perform postq.check_argument('webhook.url', case when not exists (
        select from jsonb_array_elements_text(v_known -> 'allow') a (prefix)
        where p_webhook ->> 'url' = a.prefix or starts_with(p_webhook ->> 'url', a.prefix)
          and (a.prefix like '%/' or substr(p_webhook ->> 'url', length(a.prefix) + 1, 1) in ('/', '?')))
        then 'is not among the destinations that coordinators are allowed to send to (--webhook-allow)' end);
    perform postq.check_argument('webhook.secret', case when not coalesce(v_known -> 'secrets' ? (p_webhook ->> 'secret'), false)
        then format('%s is not among the secrets that coordinators have (--webhook-secrets)', quote_ident(p_webhook ->> 'secret')) end);
end;
$$;
revoke all on function postq.check_webhook(jsonb) from public;
