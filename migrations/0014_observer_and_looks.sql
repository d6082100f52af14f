-- What measuring costs: a query in three ways, each by the client's clock.
alter type trial_kind add value 'plain';
alter type trial_kind add value 'timing_off';
alter type trial_kind add value 'timing_on';
-- What the server itself says of a trial that the client has timed.
alter table trials add column server_ms double precision;

-- Computed once, when an experiment settles.
create table taxes (
    experiment_id bigint not null references experiments on delete cascade,
    query_idx integer not null,
    n_rounds integer not null,
    plain_ms double precision not null,
    off_ms double precision not null,
    off_server_ms double precision not null,
    off_ratio double precision not null,
    off_low double precision,
    off_high double precision,
    on_ms double precision not null,
    on_server_ms double precision not null,
    on_ratio double precision not null,
    on_low double precision,
    on_high double precision,
    primary key (experiment_id, query_idx)
);

-- What else went on at the server and its machine, by visit, or by several short ones; none of experiments before this
-- was looked at.
create table looks (
    experiment_id bigint not null references experiments on delete cascade,
    -- Places in the schedule, both included.
    first_trial integer not null,
    last_trial integer not null,
    n_visits integer not null,
    took_ms double precision not null,
    saw_checkpoint boolean not null,
    n_autovacuum integer not null,
    n_sessions integer not null,
    -- Not known of another machine, and where the system does not tell.
    cpu_wait_ms double precision,
    io_wait_ms double precision,
    steal_ms double precision,
    primary key (experiment_id, first_trial)
);
