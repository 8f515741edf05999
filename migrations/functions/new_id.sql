-- A UUIDv7: milliseconds since 1970 in the first 48 bits, so that ids sort by their making.
-- Postgres has its own only from version 18 on.
create or replace function postq.new_id() returns uuid
language sql volatile
return encode(
    set_byte(
        overlay(
            uuid_send(gen_random_uuid())
            placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
            from 1 for 6),
        6, 112 + (get_byte(uuid_send(gen_random_uuid()), 0) & 15)),
    'hex')::uuid;
revoke all on function postq.new_id() from public;
