//! Statements of `pg_dump -C` and `pg_dumpall` about databases, and settings that belong to databases and roles.

use crate::sql::dump::DumpStatement;
use crate::sql::dump::SkipReason;
use crate::sql::dump::cursor::Cursor;

/// A `CREATE DATABASE`: what a dataset may want to take over from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewDatabase {
    pub name: String,
    pub encoding: Option<String>,
    /// From `LC_COLLATE`, else from `LOCALE`.
    pub lc_collate: Option<String>,
    /// From `LC_CTYPE`, else from `LOCALE`.
    pub lc_ctype: Option<String>,
    /// `libc`, `icu` or `builtin`, where the dump says it (15 and newer).
    pub provider: Option<String>,
    /// The locale of that provider, from `ICU_LOCALE` or `BUILTIN_LOCALE`.
    pub provider_locale: Option<String>,
}

/// Reads on after `CREATE DATABASE`.
pub fn create(cursor: &mut Cursor<'_>) -> Option<NewDatabase> {
    let mut database = NewDatabase {
        name: cursor.name()?,
        ..NewDatabase::default()
    };
    let mut locale = None;
    cursor.take("with");
    while let Some(option) = cursor.word() {
        cursor.take_symbol("=");
        if option == "connection" {
            // CONNECTION LIMIT, which may be negative.
            cursor.take("limit");
            cursor.take_symbol("=");
            cursor.take_symbol("-");
        }
        let value = cursor.value();
        match option.as_str() {
            "encoding" => database.encoding = value,
            "locale" => locale = value,
            "lc_collate" => database.lc_collate = value,
            "lc_ctype" => database.lc_ctype = value,
            "locale_provider" => database.provider = value.map(|provider| provider.to_ascii_lowercase()),
            "icu_locale" | "builtin_locale" => database.provider_locale = value,
            _ => {
                if value.is_none() {
                    cursor.take("default");
                }
            }
        }
    }
    database.lc_collate = database.lc_collate.or_else(|| locale.clone());
    database.lc_ctype = database.lc_ctype.or(locale);
    Some(database)
}

/// Reads on after `ALTER DATABASE`.
pub fn alter(cursor: &mut Cursor<'_>, text: &str) -> DumpStatement {
    let Some(database) = cursor.name() else {
        return DumpStatement::Ordinary;
    };
    if cursor.clone().find(&["owner", "to"]) {
        return DumpStatement::Skip(SkipReason::Owners);
    }
    if cursor.take("set")
        && !cursor.take("tablespace")
        && let Some((setting, value_sql)) = assignment(cursor, text)
    {
        return DumpStatement::AlterDatabaseSet {
            database,
            setting,
            value_sql,
        };
    }
    DumpStatement::AlterDatabaseOther { database }
}

/// Reads on after `ALTER ROLE` or `ALTER USER`; nothing if it sets nothing.
pub fn alter_role_set(cursor: &mut Cursor<'_>, text: &str) -> Option<DumpStatement> {
    let role = cursor.name()?;
    let database = if cursor.take("in") {
        cursor.take("database");
        Some(cursor.name()?)
    } else {
        None
    };
    if !cursor.take("set") {
        return None;
    }
    let (setting, value_sql) = assignment(cursor, text)?;
    Some(DumpStatement::AlterRoleSet {
        role,
        database,
        setting,
        value_sql,
    })
}

/// A setting and its value as it is written; nothing for `FROM CURRENT`.
fn assignment(cursor: &mut Cursor<'_>, text: &str) -> Option<(String, String)> {
    let setting = cursor.setting()?;
    let has_sign = cursor.take("to") || cursor.take_symbol("=");
    if !has_sign && cursor.clone().take("from") {
        return None;
    }
    Some((setting, text[cursor.start()?..].trim_end().to_owned()))
}
