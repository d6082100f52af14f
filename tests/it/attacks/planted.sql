-- Run by a superuser in the database `maker` and by psql elsewhere; restored by pgassay as a dump and as an archive.
set client_min_messages = warning;
create schema postgres;
create schema mallory;

-- Makes a file in the name of what was planted when a superuser is, or has become, who runs it.
create function public.snap(what text) returns boolean language plpgsql volatile set search_path = pg_catalog as $$
begin
  if current_database() <> 'maker'
     and exists (select from pg_roles where rolname in (current_user, session_user) and rolsuper) then
    execute format('copy (select 1) to program %L', 'touch {out}/' || what);
  end if;
  return true;
end $$;
create function public.trap(what text, v integer) returns integer language plpgsql immutable as $$
begin
  perform public.snap(what);
  return v;
end $$;
create function public.mallory_trigger() returns trigger language plpgsql security definer as $$
begin
  perform public.snap('trigger');
  return new;
end $$;
create function public.mallory_event() returns event_trigger language plpgsql as $$
begin
  perform public.snap('event_trigger');
end $$;
create function public.mallory_difference(a integer, b integer) returns double precision language plpgsql immutable as $$
begin
  perform public.snap('subtype_diff');
  return a - b;
end $$;

create domain public.mallory_domain as integer check (public.trap('domain', value) = value);
create type public.mallory_enum as enum ('a', 'b');
create type public.mallory_composite as (d public.mallory_domain, e public.mallory_enum);
create type public.mallory_range as range (subtype = integer, subtype_diff = public.mallory_difference);
create function public.mallory_cast(public.mallory_enum) returns text language plpgsql immutable as $$
begin
  perform public.snap('cast');
  return 'cast';
end $$;
create cast (public.mallory_enum as text) with function public.mallory_cast as implicit;

create table public.mallory_table (
  a integer default public.trap('default', 1),
  b integer check (public.trap('check', b) = b),
  g integer generated always as (public.trap('generated', b)) stored,
  d public.mallory_domain default 3,
  e public.mallory_enum default 'a',
  c public.mallory_composite default row(1, 'a'),
  r public.mallory_range default '[1,5)'
);
insert into public.mallory_table (a, b) select n, n % 50 from generate_series(1, 2000) n;
insert into public.mallory_table (b) values (1);
create index mallory_index on public.mallory_table (public.trap('index', b));
create index mallory_partial on public.mallory_table (b) where public.trap('partial', b) = 3;
create index mallory_brin on public.mallory_table using brin (public.trap('brin', a)) with (autosummarize);
create index mallory_gist on public.mallory_table using gist (r);
create statistics public.mallory_statistics on (public.trap('statistics', b)), a from public.mallory_table;
create trigger mallory before insert or update or delete on public.mallory_table
  for each row execute function public.mallory_trigger();
create constraint trigger mallory_later after insert on public.mallory_table deferrable initially deferred
  for each row execute function public.mallory_trigger();
create trigger mallory_truncate before truncate on public.mallory_table execute function public.mallory_trigger();
create view public.mallory_view as select public.trap('view', 1) as a, count(*) from public.mallory_table;
create materialized view public.mallory_filled as select public.trap('filled', 1) as a;
create table public.mallory_ruled (a integer);
create rule mallory as on insert to public.mallory_ruled do also select public.trap('rule', 1);
create table public.mallory_guarded (a integer);
insert into public.mallory_guarded values (1);
alter table public.mallory_guarded enable row level security;
alter table public.mallory_guarded force row level security;
create policy mallory on public.mallory_guarded using (public.trap('policy', 1) = 1);
create unlogged table public.mallory_unlogged (a integer check (public.trap('unlogged', a) = a));
insert into public.mallory_unlogged values (1);
alter default privileges in schema public grant execute on functions to public;
create event trigger mallory on ddl_command_end execute function public.mallory_event();
alter event trigger mallory disable;

-- What our own statements name, in every schema in which a careless search path would find it first.
create function public.version() returns text language plpgsql as $$
begin perform public.snap('version'); return 'mallory'; end $$;
create function public.current_setting(text) returns text language plpgsql as $$
begin perform public.snap('current_setting'); return 'mallory'; end $$;
create function public.current_setting(text, boolean) returns text language plpgsql as $$
begin perform public.snap('current_setting'); return 'mallory'; end $$;
create function public.set_config(text, text, boolean) returns text language plpgsql as $$
begin perform public.snap('set_config'); return 'mallory'; end $$;
create function public.pg_backend_pid() returns integer language plpgsql as $$
begin perform public.snap('pg_backend_pid'); return 1; end $$;
create function public.pg_database_size(name) returns bigint language plpgsql as $$
begin perform public.snap('pg_database_size'); return 1; end $$;
create function public.pg_database_size(oid) returns bigint language plpgsql as $$
begin perform public.snap('pg_database_size'); return 1; end $$;
create function public.quote_ident(name) returns text language plpgsql as $$
begin perform public.snap('quote_ident'); return 'mallory'; end $$;
create function public.md5(text) returns text language plpgsql as $$
begin perform public.snap('md5'); return 'mallory'; end $$;
create function public.unnest(oid[]) returns setof oid language plpgsql as $$
begin perform public.snap('unnest'); return; end $$;
create function public.lower(name) returns text language plpgsql as $$
begin perform public.snap('lower'); return 'mallory'; end $$;
create function public.mallory_equal(name, name) returns boolean language plpgsql as $$
begin perform public.snap('name_equal'); return true; end $$;
create operator public.= (leftarg = name, rightarg = name, function = public.mallory_equal);
create function public.mallory_equal(oid, oid) returns boolean language plpgsql as $$
begin perform public.snap('oid_equal'); return true; end $$;
create operator public.= (leftarg = oid, rightarg = oid, function = public.mallory_equal);
create function public.mallory_unequal(name, text) returns boolean language plpgsql as $$
begin perform public.snap('name_unequal'); return true; end $$;
create operator public.<> (leftarg = name, rightarg = text, function = public.mallory_unequal);
create operator public.!~ (leftarg = name, rightarg = text, function = public.mallory_unequal);
create function postgres.version() returns text language plpgsql as $$
begin perform public.snap('postgres_version'); return 'mallory'; end $$;
create function postgres.current_setting(text) returns text language plpgsql as $$
begin perform public.snap('postgres_current_setting'); return 'mallory'; end $$;
create view public.pg_class as select public.trap('pg_class', 1) as oid;
create view public.pg_statistic as select public.trap('pg_statistic', 1) as starelid;
create view postgres.pg_class as select public.trap('postgres_pg_class', 1) as oid;
create view postgres.pg_namespace as select public.trap('pg_namespace', 1) as oid;
create view postgres.pg_database as select public.trap('pg_database', 1) as datname;
create domain postgres.text as pg_catalog.text check (public.trap('type', 1) = 1);
create domain postgres.name as pg_catalog.name check (public.trap('type', 1) = 1);
