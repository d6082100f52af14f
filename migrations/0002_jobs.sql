-- The queue. A job is one piece of heavy work; its row carries the lease of whoever runs it.
create type job_kind as enum ('restore', 'check', 'experiment');
create type job_status as enum ('queued', 'running', 'completed', 'failed', 'cancelled');

create table jobs (
    id bigint generated always as identity primary key,
    owner_id bigint not null references users,
    kind job_kind not null,
    status job_status not null default 'queued',
    -- The data directory that holds the files this job needs.
    home text not null,
    -- The machine it runs on, while it runs.
    host text,
    lease_owner text,
    lease_until timestamptz,
    -- The fencing token: it grows with every claim, and a write that carries an older one changes nothing.
    epoch bigint not null default 0,
    -- Interruptions since something was last recorded.
    interruptions integer not null default 0,
    cancel_requested boolean not null default false,
    stage text not null default 'waiting',
    progress jsonb not null default '{}',
    message text,
    created_at timestamptz not null default clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz
);

-- One measurement at a time per machine, across processes.
create unique index jobs_one_running_per_host on jobs (host) where status = 'running';
create index jobs_waiting on jobs (id) where status in ('queued', 'running');
