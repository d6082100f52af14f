create type mood as enum ('sad', 'ok', 'happy');
create type pair as (a integer, b text);
create domain positive as integer check (value > 0);
create table many (
  id integer primary key, name text, code varchar(10), letter char(3), born date, seen timestamptz, price numeric(10,2),
  size float8, tags text[], nums integer[], span int4range, spans int4multirange, mood mood, doc jsonb, words tsvector,
  uid uuid, flag boolean, raw bytea, twin pair, small positive, net inet, wait interval, often text collate "C",
  empty text);
insert into many
select g, 'na''me "' || g % 50 || E'\\, {', 'c' || g % 7, 'x', date '2020-01-01' + g % 400,
       timestamptz '2020-01-01 00:00:00.123456+02' + make_interval(mins => g), g * 1.37, sqrt(g),
       array['t' || g % 5, 'all', null], array[g % 10, g % 3], int4range(g, g + g % 20),
       int4multirange(int4range(g, g + 5), int4range(g + 10, g + 12)), (array['sad', 'ok', 'happy'])[1 + g % 3]::mood,
       jsonb_build_object('k', g % 11), to_tsvector('simple', 'word' || g % 30 || ' common'),
       md5(g::text)::uuid, g % 3 = 0, decode(md5(g::text), 'hex'), row(g % 40, 'b,"' || g % 40)::pair, 1 + g % 100,
       ('10.0.0.' || g % 250)::inet, make_interval(hours => g % 90), 'o' || g % 13, nullif(g % 10, 0)::text
from generate_series(1, 3000) g;
create index many_lower on many (lower(name), (price * 2));
create schema "Other Schema";
create table "Other Schema"."Quoted Table" ("Quoted Column" text);
insert into "Other Schema"."Quoted Table" select 'v' || g % 9 from generate_series(1, 500) g;
create table nothing (a integer);
create table measured (at date, value integer) partition by range (at);
create table measured_2020 partition of measured for values from ('2020-01-01') to ('2021-01-01');
insert into measured select date '2020-01-01' + g % 300, g % 17 from generate_series(1, 900) g;
create index many_words on many using gin (to_tsvector('simple', name), (tags || code::text));
create index many_named on many using gist (to_tsvector('simple', name), int4range(1, length(name)));
create index many_cast on many ((name::name), (code::varchar(5)), (flag::integer));
create index many_partial on many (lower(code)) include (name) where id > 100;

create table traps (
  id integer primary key, amount numeric, ratio float4, far timestamp, farther timestamptz, day date, span tsrange,
  bits bit(5), more bit varying(9), wide text, note text, pairs pair[], grid integer[], cash money, net cidr, mac macaddr,
  spot point, small smallint, letter "char", title name, at time, hours timetz, lsn pg_lsn, path jsonb, plain json,
  always integer, never integer, feelings mood[], twice pair, dates daterange, times tstzmultirange, exact positive);
insert into traps
select g, case g % 9 when 0 then 'NaN' when 1 then 'Infinity' when 2 then '-Infinity' else (g % 50) * 1e30 end,
       case g % 8 when 0 then 'NaN' when 1 then 'Infinity' when 2 then '-0' else (g % 70) / 3.0 end,
       case g % 7 when 0 then timestamp 'infinity' when 1 then '-infinity' else '0044-03-15 BC'::timestamp + g % 90 * interval '1 d' end,
       case g % 6 when 0 then timestamptz 'infinity' else '2024-03-31 01:30:00.000001+01'::timestamptz + g * interval '7 m' end,
       case g % 5 when 0 then date 'infinity' when 1 then '-infinity' else date '5874000-01-01' + g % 40 end,
       case g % 4 when 0 then 'empty'::tsrange when 1 then tsrange(null, null) else tsrange(timestamp '2020-01-01' + g * interval '1 h', null, '(]') end,
       (g % 32)::bit(5), substr(g::bit(12)::text, 1, g % 9)::varbit,
       repeat(md5((g % 3)::text), 1 + 40 * (g % 60)),
       case g % 8 when 0 then '' when 1 then ' ' when 2 then 'NULL' when 3 then E'\n\t\x01' when 4 then '{}' when 5 then U&'\00e9\+01F418'
                  when 6 then '"quoted", ''too'' \\' else 'n' || g % 90 end,
       array[row(g % 6, 'x"{,}')::pair, null, row(null, '')::pair], array[[g % 4, null], [g % 9, 7]], (g % 80)::numeric::money,
       ('10.' || g % 99 || '.0.0/16')::cidr, ('08:00:2b:01:02:' || lpad(to_hex(g % 200), 2, '0'))::macaddr, point(g, g),
       g % 300, chr(65 + g % 26)::"char", ('t' || g % 33)::name, time '00:00' + g % 1440 * interval '1 m',
       timetz '10:00+02' + g % 60 * interval '1 m', ('0/' || to_hex(g % 77))::pg_lsn,
       jsonb_build_object('a', jsonb_build_array(g % 5, null, 'q"')), json_build_object('a', g % 5), 7, null,
       array[(array['sad', 'ok', 'happy'])[1 + g % 3]::mood, 'ok'], row(g % 8, null)::pair,
       daterange(date '2024-01-01', date '2024-01-01' + g % 9), tstzmultirange(tstzrange(timestamptz '2024-01-01 00:00+00', null)),
       1 + g % 60
from generate_series(1, 2500) g;
create table parent (a integer, b text);
create table child (c integer) inherits (parent);
insert into parent select g % 30, 'p' || g % 3 from generate_series(1, 400) g;
insert into child select g % 50, 'c' || g % 5, g % 11 from generate_series(1, 600) g;
create index measured_months on measured (extract(month from at));
create statistics "Both Names" on code, flag from many;
create statistics listed (mcv) on mood, letter, small, uid from many;
create statistics computed on (lower(name)), (price * 2), code from many;
create statistics alone on (id % 7) from many;
create statistics nothing_yet on id, amount, far from traps;
create statistics inherited on a, b from parent;
create statistics divided (ndistinct, dependencies) on at, value from measured;
create statistics also (ndistinct) on (size::integer % 5), (born + 1), (tags || name), (name::varchar(3)) from many;
