-- Dumps that arrive part by part, each as a file in the data directory of whoever took its first part.
create table uploads (
    id bigint generated always as identity primary key,
    owner_id bigint not null references users,
    -- By which its owner's programs know it.
    key text not null,
    -- Of the dataset that it becomes, so that it becomes one and not two.
    request_id text not null default gen_random_uuid()::text,
    home text not null,
    name text not null,
    file_name text not null,
    total_bytes bigint not null check (total_bytes > 0),
    -- What has been written to the disk for good.
    received_bytes bigint not null default 0 check (received_bytes between 0 and total_bytes),
    dataset_id bigint references datasets on delete cascade,
    created_at timestamptz not null default clock_timestamp(),
    -- When something of it last arrived.
    touched_at timestamptz not null default clock_timestamp(),
    unique (owner_id, key)
);

create index uploads_by_dataset on uploads (dataset_id);
create index uploads_by_home on uploads (home, touched_at);
