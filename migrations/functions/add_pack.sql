-- Makes known a pack whose object is durable, with the blobs in it. A blob that is known already
-- stays where it is. A pack that is known is closed: nothing can be said to be in it any more, so that sent
-- twice it changes nothing.
create or replace function postq.add_pack(
    p_pack uuid, p_size bigint, p_digest bytea[], p_place bigint[], p_stored int[], p_packed int[]
) returns void
language sql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
    with made as (
        insert into postq.pack (id, size_bytes, made_at) values (p_pack, p_size, postq.now())
        on conflict (id) do nothing returning id
    )
    -- In one order, so that two that add the same blobs wait for each other and no more.
    insert into postq.blob as b (digest, pack, place, stored_bytes, packed_bytes, touched_at)
    select x.digest, made.id, x.place, x.stored, x.packed, postq.now()
    from made, unnest(p_digest, p_place, p_stored, p_packed) as x (digest, place, stored, packed)
    order by x.digest
    on conflict (digest) do update set touched_at = excluded.touched_at
    where b.touched_at < excluded.touched_at;
$$;
revoke all on function postq.add_pack(uuid, bigint, bytea[], bigint[], int[], int[]) from public;
