-- What kept a job from going on, for people to read beside what the job made.
create table interruptions (
    id bigint generated always as identity primary key,
    job_id bigint not null references jobs on delete cascade,
    -- What it was doing.
    stage text not null,
    reason text not null,
    happened_at timestamptz not null default clock_timestamp()
);
create index interruptions_by_job on interruptions (job_id);
