-- What is wrong with a Retention in proto3-JSON; null where nothing is.
create or replace function postq.retention_fault(p_retention jsonb) returns text
language sql immutable strict
set search_path = pg_catalog, postq, pg_temp
as $$
    select case
        when f.stranger is not null then format('has no field %s; write age, jobs or both', quote_ident(f.stranger))
        when jsonb_typeof(f.age) not in ('string', 'null') or f.age #>> '{}' !~ '^-?[0-9]{1,11}(\.[0-9]{1,9})?s$' then
            format('has an age of %s, which is no duration; write seconds, as "604800s"', f.age)
        when rtrim(f.age #>> '{}', 's')::numeric not between 1 and 3155760000 then
            format('has an age of %s; it may be 1 s to 100 years', f.age #>> '{}')
        when jsonb_typeof(f.jobs) not in ('number', 'null') or (f.jobs #>> '{}')::numeric % 1 <> 0
            or (f.jobs #>> '{}')::numeric not between 0 and 1000000 then
            format('keeps %s jobs; write 1 to 1000000, or 0 for any number', f.jobs) end
    from (select p_retention -> 'age' as age, p_retention -> 'jobs' as jobs,
                 (select min(k) from jsonb_object_keys(p_retention) k where k not in ('age', 'jobs')) as stranger) f;
$$;
revoke all on function postq.retention_fault(jsonb) from public;
