-- Each attempt has a time of its own at which it is tried again.
drop function if exists postq.conclude_all(uuid[], bigint[], text, text, bytea, jsonb[], timestamptz, boolean);
