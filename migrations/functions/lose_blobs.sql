-- Forgets blobs that were found damaged or gone in a pack, so that they count as missing and can be
-- sent again; all of the pack where p_digests is null.
create or replace function postq.lose_blobs(p_pack uuid, p_digests bytea[]) returns bigint
language plpgsql volatile
set search_path = pg_catalog, postq, pg_temp
as $$
declare
    v_count bigint;
begin
    delete from postq.blob b
    where b.pack = p_pack and (p_digests is null or b.digest = any (p_digests));
    get diagnostics v_count = row_count;
    return v_count;
end;
$$;
revoke all on function postq.lose_blobs(uuid, bytea[]) from public;
