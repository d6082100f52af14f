-- Accounts. The local user stays whom everything belongs to where nobody signs in, and becomes the first admin where people do.
create type user_role as enum ('viewer', 'editor', 'admin');

alter table users
    add column role user_role not null default 'editor',
    -- In PHC's form; nobody signs in as somebody without.
    add column password_hash text,
    add column is_disabled boolean not null default false,
    -- What differs from the quotas of everybody, and how pages look for this account.
    add column quotas jsonb not null default '{}',
    add column preferences jsonb not null default '{}',
    add column signed_in_at timestamptz,
    -- To whom everything belongs that is made where nobody signs in.
    add column is_local boolean not null default false;
update users set role = 'admin', is_local = true where name = 'local';
create unique index users_one_local on users (is_local) where is_local;
create unique index users_by_name on users (lower(name));

-- Browsers that are signed in. Of the token there is only its SHA-256, here and below.
create table sessions (
    id bigint generated always as identity primary key,
    token_hash bytea not null unique,
    user_id bigint not null references users on delete cascade,
    created_at timestamptz not null default clock_timestamp(),
    seen_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    address text not null,
    agent text not null
);
create index sessions_of_user on sessions (user_id);

create type token_scope as enum ('read', 'write');

-- Programs that act for an account.
create table api_tokens (
    id bigint generated always as identity primary key,
    token_hash bytea not null unique,
    user_id bigint not null references users on delete cascade,
    name text not null check (char_length(name) between 1 and 100),
    -- By which its owner knows it again.
    prefix text not null,
    scope token_scope not null,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    used_at timestamptz
);
create index api_tokens_of_user on api_tokens (user_id);

-- Links by which one account is made, or the password of one is set anew.
create table invitations (
    id bigint generated always as identity primary key,
    token_hash bytea not null unique,
    made_by bigint not null references users,
    role user_role not null,
    for_user bigint references users on delete cascade,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    used_by bigint references users,
    used_at timestamptz
);

-- By which the first admin is made. Each process that serves prints one of its own, while there is no admin.
create table setup_tokens (
    token_hash bytea primary key,
    expires_at timestamptz not null
);

-- What an admin sets for everybody.
create table settings (
    name text primary key,
    value jsonb not null
);

-- Who asked for what to be changed, from where, and how that ended.
create table audit_log (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    user_id bigint references users,
    user_name text not null,
    address text not null,
    deed text not null,
    path text not null,
    status smallint not null
);
create index audit_log_at on audit_log (at);

-- What belongs to one account may be shown to all others.
alter table datasets add column is_shared boolean not null default false;
alter table workloads add column is_shared boolean not null default false;
alter table experiments add column is_shared boolean not null default false;
alter table instruments add column is_shared boolean not null default false;
alter table benchmarks add column is_shared boolean not null default false;
alter table servers add column is_shared boolean not null default false;
create index datasets_shared on datasets (id) where is_shared;
create index workloads_shared on workloads (id) where is_shared;
create index experiments_shared on experiments (id) where is_shared;
create index instruments_shared on instruments (id) where is_shared;
create index benchmarks_shared on benchmarks (id) where is_shared;

-- Links that show one thing to whoever has them.
create table links (
    id bigint generated always as identity primary key,
    token_hash bytea not null unique,
    made_by bigint not null references users,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz,
    dataset_id bigint references datasets on delete cascade,
    workload_id bigint references workloads on delete cascade,
    experiment_id bigint references experiments on delete cascade,
    instrument_id bigint references instruments on delete cascade,
    benchmark_id bigint references benchmarks on delete cascade,
    check (num_nonnulls(dataset_id, workload_id, experiment_id, instrument_id, benchmark_id) = 1)
);
create index links_of_dataset on links (dataset_id) where dataset_id is not null;
create index links_of_workload on links (workload_id) where workload_id is not null;
create index links_of_experiment on links (experiment_id) where experiment_id is not null;
create index links_of_instrument on links (instrument_id) where instrument_id is not null;
create index links_of_benchmark on links (benchmark_id) where benchmark_id is not null;

-- On whose behalf the store is asked: an account, or nobody (0), and the one thing that a link shows besides.
create type viewer as (
    user_id bigint,
    can_change boolean,
    dataset_id bigint,
    workload_id bigint,
    experiment_id bigint,
    instrument_id bigint,
    benchmark_id bigint
);

-- Whether a viewer may see a thing, and whether it may change it; null of a row that an outer join has made up. The planner
-- takes these functions apart, so that indexes are used as if the conditions stood in the query.
create function may_see(viewer, datasets) returns boolean language sql stable as
$$ select $2.owner_id = $1.user_id or $2.is_shared and $1.user_id <> 0 or coalesce($2.id = $1.dataset_id, false) $$;
create function may_see(viewer, workloads) returns boolean language sql stable as
$$ select $2.owner_id = $1.user_id or $2.is_shared and $1.user_id <> 0 or coalesce($2.id = $1.workload_id, false) $$;
create function may_see(viewer, experiments) returns boolean language sql stable as
$$ select $2.owner_id = $1.user_id or $2.is_shared and $1.user_id <> 0 or coalesce($2.id = $1.experiment_id, false) $$;
create function may_see(viewer, instruments) returns boolean language sql stable as
$$ select $2.owner_id = $1.user_id or $2.is_shared and $1.user_id <> 0 or coalesce($2.id = $1.instrument_id, false) $$;
create function may_see(viewer, benchmarks) returns boolean language sql stable as
$$ select $2.owner_id = $1.user_id or $2.is_shared and $1.user_id <> 0 or coalesce($2.id = $1.benchmark_id, false) $$;
create function may_see(viewer, servers) returns boolean language sql stable as
$$ select $2.owner_id = $1.user_id or $2.is_shared and $1.user_id <> 0 $$;

create function may_change(viewer, datasets) returns boolean language sql stable as
$$ select $2.owner_id = $1.user_id and $1.can_change $$;
create function may_change(viewer, workloads) returns boolean language sql stable as
$$ select $2.owner_id = $1.user_id and $1.can_change $$;
create function may_change(viewer, experiments) returns boolean language sql stable as
$$ select $2.owner_id = $1.user_id and $1.can_change $$;
create function may_change(viewer, instruments) returns boolean language sql stable as
$$ select $2.owner_id = $1.user_id and $1.can_change $$;
create function may_change(viewer, benchmarks) returns boolean language sql stable as
$$ select $2.owner_id = $1.user_id and $1.can_change $$;
create function may_change(viewer, servers) returns boolean language sql stable as
$$ select $2.owner_id = $1.user_id and $1.can_change $$;
create function may_change(viewer, jobs) returns boolean language sql stable as
$$ select $2.owner_id = $1.user_id and $1.can_change $$;
-- A job is seen by whoever sees what it works for.
create function may_see(viewer, jobs) returns boolean language sql stable as
$$ select $2.owner_id = $1.user_id
       or exists (select from experiments e where e.job_id = $2.id and may_see($1, e))
       or exists (select from instruments i where i.job_id = $2.id and may_see($1, i))
       or exists (select from benchmarks b where b.job_id = $2.id and may_see($1, b))
       or exists (select from datasets d where d.job_id = $2.id and may_see($1, d))
       or exists (select from workload_checks c join workloads w on w.id = c.workload_id
                                                join datasets d on d.id = c.dataset_id
                  where c.job_id = $2.id and may_see($1, w) and may_see($1, d)) $$;
