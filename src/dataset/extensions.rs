//! Which extensions of a dump a sandbox has.

use crate::sql::ident;

/// Extensions that the dataset's role may create, being trusted, and that do not widen what it can do.
pub const ALLOWED: &[&str] = &[
    "plpgsql",
    "pg_trgm",
    "btree_gin",
    "btree_gist",
    "citext",
    "hstore",
    "uuid-ossp",
    "unaccent",
    "fuzzystrmatch",
    "tablefunc",
    "cube",
    "intarray",
    "ltree",
    "seg",
    "isn",
    "tsm_system_rows",
    "tsm_system_time",
    "dict_int",
    "earthdistance",
];

/// Keeps a database to them whatever runs in it: a block or a function of a dump may create extensions, too, where no
/// splitter sees it. To be run by a superuser, whose event trigger no role can take away. It looks at what there is, not at
/// what the command made: while a materialized view is refreshed nobody is told that.
pub fn guard() -> String {
    let allowed: Vec<String> = ALLOWED.iter().map(|name| ident::literal(name)).collect();
    format!(
        "create function pg_catalog.pgassay_allows_extensions() returns event_trigger
         language plpgsql set search_path = pg_catalog as $guard$
         declare refused text;
         begin
           select extname into refused from pg_catalog.pg_extension where extname not in ({}) limit 1;
           if refused is not null then
             raise exception 'the extension % is not available in a sandbox', refused using errcode = '42501';
           end if;
         end $guard$;
         create event trigger pgassay_allows_extensions on ddl_command_end when tag in ('CREATE EXTENSION')
           execute function pg_catalog.pgassay_allows_extensions();",
        allowed.join(", ")
    )
}

/// Whether a dump may create the extension of this name.
pub fn is_allowed(name: &str) -> bool {
    ALLOWED.contains(&name)
}
