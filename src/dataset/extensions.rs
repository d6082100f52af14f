//! Which extensions of a dump a sandbox has.

/// Extensions that the dataset's role may create, being trusted, and that do not widen what it can do.
const ALLOWED: &[&str] = &[
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

/// Whether a dump may create the extension of this name.
pub fn is_allowed(name: &str) -> bool {
    ALLOWED.contains(&name)
}
