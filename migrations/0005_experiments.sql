create type trial_kind as enum ('warm_up', 'measured');
create type trial_outcome as enum ('finished', 'timed_out', 'failed');

create table experiments (
    id bigint generated always as identity primary key,
    owner_id bigint not null references users,
    request_id text not null,
    job_id bigint not null references jobs,
    -- What it was made from may be deleted later; its names stay with the results.
    dataset_id bigint references datasets on delete set null,
    workload_id bigint references workloads on delete set null,
    dataset_name text not null,
    dataset_sha256 text not null,
    workload_name text not null,
    workload_sha256 text not null,
    spec jsonb not null,
    n_trials integer not null,
    created_at timestamptz not null default clock_timestamp(),
    environment jsonb not null default '[]',
    headline text,
    unique (owner_id, request_id)
);
create index experiments_by_job on experiments (job_id);

create table experiment_queries (
    experiment_id bigint not null references experiments on delete cascade,
    query_idx integer not null,
    label text not null,
    line bigint not null,
    sql text not null,
    class query_class not null,
    primary key (experiment_id, query_idx)
);

create table experiment_sources (
    experiment_id bigint not null references experiments on delete cascade,
    source_idx integer not null,
    name text not null,
    label text not null,
    params jsonb not null,
    -- Filled when the source is prepared.
    snapshot jsonb,
    snapshot_sha256 text,
    targets jsonb,
    apply_ms double precision,
    primary key (experiment_id, source_idx)
);

-- A stretch of measuring without interruption.
create table segments (
    experiment_id bigint not null references experiments on delete cascade,
    segment_no integer not null,
    epoch bigint not null,
    first_trial integer not null,
    reason text not null,
    started_at timestamptz not null default clock_timestamp(),
    primary key (experiment_id, segment_no)
);

create table plans (
    experiment_id bigint not null references experiments on delete cascade,
    source_idx integer not null,
    query_idx integer not null,
    explain text,
    analyzed text,
    fingerprint text,
    cost double precision,
    buffers bigint,
    worst_q_error double precision,
    mean_q_error double precision,
    message text,
    primary key (experiment_id, source_idx, query_idx)
);

create table trials (
    experiment_id bigint not null references experiments on delete cascade,
    trial_idx integer not null,
    kind trial_kind not null,
    round integer not null,
    source_idx integer not null,
    query_idx integer not null,
    segment_no integer not null,
    epoch bigint not null,
    outcome trial_outcome not null,
    execution_ms double precision,
    planning_ms double precision,
    cost double precision,
    sqlstate text,
    message text,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (experiment_id, trial_idx)
);
create unique index trials_once on trials (experiment_id, query_idx, source_idx, kind, round);

-- Computed once, when an experiment settles; pages and exports read these rows.
create table summaries (
    experiment_id bigint not null references experiments on delete cascade,
    source_idx integer not null,
    query_idx integer not null,
    n integer not null,
    n_finished integer not null,
    n_timed_out integer not null,
    n_failed integer not null,
    mean_ms double precision,
    stddev_ms double precision,
    median_ms double precision,
    median_is_above boolean not null default false,
    min_ms double precision,
    min_is_above boolean not null default false,
    p95_ms double precision,
    p95_is_above boolean not null default false,
    planning_ms double precision,
    cost double precision,
    plan_letter text,
    message text,
    primary key (experiment_id, source_idx, query_idx)
);
