-- How sure a median is and how much its trials differ.
create type noise_grade as enum ('quiet', 'fair', 'noisy', 'very_noisy');
alter table summaries
    add column low_ms double precision,
    add column low_is_above boolean not null default false,
    add column high_ms double precision,
    add column high_is_above boolean not null default false,
    add column relative_deviation double precision,
    add column noise noise_grade,
    add column n_outliers integer not null default 0;

-- Two sources beside each other, for every pair of them once: the earlier one is the baseline. What is said of a comparison
-- depends on what else is compared and is worked out from these rows when they are shown.
create table comparisons (
    experiment_id bigint not null references experiments on delete cascade,
    base_idx integer not null,
    source_idx integer not null,
    query_idx integer not null,
    n_rounds integer not null,
    n_censored integer not null,
    ratio double precision not null,
    low double precision,
    high double precision,
    log_error double precision,
    p_value double precision not null,
    primary key (experiment_id, base_idx, source_idx, query_idx),
    check (base_idx < source_idx)
);
create index comparisons_by_source on comparisons (experiment_id, source_idx);

-- The same of all queries together.
create table overall_comparisons (
    experiment_id bigint not null references experiments on delete cascade,
    base_idx integer not null,
    source_idx integer not null,
    n_queries integer not null,
    n_rounds integer not null,
    ratio double precision not null,
    low double precision,
    high double precision,
    primary key (experiment_id, base_idx, source_idx),
    check (base_idx < source_idx)
);

-- What the statistics of a source take in pg_statistic.
alter table experiment_sources add column statistics_bytes bigint;

-- Experiments that have settled get the new numbers from their trials at the next start.
delete from summaries;
