-- What is wrong with the name of a queue that somebody wants to use; null where nothing is, or where
-- it is null.
create or replace function postq.queue_fault(p_queue text) returns text
language sql stable
return case
    when p_queue = '' then 'is empty; name a queue'
    else postq.name_fault('queue name', p_queue, 259) end;
revoke all on function postq.queue_fault(text) from public;
