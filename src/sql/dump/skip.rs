//! What a restore leaves out, and why: it runs as a plain role in a database of its own, on a server nobody else uses.

use std::fmt;

use crate::sql::dump::cursor::Cursor;

/// Why a statement is left out. Its text is the line in the restore's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    Owners,
    Privileges,
    Comments,
    SecurityLabels,
    Roles,
    Tablespaces,
    EventTriggers,
    Publications,
    Subscriptions,
    ForeignData,
    Languages,
    ServerSettings,
    SessionUsers,
    Maintenance,
    Checkpoint,
    Libraries,
    CopyTo,
    ColumnVersions,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SkipReason::Owners => "owners are not restored: everything belongs to the dataset's own role",
            SkipReason::Privileges => "privileges are not restored: only the dataset's own role uses it",
            SkipReason::Comments => "comments on what is not restored are left out",
            SkipReason::SecurityLabels => "security labels are not restored: their providers are not here",
            SkipReason::Roles => "roles are not restored: the dataset has one role of its own",
            SkipReason::Tablespaces => "tablespaces are not restored: everything is in one place",
            SkipReason::EventTriggers => "event triggers are not restored: they need a superuser",
            SkipReason::Publications => "publications are not restored: nothing is replicated",
            SkipReason::Subscriptions => "subscriptions are not restored: nothing is replicated",
            SkipReason::ForeignData => "foreign data are not restored: a dataset reaches no other server",
            SkipReason::Languages => "languages are not restored: those of the server are used",
            SkipReason::ServerSettings => "settings of the server are not restored",
            SkipReason::SessionUsers => {
                "the session's user is not changed: everything belongs to the dataset's own role"
            }
            SkipReason::Maintenance => "ANALYZE and VACUUM are not run: statistics are what an experiment varies",
            SkipReason::Checkpoint => "checkpoints are not run",
            SkipReason::Libraries => "libraries are not loaded: they need a superuser",
            SkipReason::ColumnVersions => {
                "a mark that servers from 15.20 on give to columns themselves (pg_attver) is not restored"
            }
            SkipReason::CopyTo => "COPY TO is not run: it restores nothing",
        })
    }
}

/// What is left out whatever follows the verb.
pub fn by_verb(verb: &str) -> Option<SkipReason> {
    match verb {
        "grant" | "revoke" => Some(SkipReason::Privileges),
        "reassign" => Some(SkipReason::Owners),
        "security" => Some(SkipReason::SecurityLabels),
        "import" => Some(SkipReason::ForeignData),
        "load" => Some(SkipReason::Libraries),
        "checkpoint" => Some(SkipReason::Checkpoint),
        "analyze" | "analyse" | "vacuum" => Some(SkipReason::Maintenance),
        _ => None,
    }
}

/// What is left out of CREATE, ALTER, DROP and COMMENT ON, by the sort of object that follows.
pub fn by_object(cursor: &mut Cursor<'_>) -> Option<SkipReason> {
    match cursor.word()?.as_str() {
        "user" if cursor.take("mapping") => Some(SkipReason::ForeignData),
        "role" | "user" | "group" => Some(SkipReason::Roles),
        "tablespace" => Some(SkipReason::Tablespaces),
        "event" => Some(SkipReason::EventTriggers),
        "publication" => Some(SkipReason::Publications),
        "subscription" => Some(SkipReason::Subscriptions),
        "foreign" | "server" => Some(SkipReason::ForeignData),
        "trusted" | "procedural" | "language" => Some(SkipReason::Languages),
        _ => None,
    }
}
