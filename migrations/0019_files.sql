-- The name of this store: several may keep their dumps in one depot.
create table store_names (name uuid primary key default gen_random_uuid());
insert into store_names default values;

-- Whether any machine can fetch the dump.
alter table datasets add column is_in_depot boolean not null default false;

-- From now on the data directory that has to do a job; any, when there is none. Work on a dataset has none: it is done
-- where the dataset's restore was done.
alter table jobs alter column home drop not null;
-- The data directory that does it, while it is done.
alter table jobs add column lease_home text;
update jobs set lease_home = home where status = 'running';
update jobs set home = null where kind <> 'restore';

create index datasets_by_job on datasets (job_id);
create index workload_checks_by_job on workload_checks (job_id);

-- Every data directory in which work of this store was done, the machine that has it, and when a process in it last said
-- that it is there.
create table homes (
    home text primary key,
    machine text not null,
    seen_at timestamptz not null default clock_timestamp()
);
