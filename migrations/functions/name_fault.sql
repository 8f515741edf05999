-- What is wrong with a name (of a p_what); null where nothing is. An empty one is fine here.
create or replace function postq.name_fault(p_what text, p_name text, p_max int) returns text
language sql stable
return case
    when octet_length(p_name) > p_max then
        format('has %s bytes; a %s may have %s', octet_length(p_name), p_what, p_max)
    when p_name ~ '[\u0001-\u001F\u007F-\u009F]' then
        format('has a control character; a %s is printable text', p_what) end;
revoke all on function postq.name_fault(text, text, int) from public;
