create type restore_note_kind as enum ('skipped', 'failed', 'note');

create table datasets (
    id bigint generated always as identity primary key,
    owner_id bigint not null references users,
    request_id text not null,
    job_id bigint not null references jobs,
    name text not null,
    file_name text not null,
    size_bytes bigint not null,
    sha256 text not null,
    format text not null,
    compression text not null,
    created_at timestamptz not null default clock_timestamp(),
    -- Known once it is restored.
    server_version text,
    encoding text,
    locale text,
    database_bytes bigint,
    restore_ms bigint,
    extensions text[] not null default '{}',
    settings jsonb not null default '[]',
    has_imported_statistics boolean not null default false,
    unique (owner_id, request_id)
);

create table dataset_tables (
    dataset_id bigint not null references datasets on delete cascade,
    position integer not null,
    schema_name text not null,
    table_name text not null,
    n_rows bigint not null,
    size_bytes bigint not null,
    n_columns integer not null,
    primary key (dataset_id, position)
);

create table restore_notes (
    dataset_id bigint not null references datasets on delete cascade,
    position integer not null,
    kind restore_note_kind not null,
    line bigint not null,
    statement text not null,
    reason text not null,
    primary key (dataset_id, position)
);
