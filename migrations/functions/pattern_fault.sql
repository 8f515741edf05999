-- What is wrong with a pattern, which is a line of a .gitignore file; null where nothing is. The rules and
-- the messages are those of postq_common::patterns.
create or replace function postq.pattern_fault(p_pattern text) returns text
language plpgsql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    c_most constant int := 4096;
    c_space constant text := '[\u0001-\u0020\u007F-\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]$';
    c_class constant text := '\[(?:[!^].|[^!^])(?:-[^]-])?(?:[^]-](?:-[^]-])?)*-?\]';
    -- What is one piece within braces and without.
    c_piece constant text := '\\[^/]|' || c_class || '|[^[{}\\]';
begin
    return coalesce(postq.name_fault('pattern', p_pattern, c_most), case
        when p_pattern like '#%' then 'is a comment; write \# for a name that begins so'
        when p_pattern ~ c_space then
            'ends in a space, which would not count; write [ ] for a name that ends so'
        when p_pattern ~ '^!?/*$' then 'names nothing; write it as a line of .gitignore, or remove it'
        when position('\/' in p_pattern) > 0
            or p_pattern !~ ('^(?:' || c_piece || '|\{(?:' || c_piece || ')*\})*$')
            or exists (
                select from regexp_matches(p_pattern, '\\.|' || c_class, 'g') as c (class),
                    regexp_matches(regexp_replace(c.class[1], '^\[[!^]?', ''), '(.)-([^]-])', 'g') as r (range)
                where c.class[1] like '[%' and r.range[1] > r.range[2] collate "C") then
            'is no pattern: a \, [ or { in it is not followed by what it needs; write \[ for the character itself'
        end);
end;
$$;
revoke all on function postq.pattern_fault(text) from public;
