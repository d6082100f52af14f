alter type job_kind add value 'benchmark';

-- Load tests: what was asked is in the spec, complete.
create table benchmarks (
    id bigint generated always as identity primary key,
    owner_id bigint not null references users,
    request_id text not null,
    job_id bigint not null references jobs,
    -- What it was made from may be deleted later; its name stays with the result.
    dataset_id bigint references datasets on delete set null,
    target_name text not null,
    -- The same for all that ask for the same.
    configuration text not null,
    spec jsonb not null,
    environment jsonb not null default '[]',
    -- How generated tables were loaded.
    load jsonb,
    headline text,
    is_met boolean,
    tags text[] not null default '{}' check (are_tags(tags)),
    memo text not null default '' check (char_length(memo) <= 2000),
    created_at timestamptz not null default clock_timestamp(),
    unique (owner_id, request_id)
);
create index benchmarks_by_job on benchmarks (job_id);
create index benchmarks_by_configuration on benchmarks (owner_id, configuration, id);

create type level_status as enum ('running', 'finished', 'stopped', 'failed', 'interrupted');

-- Each attempt at each level. One that was interrupted stays beside the one that follows it.
create table benchmark_levels (
    benchmark_id bigint not null references benchmarks on delete cascade,
    level_idx integer not null,
    attempt integer not null,
    epoch bigint not null,
    n_clients integer not null,
    source_idx integer,
    status level_status not null,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    measured_ms double precision,
    totals jsonb not null default '{}',
    latencies bytea,
    notes jsonb not null default '{}',
    primary key (benchmark_id, level_idx, attempt)
);

-- What one worker did in one second of an attempt; seconds of the warm-up are below 0.
create table benchmark_seconds (
    benchmark_id bigint not null,
    level_idx integer not null,
    attempt integer not null,
    share_idx integer not null,
    second_idx integer not null,
    started_at timestamptz not null,
    span_ms double precision not null,
    totals jsonb not null,
    n_connected integer not null,
    latencies bytea not null,
    errors jsonb not null,
    generator_cpu_ms double precision not null,
    server jsonb,
    primary key (benchmark_id, level_idx, attempt, share_idx, second_idx),
    foreign key (benchmark_id, level_idx, attempt) references benchmark_levels on delete cascade
);

-- By program, and by statement of a program; the whole transaction is -1.
create table benchmark_statements (
    benchmark_id bigint not null,
    level_idx integer not null,
    attempt integer not null,
    program_idx integer not null,
    command_idx integer not null,
    n bigint not null,
    n_failed bigint not null,
    latencies bytea not null,
    primary key (benchmark_id, level_idx, attempt, program_idx, command_idx),
    foreign key (benchmark_id, level_idx, attempt) references benchmark_levels on delete cascade
);
