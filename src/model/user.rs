//! Who is asking, and what accounts there are.

use chrono::DateTime;
use chrono::Utc;
use sqlx::Postgres;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArgumentBuffer;
use sqlx::postgres::PgTypeInfo;

use crate::model::filing::Filed;
use crate::model::ids::UserId;

/// What an account may do. Each may what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(type_name = "user_role", rename_all = "snake_case")]
pub enum Role {
    /// Looks at what is shared.
    Viewer,
    /// Uploads, launches, and changes what is theirs.
    Editor,
    /// Looks after accounts, servers and settings.
    Admin,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Admin];

    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// The role of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }

    /// What somebody of it does here: "With it you may ...".
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Viewer => "look at what others share with everybody",
            Self::Editor => "upload, launch experiments and benchmarks, and look at what others share",
            Self::Admin => "do everything, and look after accounts, servers and settings",
        }
    }

    pub fn may_change(self) -> bool {
        self >= Self::Editor
    }
}

/// Somebody who can sign in, or for whom things are kept.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: UserId,
    pub name: String,
    pub role: Role,
    /// Shut out: no sign-in, no session, no token.
    pub is_disabled: bool,
    /// Whether there is a password.
    pub can_sign_in: bool,
    pub created_at: DateTime<Utc>,
    pub signed_in_at: Option<DateTime<Utc>>,
}

/// What a person is called here: 1 to 64 letters, digits and a few signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountName(String);

impl AccountName {
    const MOST_CHARS: usize = 64;
    const SIGNS: &str = "-_.@+";

    /// What a person typed. The error is for that person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = text.trim();
        let is_wrong = |c: &char| !c.is_alphanumeric() && !Self::SIGNS.contains(*c);
        match name.chars().count() {
            0 => return Err("A name is needed.".to_owned()),
            n if n > Self::MOST_CHARS => {
                return Err(format!(
                    "A name has at most {} characters; this has {n}.",
                    Self::MOST_CHARS
                ));
            }
            _ => {}
        }
        match name.chars().find(is_wrong) {
            None => Ok(Self(name.to_owned())),
            Some(wrong) => Err(format!(
                "A name is made of letters, digits and - _ . @ +; {wrong:?} is none of them."
            )),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a program may do with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(type_name = "token_scope", rename_all = "snake_case")]
pub enum TokenScope {
    /// Look at what its account may see.
    Read,
    /// Whatever its account may do, but for what concerns accounts.
    Write,
}

impl TokenScope {
    pub const ALL: [Self; 2] = [Self::Read, Self::Write];

    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    /// The scope of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.word() == word)
    }
}

/// Who may make an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Registration {
    #[default]
    Closed,
    /// Whoever has a link of an admin's.
    Invited,
    /// Everybody who reaches the address; they become editors.
    Open,
}

impl Registration {
    pub const ALL: [Self; 3] = [Self::Closed, Self::Invited, Self::Open];

    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Invited => "invited",
            Self::Open => "open",
        }
    }

    /// The choice of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|registration| registration.word() == word)
    }
}

/// On whose behalf the store is asked. What it may not see does not exist for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewer {
    pub user_id: UserId,
    pub role: Role,
    /// What a link shows besides.
    pub shown: Option<Filed>,
}

impl Viewer {
    /// Nobody has this id.
    const NOBODY: UserId = UserId(0);

    /// Somebody who is signed in, or who is taken to be.
    pub fn account(user_id: UserId, role: Role) -> Self {
        Self {
            user_id,
            role,
            shown: None,
        }
    }

    /// On whose behalf work is done that this account has launched.
    pub fn owner(user_id: UserId) -> Self {
        Self::account(user_id, Role::Editor)
    }

    /// Whoever has no account.
    pub fn nobody() -> Self {
        Self::account(Self::NOBODY, Role::Viewer)
    }

    /// The same, with what a link shows.
    pub fn with_link(self, shown: Filed) -> Self {
        Self {
            shown: Some(shown),
            ..self
        }
    }

    pub fn is_account(self) -> bool {
        self.user_id != Self::NOBODY
    }
}

/// The viewer as SQL knows it: see the functions `may_see` and `may_change` in the store.
#[derive(sqlx::Type)]
#[sqlx(type_name = "viewer")]
struct ViewerRecord {
    user_id: i64,
    can_change: bool,
    dataset_id: Option<i64>,
    workload_id: Option<i64>,
    experiment_id: Option<i64>,
    instrument_id: Option<i64>,
    benchmark_id: Option<i64>,
}

impl From<Viewer> for ViewerRecord {
    fn from(viewer: Viewer) -> Self {
        let mut record = Self {
            user_id: viewer.user_id.0,
            can_change: viewer.is_account() && viewer.role.may_change(),
            dataset_id: None,
            workload_id: None,
            experiment_id: None,
            instrument_id: None,
            benchmark_id: None,
        };
        match viewer.shown {
            None => {}
            Some(Filed::Dataset(id)) => record.dataset_id = Some(id.0),
            Some(Filed::Workload(id)) => record.workload_id = Some(id.0),
            Some(Filed::Experiment(id)) => record.experiment_id = Some(id.0),
            Some(Filed::Instrument(id)) => record.instrument_id = Some(id.0),
            Some(Filed::Benchmark(id)) => record.benchmark_id = Some(id.0),
        }
        record
    }
}

impl sqlx::Type<Postgres> for Viewer {
    fn type_info() -> PgTypeInfo {
        <ViewerRecord as sqlx::Type<Postgres>>::type_info()
    }
}

impl sqlx::Encode<'_, Postgres> for Viewer {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        ViewerRecord::from(*self).encode_by_ref(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_those_before_it_may() {
        assert!(Role::Viewer < Role::Editor && Role::Editor < Role::Admin);
        assert_eq!(Role::ALL.map(Role::may_change), [false, true, true]);
        for role in Role::ALL {
            assert_eq!(Role::parse(role.word()), Some(role));
        }
    }

    #[test]
    fn names_are_short_and_made_of_signs_that_are_seen() {
        for name in ["ada", "Ada.Lovelace@example.org", "a+b_c-d", "Žofie", "順子"] {
            assert_eq!(AccountName::parse(&format!(" {name} ")).unwrap().as_str(), name);
        }
        let long = "x".repeat(65);
        for (text, reason) in [
            ("  ", "is needed"),
            ("a b", "' ' is none"),
            ("a\u{200b}b", "is none of them"),
            ("<script>", "'<' is none"),
            (long.as_str(), "this has 65"),
        ] {
            let error = AccountName::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
