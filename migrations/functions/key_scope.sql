-- Among which jobs a key is looked for: those of the queue, or (empty) all that say so.
create or replace function postq.key_scope(p_queue text, p_unique jsonb) returns text
language sql immutable
return case when (p_unique ->> 'is_global')::boolean then '' else p_queue end;
revoke all on function postq.key_scope(text, jsonb) from public;
