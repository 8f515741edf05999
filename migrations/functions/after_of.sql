-- What a document says of the jobs it waits for, as create_job takes it; null where it waits for
-- none. The document was checked.
create or replace function postq.after_of(p_document jsonb) returns jsonb
language sql immutable
set search_path = pg_catalog, postq, pg_temp
as $$
    select jsonb_build_object('jobs', a.said -> 'jobs', 'run_if',
        case coalesce(a.said ->> 'run_if', a.said ->> 'runIf')
            when 'FAILED' then 'failed' when '1' then 'failed'
            when 'FINISHED' then 'finished' when '2' then 'finished'
            else 'succeeded' end)
    from (select p_document -> 'after' as said) a
    where jsonb_typeof(a.said) = 'object';
$$;
revoke all on function postq.after_of(jsonb) from public;
