create type query_class as enum ('reads', 'writes', 'refused');
create type check_status as enum ('ready', 'broken');

create table workloads (
    id bigint generated always as identity primary key,
    owner_id bigint not null references users,
    request_id text not null,
    name text not null,
    file_name text not null,
    script text not null,
    sha256 text not null,
    created_at timestamptz not null default clock_timestamp(),
    unique (owner_id, request_id)
);

create table workload_queries (
    workload_id bigint not null references workloads on delete cascade,
    position integer not null,
    label text not null,
    line bigint not null,
    sql text not null,
    class query_class not null,
    refusal text,
    primary key (workload_id, position)
);

-- The newest check of a workload against a dataset.
create table workload_checks (
    workload_id bigint not null references workloads on delete cascade,
    dataset_id bigint not null references datasets on delete cascade,
    owner_id bigint not null references users,
    job_id bigint not null references jobs,
    primary key (workload_id, dataset_id)
);

create table workload_check_results (
    workload_id bigint not null,
    dataset_id bigint not null,
    position integer not null,
    status check_status not null,
    message text,
    line bigint,
    primary key (workload_id, dataset_id, position),
    foreign key (workload_id, dataset_id) references workload_checks on delete cascade
);
