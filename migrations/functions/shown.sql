-- A user's text as a message may repeat it: on one line and not too long. The same rule as
-- postq_common::spec::shown.
create or replace function postq.shown(p_text text) returns text
language plpgsql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    c_chars constant int := 80;
    v_text text := left(p_text, c_chars);
    v_shown text := '';
begin
    if v_text ~ '[\u0001-\u001F\u007F-\u009F]' then
        select string_agg(case
            when c = e'\t' then '\t'
            when c = e'\r' then '\r'
            when c = e'\n' then '\n'
            when c ~ '[\u0001-\u001F\u007F-\u009F]' then format('\u{%s}', to_hex(ascii(c)))
            else c end, '' order by nth)
        into v_text
        from regexp_split_to_table(v_text, '') with ordinality as t (c, nth);
    end if;
    return v_text || case when length(p_text) > c_chars then '...' else '' end;
end;
$$;
revoke all on function postq.shown(text) from public;
