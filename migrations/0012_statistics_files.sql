-- Relations and columns of a dataset as its restore found them; none for datasets restored before this was kept.
alter table datasets add column inventory jsonb;

-- Planner statistics from elsewhere, kept for one dataset.
create table statistics_files (
    id bigint generated always as identity primary key,
    dataset_id bigint not null references datasets on delete cascade,
    request_id text not null,
    name text not null,
    format text not null,
    size_bytes bigint not null,
    sha256 text not null,
    created_at timestamptz not null default clock_timestamp(),
    server_version_num integer,
    exported_at timestamptz,
    n_relations bigint not null,
    n_columns bigint not null,
    contents jsonb not null,
    -- Experiments name a file by its name.
    unique (dataset_id, name),
    unique (dataset_id, request_id)
);
