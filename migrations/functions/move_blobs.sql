-- Makes known that blobs of one pack are in another now, whose object is durable. What is not in the
-- old one any more is left alone.
create or replace function postq.move_blobs(
    p_from uuid, p_to uuid, p_size bigint, p_digest bytea[], p_place bigint[]
) returns void
language sql volatile
set search_path = pg_catalog, postq, pg_temp
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
    insert into postq.pack (id, size_bytes, made_at) values (p_to, p_size, postq.now())
    on conflict (id) do nothing;
    update postq.blob b set pack = p_to, place = x.place
    from unnest(p_digest, p_place) as x (digest, place)
    where b.digest = x.digest and b.pack = p_from;
$$;
revoke all on function postq.move_blobs(uuid, uuid, bigint, bytea[], bigint[]) from public;
