-- Files that stay when their job is forgotten, and what the files of an execution took.

-- What of its files a job says that stays, as it was chosen once the job had ended.
create table postq.artifact (
    job uuid primary key,
    name text not null,
    queue text not null,
    state postq.state_of_job not null,
    finished_at timestamptz not null,
    kept_at timestamptz not null,
    -- Roots of the trees; null where there is nothing, and reason tells why.
    content bytea,
    times bytea,
    files bigint not null check (files >= 0),
    size_bytes bigint not null check (size_bytes >= 0),
    reason text,
    check ((content is null) = (times is null) and (content is null) = (reason is not null))
);

-- Bytes and milliseconds by name, as the agent told.
alter table postq.attempt add effort jsonb;

drop function if exists postq.finish(bigint[], bigint[], uuid[], int[], text[], int[], int[], text[], bytea[],
    bytea[], bytea[], bytea[], bytea[], bigint[], bigint[], boolean[], jsonb[], text[]);
drop function if exists postq.finish(bigint[], bigint[], uuid[], int[], text[], int[], int[], text[], bytea[],
    bytea[], bytea[], bytea[], bytea[], bigint[], bigint[], boolean[], jsonb[], text[], bigint[]);
drop function if exists postq.record(bigint[], bigint[], uuid[], int[], text[], int[], int[], text[], bytea[],
    bytea[], bytea[], bytea[], bytea[], bigint[], bigint[], boolean[], jsonb[], timestamptz[], text[]);
