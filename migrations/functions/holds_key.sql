-- Whether a job still holds a key that it has taken. A job that is gone holds none.
create or replace function postq.holds_key(p_job uuid, p_until timestamptz) returns boolean
language sql stable
set search_path = pg_catalog, postq, pg_temp
as $$
    select case when p_until is not null then p_until > postq.now()
        else exists (select from postq.job j where j.id = p_job and j.finished_at is null) end;
$$;
revoke all on function postq.holds_key(uuid, timestamptz) from public;
