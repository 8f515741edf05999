-- An agent may say when to try again: finish takes that as one more argument, which may be left out.
drop function if exists postq.finish(bigint[], bigint[], uuid[], int[], text[], int[], int[], text[], bytea[],
    bytea[], bytea[], bytea[], bytea[], bigint[], bigint[], boolean[], jsonb[], text[]);
