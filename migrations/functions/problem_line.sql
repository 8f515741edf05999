-- One problem of a document as a line of text. p_path: the names on the way to the field;
-- p_place: "[n]" inside a list. As postq_common::spec::Problem shows itself.
create or replace function postq.problem_line(p_path text[], p_place text, p_message text) returns text
language sql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
    select coalesce(nullif(string_agg(postq.shown(t.name), '.' order by t.nth) || p_place, '') || ': ', '')
           || p_message
    from unnest(p_path) with ordinality as t (name, nth);
$$;
revoke all on function postq.problem_line(text[], text, text) from public;
