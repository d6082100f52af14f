-- Everything belongs to somebody; until accounts exist there is one local user.
create table users (
    id bigint generated always as identity primary key,
    name text not null unique,
    created_at timestamptz not null default clock_timestamp()
);

insert into users (name) values ('local');
