-- Forgets packs whose objects are gone.
create or replace function postq.forget_packs(p_packs uuid[]) returns void
language sql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
    delete from postq.pack p where p.id = any (p_packs) and p.condemned_at is not null;
$$;
revoke all on function postq.forget_packs(uuid[]) from public;
