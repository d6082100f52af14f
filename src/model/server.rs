//! Registered servers: PostgreSQL servers that somebody else runs, to be put under load.

use std::fmt;

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

use crate::model::ids::ServerId;

/// A server as pages see it; its address lies sealed in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisteredServer {
    pub id: ServerId,
    /// Unique among those of its owner.
    pub name: String,
    pub place: ShownPlace,
    pub password: PasswordSource,
    /// None until it was tested as it is now.
    pub last_test: Option<ServerTest>,
    pub created_at: DateTime<Utc>,
}

/// What of an address may be seen: all of it but the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownPlace {
    /// A name, an address, or the directory of a socket.
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    /// libpq's word.
    pub tls_mode: String,
}

impl fmt::Display for ShownPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            port,
            database,
            user,
            ..
        } = self;
        if host.contains(':') {
            write!(f, "{user}@[{host}]:{port}/{database}")
        } else {
            write!(f, "{user}@{host}:{port}/{database}")
        }
    }
}

/// Where the password of a server comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// The server asks for none.
    None,
    /// It is part of the sealed address.
    Stored,
    /// It is got anew before each connection.
    Secret(SecretName),
}

/// The name of a file in the secrets directory. There is no other way to name a file: a form must not make pgassay run
/// or send any file of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretName(String);

/// What is wrong with a secret's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "A secret is the name of a file in the secrets directory: letters, digits, - and _, and dots that are not at the \
     beginning, at most {} of them together.",
    SecretName::MOST_BYTES
)]
pub struct SecretNameError;

impl SecretName {
    const MOST_BYTES: usize = 100;

    pub fn parse(text: &str) -> Result<Self, SecretNameError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_fit =
            (1..=Self::MOST_BYTES).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(is_plain);
        is_fit.then(|| Self(text.to_owned())).ok_or(SecretNameError)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What trying to reach a server has come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerTest {
    pub tested_at: DateTime<Utc>,
    pub outcome: TestOutcome,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TestOutcome {
    Reached(ServerReport),
    /// Sentences: what happened, and what to do.
    Failed {
        message: String,
    },
}

/// What a server says of itself. What it does not tell is none: servers differ that speak PostgreSQL's protocol.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerReport {
    /// As it names itself.
    pub version: String,
    pub uses_tls: bool,
    /// The middle one of the times of some statements that do nothing.
    pub round_trip_ms: f64,
    /// Whether the role may make a schema in the database.
    pub may_create: Option<bool>,
    /// Whether the role sees what other sessions do.
    pub sees_all: Option<bool>,
    pub is_superuser: Option<bool>,
    pub max_connections: Option<u32>,
    /// Sessions that there are.
    pub n_connections: Option<u32>,
    /// It takes no writes.
    pub is_replica: Option<bool>,
    /// The server's own word.
    pub autovacuum: Option<String>,
}

/// Sessions of ours beside those of the clients: one that asks, one that counts, and one that is just ending.
const OWN_CONNECTIONS: u32 = 3;
/// What a server keeps for its superusers, by default.
const KEPT_CONNECTIONS: u32 = 3;

impl ServerReport {
    /// Why there is no room for so many clients, behind the server's name. None where there is, or where it does not tell.
    pub fn too_few_connections(&self, n_clients: u32) -> Option<String> {
        let (most, n) = (self.max_connections?, self.n_connections?);
        let free = most.saturating_sub(n + OWN_CONNECTIONS + KEPT_CONNECTIONS);
        (n_clients > free).then(|| {
            format!(
                "allows {most} connections, of which {n} are in use and some are kept for others; that leaves {free}"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_outside_of_the_secrets_directory_can_be_named() {
        for name in ["db-password", "prod.token_1", "a"] {
            assert_eq!(SecretName::parse(name).unwrap().as_str(), name);
        }
        let long = "x".repeat(101);
        for name in [
            "",
            ".",
            "..",
            ".hidden",
            "../key",
            "a/b",
            "/etc/passwd",
            "a b",
            "a\0b",
            "ä",
            &long,
        ] {
            assert_eq!(SecretName::parse(name), Err(SecretNameError), "{name:?}");
        }
    }

    #[test]
    fn a_place_is_shown_without_what_proves_who_we_are() {
        let place = ShownPlace {
            host: "::1".to_owned(),
            port: 5432,
            database: "db".to_owned(),
            user: "me".to_owned(),
            tls_mode: "require".to_owned(),
        };
        assert_eq!(place.to_string(), "me@[::1]:5432/db");
    }
}
