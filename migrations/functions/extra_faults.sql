-- What is wrong with the container and the secrets of a task; a part of check_fields, which says what
-- the ranks are. key: of a secret.
create or replace function postq.extra_faults(p_task jsonb)
returns table (rank numeric, key text, field text, place text, message text)
language plpgsql stable
set search_path = pg_catalog, postq, pg_temp
as $$
#variable_conflict use_column
declare
    c_name constant int := 255;
    c_words constant int := 131071;
    c_extras constant int := 100;
    c_extra constant int := 4096;
    c_control constant text := '[\u0001-\u001F\u007F-\u009F]';
    c_dots constant text := '(^|/)\.\.?(/|$)';
    c_word constant text := '[A-Za-z0-9_][A-Za-z0-9_.-]*';
    v_container jsonb := p_task -> 'container';
    v_entrypoint jsonb := coalesce(v_container -> 'entrypoint', '[]');
    v_mounts jsonb := coalesce(v_container -> 'mounts', '[]');
    v_secrets jsonb := coalesce(nullif(p_task -> 'secrets', 'null'), '{}');
begin
    if jsonb_typeof(v_container) = 'object' then
        return query
        select r.rank, null::text, 'container' || r.field, r.place, r.message
        from (values
            (30, '', '', case when p_task ->> 'image' is null then
                'is for an image, and the task has none; name one, or remove it' end),
            (30.1, '.entrypoint', '[0]', case when v_entrypoint ->> 0 = '' then 'is empty; name a program' end),
            (30.2, '.entrypoint', '', (
                select postq.size_fault(sum(octet_length(w.word) + 1), c_words)
                from jsonb_array_elements_text(v_entrypoint) as w (word))),
            (30.4, '.user', '', case when v_container ->> 'user' !~ ('^(' || c_word || '(:' || c_word || ')?)?$')
                or octet_length(v_container ->> 'user') > c_name then
                'is no user; write a name or a number, or USER:GROUP' end),
            (30.5, '.network', '', case when v_container ->> 'network' !~ ('^(' || c_word || ')?$')
                or octet_length(v_container ->> 'network') > c_name then 'is not the name of a network' end),
            (30.6, '.platform', '', case when v_container ->> 'platform' !~ '^([a-z0-9]+(/[a-z0-9]+){0,2})?$'
                or octet_length(v_container ->> 'platform') > c_name then
                'is no platform; write it as linux/arm64' end),
            (30.7, '.gpus', '', case when v_container ->> 'gpus' !~ '^(all|[1-9][0-9]{0,2})?$' then
                'is no number of GPUs; write all, or a number from 1 to 999' end),
            (30.8, '.mounts', '', case when jsonb_array_length(v_mounts) > c_extras then
                format('has %s mounts; it may have %s', jsonb_array_length(v_mounts), c_extras) end)
        ) as r (rank, field, place, message)
        where r.message is not null;
        return query
        select 31 + m.nth / 1000000.0, null::text, 'container.mounts', format('[%s]', m.nth - 1), case
            when octet_length(m.mount) > c_extra then postq.size_fault(octet_length(m.mount), c_extra)
            when m.mount !~ '^/[^:]*:/[^:]*(:r[ow])?$' or m.mount ~ c_control
                or split_part(m.mount, ':', 1) ~ c_dots or split_part(m.mount, ':', 2) ~ c_dots then
                'is no mount; write it as SOURCE:TARGET or SOURCE:TARGET:ro, both absolute and without ..'
            else 'covers /workspace or /postq, which are taken; choose another target' end
        from jsonb_array_elements_text(v_mounts) with ordinality as m (mount, nth)
        where octet_length(m.mount) > c_extra or m.mount ~ c_control
           or m.mount !~ '^/[^:]*:/[^:]*(:r[ow])?$'
           or split_part(m.mount, ':', 1) ~ c_dots or split_part(m.mount, ':', 2) ~ c_dots
           or split_part(m.mount, ':', 2) ~ '^/+((workspace|postq)(/.*)?)?$';
    end if;
    if v_secrets <> '{}' then
        return query
        select r.rank, null::text, 'secrets', '', r.message
        from (values
            (40, case when p_task ->> 'handler' is not null then
                'are for a command, and a handler runs none; remove them' end),
            (40.1, case when (select count(*) from jsonb_object_keys(v_secrets)) > c_extras then
                format('has %s secrets; it may have %s', (select count(*) from jsonb_object_keys(v_secrets)), c_extras) end)
        ) as r (rank, message)
        where r.message is not null;
        return query
        select 41 + (s.nth * 10 + r.nth) / 100000000.0, s.name, null::text, '', r.message
        from (select e.key as name, e.value as reference, row_number() over (order by e.key collate "C") as nth
              from jsonb_each_text(v_secrets) e) s
        cross join lateral unnest(array[
            case
                when s.name = '' then 'is empty; give the variable a name'
                when s.name like '%=%' then 'has a "=", which ends a variable''s name; use another character'
                else postq.name_fault('variable name', s.name, c_name) end,
            case when octet_length(s.reference) > c_extra or not case
                when s.reference like 'env:%' then s.reference ~ '^env:[A-Za-z_][A-Za-z0-9_]*$'
                when s.reference like 'file:%' then s.reference ~ '^file:[^/]+(/[^/]+)*$'
                    and s.reference !~ c_control and substr(s.reference, 6) !~ c_dots
                else (s.reference ~ ('^' || c_word || '$') and octet_length(s.reference) <= c_name)
                    or (s.reference ~ ('^-' || c_word || '$') and octet_length(s.reference) <= c_name + 1) end then
                'is no reference; write env:NAME, file:PATH or the name of a secret' end
        ]) with ordinality as r (message, nth)
        where r.message is not null;
    end if;
end;
$$;
revoke all on function postq.extra_faults(jsonb) from public;
