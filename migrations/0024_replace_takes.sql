-- They take and tell more now.
drop function if exists postq.take_scheduled(timestamptz[], uuid[], int[]);
drop function if exists postq.take_due(bigint[], timestamptz[], timestamptz, int);
drop function if exists postq.take_level(bigint[], bigint[], timestamptz[], timestamptz[], timestamptz, int);
drop function if exists postq.take_matching(
    bigint[], bigint[], timestamptz[], timestamptz[], timestamptz, int, jsonpath);
drop function if exists postq.record_success(
    bigint[], bigint[], uuid[], int[], int[], int[], text[], bytea[], bytea[], bytea[], bytea[], bytea[],
    bigint[], bigint[], jsonb[], text[], jsonb[]);
