-- Processes of pgassay that take work from this store. One that is gone for an hour is removed.
create table workers (
    id bigint generated always as identity primary key,
    -- Its machine and its process number; it owns leases by this name.
    name text not null,
    machine text not null,
    version text not null,
    n_processors integer not null,
    can_run_sandboxes boolean not null,
    home text not null,
    started_at timestamptz not null default clock_timestamp(),
    heartbeat_at timestamptz not null default clock_timestamp(),
    -- How far its machine's clock is ahead of this database's, and how sure that is: half of the shortest round trip.
    clock_offset_ms double precision not null,
    clock_error_ms double precision not null,
    left_at timestamptz
);
create index workers_by_name on workers (name);

create type share_status as enum ('offered', 'connected', 'running', 'done', 'failed', 'lost');

-- What each worker does of an attempt at a level, where several make its load.
create table benchmark_shares (
    benchmark_id bigint not null,
    level_idx integer not null,
    attempt integer not null,
    share_idx integer not null,
    job_id bigint not null references jobs,
    -- Of the lease of that job: whoever works on a share has no right to do so when it is held by another.
    epoch bigint not null,
    worker_id bigint references workers on delete set null,
    n_clients integer not null,
    first_client integer not null,
    -- How its clients reach the database, sealed.
    route bytea,
    status share_status not null,
    n_connected integer not null default 0,
    clock_error_ms double precision,
    -- Clients of all shares that are connected, and the moment at which they begin.
    n_connected_in_all integer,
    begin_at timestamptz,
    is_stopped boolean not null default false,
    report jsonb,
    message text,
    primary key (benchmark_id, level_idx, attempt, share_idx),
    foreign key (benchmark_id, level_idx, attempt) references benchmark_levels on delete cascade
);
create index benchmark_shares_current on benchmark_shares (worker_id) where status in ('offered', 'connected', 'running');
