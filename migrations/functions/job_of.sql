-- The job that create_job has found there already, by its id or by its key.
create or replace function postq.job_of(p_job jsonb) returns uuid
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select coalesce(
        (select j.id from postq.job j where j.id = (p_job ->> 'id')::uuid),
        (select k.job from postq.unique_key k
         where k.scope = postq.key_scope(p_job ->> 'queue', p_job -> 'unique') and k.key = p_job #>> '{unique,key}'),
        (p_job ->> 'id')::uuid);
$$;
revoke all on function postq.job_of(jsonb) from public;
