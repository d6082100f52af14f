-- What is over is counted when it ends, so that whoever watches over this pgassay need not read all of it each time. A row is
-- what one change adds, so that nobody waits for anybody to count; they are added up now and then.
create table tallies (
    id bigint generated always as identity primary key,
    kind job_kind not null,
    -- Of jobs that are over; null of what a level has come to.
    status job_status,
    n_jobs bigint not null default 0,
    n_recorded bigint not null default 0,
    n_transactions bigint not null default 0
);

create function is_over(job_status) returns boolean language sql immutable as
$$ select $1 in ('completed', 'failed', 'cancelled') $$;

create function tally_job() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' and is_over(old.status) then
        insert into tallies (kind, status, n_jobs, n_recorded) values (old.kind, old.status, -1, -old.n_recorded);
    end if;
    if tg_op <> 'DELETE' and is_over(new.status) then
        insert into tallies (kind, status, n_jobs, n_recorded) values (new.kind, new.status, 1, new.n_recorded);
    end if;
    return null;
end $$;
-- A trial that is stored changes no status, and costs nothing here.
create trigger tally after insert or delete or update of status on jobs for each row execute function tally_job();

create function tally_level() returns trigger language plpgsql as $$
declare
    n bigint := 0;
begin
    if tg_op <> 'INSERT' then
        n := n - coalesce((old.totals ->> 'n_transactions')::bigint, 0);
    end if;
    if tg_op <> 'DELETE' then
        n := n + coalesce((new.totals ->> 'n_transactions')::bigint, 0);
    end if;
    if n <> 0 then
        insert into tallies (kind, n_transactions) values ('benchmark', n);
    end if;
    return null;
end $$;
create trigger tally after insert or delete or update of totals on benchmark_levels
    for each row execute function tally_level();

insert into tallies (kind, status, n_jobs, n_recorded)
select kind, status, count(*), coalesce(sum(n_recorded), 0) from jobs where is_over(status) group by kind, status;
insert into tallies (kind, n_transactions)
select 'benchmark', n from (select sum((totals ->> 'n_transactions')::bigint) as n from benchmark_levels) counted where n > 0;

create index benchmark_levels_running on benchmark_levels (benchmark_id, level_idx, attempt) where status = 'running';
