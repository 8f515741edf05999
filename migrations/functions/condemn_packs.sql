-- Condemns packs of which nothing is used any more. Returns those that were condemned before
-- p_before, whose objects may go.
create or replace function postq.condemn_packs(p_before timestamptz) returns uuid[]
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
begin
    update postq.pack p set condemned_at = postq.now()
    where p.condemned_at is null and not exists (select from postq.blob b where b.pack = p.id);
    return (select coalesce(array_agg(p.id), '{}') from postq.pack p where p.condemned_at < p_before);
end;
$$;
revoke all on function postq.condemn_packs(timestamptz) from public;
