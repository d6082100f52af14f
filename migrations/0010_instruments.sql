alter type job_kind add value 'instrument';

-- Bisect, lottery and their kin: what was asked is in the spec, what came out in the result.
create table instruments (
    id bigint generated always as identity primary key,
    owner_id bigint not null references users,
    request_id text not null,
    job_id bigint not null references jobs,
    -- What it was made from may be deleted later; its names stay with the result.
    dataset_id bigint references datasets on delete set null,
    experiment_id bigint references experiments on delete set null,
    dataset_name text not null,
    spec jsonb not null,
    -- Written as soon as something is known, and for the last time when the job ends.
    result jsonb,
    headline text,
    created_at timestamptz not null default clock_timestamp(),
    unique (owner_id, request_id)
);
create index instruments_by_job on instruments (job_id);

-- What it found out, one by one: a job that was interrupted takes these for given and goes on behind the last.
create table instrument_steps (
    instrument_id bigint not null references instruments on delete cascade,
    step_idx integer not null,
    epoch bigint not null,
    step jsonb not null,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (instrument_id, step_idx)
);

-- Each plan that it has seen, once.
create table instrument_plans (
    instrument_id bigint not null references instruments on delete cascade,
    query_idx integer not null,
    fingerprint text not null,
    cost double precision,
    explain text not null,
    primary key (instrument_id, query_idx, fingerprint)
);

-- Statistics that were drawn in a step and cannot be drawn again.
create table instrument_snapshots (
    instrument_id bigint not null references instruments on delete cascade,
    step_idx integer not null,
    snapshot jsonb not null,
    primary key (instrument_id, step_idx)
);
