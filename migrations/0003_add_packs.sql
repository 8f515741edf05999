-- Where blobs are: in packs, which are written once. The bytes are in the blob store.

create table postq.pack (
    id uuid primary key,
    size_bytes bigint not null check (size_bytes > 0),
    made_at timestamptz not null,
    -- Nothing refers to it any more; its object goes a little later, when nobody can be reading it.
    condemned_at timestamptz
);

-- The column that changes is not indexed, so that a touch stays on its page.
create table postq.blob (
    digest bytea primary key check (length(digest) = 32),
    pack uuid not null,
    -- Where in the pack, in bytes.
    place bigint not null check (place >= 0),
    stored_bytes int not null check (stored_bytes >= 0),
    -- Of the blob itself, where it is compressed.
    packed_bytes int check (packed_bytes > 0),
    -- When somebody last asked for it or found it in a snapshot that is kept.
    touched_at timestamptz not null
) with (fillfactor = 85);
create index blob_by_pack on postq.blob (pack);

-- What an ended job keeps of its snapshots has been decided.
alter table postq.snapshot add is_trimmed boolean not null default false;
