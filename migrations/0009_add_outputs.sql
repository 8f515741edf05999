-- What a task gives beside its files and its output, and what it ran in.

-- What the image of its container was, by digest.
alter table postq.attempt add image text;

drop function if exists postq.finish(bigint[], bigint[], uuid[], int[], text[], int[], int[], text[], bytea[],
    bytea[], bytea[], bytea[], bytea[], bigint[], bigint[], boolean[]);
drop function if exists postq.record(bigint[], bigint[], uuid[], int[], text[], int[], int[], text[], bytea[],
    bytea[], bytea[], bytea[], bytea[], bigint[], bigint[], boolean[], jsonb[], timestamptz[]);
