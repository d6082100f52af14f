-- pgassay: what the planner knows of this database, as one JSON value.
--
-- One SELECT that reads catalogs only: it locks no table, changes nothing, and needs no superuser. Save its one value:
--
--     psql -XAt -d mydb -f export.sql > statistics.json
--
-- The value holds most common values and histogram bounds, which are data of your tables: treat it as confidential.
with formats as materialized (
  -- For this one statement: the same text for the same value on every server.
  select pg_catalog.set_config('search_path', 'pg_catalog', true)
      || pg_catalog.set_config('client_encoding', 'UTF8', true)
      || pg_catalog.set_config('DateStyle', 'ISO, YMD', true)
      || pg_catalog.set_config('IntervalStyle', 'postgres', true)
      || pg_catalog.set_config('TimeZone', 'UTC', true)
      || pg_catalog.set_config('bytea_output', 'hex', true)
      || pg_catalog.set_config('extra_float_digits', '3', true)
      || pg_catalog.set_config('lc_monetary', 'C', true) as are_set
)
select pg_catalog.json_build_object(
  'pgassay_statistics', 1,
  'server_version_num', pg_catalog.current_setting('server_version_num')::integer,
  'exported_at', pg_catalog.now(),
  'relations', relations.entries,
  'columns', columns.entries,
  'unseen', unseen.entries)
from formats
cross join lateral (
  select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'schemaname', n.nspname, 'relname', c.relname, 'relkind', c.relkind, 'relpages', c.relpages,
      'reltuples', c.reltuples, 'relallvisible', c.relallvisible) order by n.nspname, c.relname), '[]') as entries
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'm', 'p', 'f', 'i', 'I') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and formats.are_set is not null
) relations
cross join lateral (
  select coalesce(pg_catalog.json_agg(pg_catalog.json_strip_nulls(pg_catalog.json_build_object(
      'schemaname', s.schemaname, 'tablename', s.tablename, 'attname', s.attname, 'inherited', s.inherited,
      'null_frac', s.null_frac, 'avg_width', s.avg_width, 'n_distinct', s.n_distinct,
      'most_common_vals', s.most_common_vals, 'most_common_freqs', s.most_common_freqs,
      'histogram_bounds', s.histogram_bounds, 'correlation', s.correlation,
      'most_common_elems', s.most_common_elems, 'most_common_elem_freqs', s.most_common_elem_freqs,
      'elem_count_histogram', s.elem_count_histogram, 'range_length_histogram', s.range_length_histogram,
      'range_empty_frac', s.range_empty_frac, 'range_bounds_histogram', s.range_bounds_histogram))
      order by s.schemaname, s.tablename, s.attname, s.inherited), '[]') as entries
  from (select null::text as range_length_histogram, null::real as range_empty_frac,
               null::text as range_bounds_histogram) before_17
  cross join lateral (
    -- From PostgreSQL 17 on the view itself has the three columns of that name.
    select p.schemaname, p.tablename, p.attname, p.inherited, p.null_frac, p.avg_width, p.n_distinct,
           p.most_common_vals::text, p.most_common_freqs::text, p.histogram_bounds::text, p.correlation,
           p.most_common_elems::text, p.most_common_elem_freqs::text, p.elem_count_histogram::text,
           range_length_histogram::text, range_empty_frac, range_bounds_histogram::text
    from pg_catalog.pg_stats p
    where p.schemaname !~ '^pg_' and p.schemaname <> 'information_schema' and formats.are_set is not null
  ) s
) columns
cross join lateral (
  select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'schemaname', u.schemaname, 'relname', u.relname, 'attname', u.attname, 'reason', u.reason)
      order by u.schemaname, u.relname, u.attname), '[]') as entries
  from (
    select n.nspname as schemaname, c.relname, a.attname, w.reason
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_catalog.pg_type t on t.oid = a.atttypid
    left join pg_catalog.pg_index i on i.indexrelid = c.oid
    cross join lateral (
      select case
        when not pg_catalog.has_column_privilege(c.oid, a.attnum, 'select')
          then case when i.indexrelid is null then 'no SELECT privilege'
                    else 'an index on an expression shows its statistics to its owner only' end
        when c.relrowsecurity and pg_catalog.row_security_active(c.oid) then 'row level security'
        when t.typtype in ('r', 'm') and pg_catalog.current_setting('server_version_num')::integer < 170000
          then 'before PostgreSQL 17, histograms of ranges are shown to superusers only'
      end as reason) w
    where c.relkind in ('r', 'm', 'p', 'f', 'i') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      and (i.indexrelid is null or i.indkey[a.attnum - 1] = 0) and w.reason is not null
    union all
    select n.nspname, c.relname, null, 'the statistics object ' || pg_catalog.quote_ident(e.stxname) || ' is not exported'
    from pg_catalog.pg_statistic_ext e
    join pg_catalog.pg_class c on c.oid = e.stxrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  ) u
) unseen;
