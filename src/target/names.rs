//! What the databases and the role of a sandbox are called on its server.
//!
//! A sandbox calls its databases by what they are for (`t_1`, `e_12`, see [`clone`](crate::target::clone)). On a server
//! of its own these are their names. On a server that datasets share each name begins with the name of the dataset's
//! role, which says nothing to others who list it, and tells what belongs to this data directory from everything else.

use sha2::Digest as _;
use sha2::Sha256;

use crate::model::ids::BenchmarkId;
use crate::model::ids::DatasetId;

/// What a sandbox calls the server's own database, which belongs to no sandbox.
pub const SERVER_DATABASE: &str = "postgres";

/// Letters of a name that stand for a data directory, and letters that stand for a dataset in it.
const N_LETTERS: usize = 8;

/// Whose a sandbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenant {
    Dataset(DatasetId),
    /// Its generated tables, for as long as it runs.
    Benchmark(BenchmarkId),
}

impl From<DatasetId> for Tenant {
    fn from(id: DatasetId) -> Self {
        Self::Dataset(id)
    }
}

impl Tenant {
    /// For people: `dataset`.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Dataset(_) => "dataset",
            Self::Benchmark(_) => "benchmark",
        }
    }

    /// For people: `dataset 12`.
    pub fn in_words(self) -> String {
        match self {
            Self::Dataset(id) => format!("dataset {id}"),
            Self::Benchmark(id) => format!("benchmark {id}"),
        }
    }
}

impl From<BenchmarkId> for Tenant {
    fn from(id: BenchmarkId) -> Self {
        Self::Benchmark(id)
    }
}

/// Short and unique among the sandboxes of a data directory: part of names and paths.
impl std::fmt::Display for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dataset(id) => write!(f, "{id}"),
            Self::Benchmark(id) => write!(f, "b{id}"),
        }
    }
}

/// The names of one sandbox.
#[derive(Clone, Debug)]
pub struct Names {
    /// The dataset's role.
    pub role: String,
    /// In front of the name of each database.
    prefix: String,
    server_database: String,
}

impl Names {
    /// On a server that holds nothing else.
    pub fn alone(tenant: impl Into<Tenant>) -> Self {
        Self {
            role: format!("w_{}", tenant.into()),
            prefix: String::new(),
            server_database: SERVER_DATABASE.to_owned(),
        }
    }

    /// On a server with other datasets. `prefix` is that of the data directory.
    pub fn among_others(prefix: &str, tenant: impl Into<Tenant>, server_database: &str) -> Self {
        let role = format!("{prefix}{}", letters(&format!("{prefix} {}", tenant.into())));
        Self::of_role(role, server_database)
    }

    /// On a server with other datasets, for a role whose name is known.
    pub fn of_role(role: String, server_database: &str) -> Self {
        Self {
            prefix: format!("{role}_"),
            role,
            server_database: server_database.to_owned(),
        }
    }

    /// The name on the server of what the sandbox calls `database`.
    pub fn on_server(&self, database: &str) -> String {
        if database == SERVER_DATABASE {
            return self.server_database.clone();
        }
        format!("{}{database}", self.prefix)
    }

    /// What the sandbox calls a database of the server; none for one that is not the sandbox's.
    pub fn in_sandbox<'a>(&self, on_server: &'a str) -> Option<&'a str> {
        if ["postgres", "template0", "template1"].contains(&on_server) {
            return None;
        }
        on_server.strip_prefix(&self.prefix)
    }
}

/// What all names of a data directory begin with on a shared server.
pub fn prefix(home: &str) -> String {
    format!("w_{}", letters(home))
}

/// Whether a database has a name that some pgassay gave it on a shared server.
pub fn is_of_some_pgassay(database: &str) -> bool {
    database
        .strip_prefix("w_")
        .and_then(|rest| rest.split_once('_'))
        .is_some_and(|(name, _)| name.len() == 2 * N_LETTERS && name.bytes().all(|byte| LETTERS.contains(&byte)))
}

/// Whether a database of a shared server is the template of a dataset.
pub fn is_template(database: &str) -> bool {
    is_of_some_pgassay(database) && database.split('_').nth(2) == Some("t")
}

/// Base 32.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

fn letters(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let letters = digest.iter().take(N_LETTERS);
    letters
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_knows_its_databases_by_the_same_names_on_both_kinds_of_server() {
        let shared = Names::among_others(&prefix("home"), DatasetId(7), "admin");
        for names in [Names::alone(DatasetId(7)), shared] {
            let on_server = names.on_server("e_12_writer");
            assert_eq!(names.in_sandbox(&on_server), Some("e_12_writer"));
            assert_eq!(names.in_sandbox("template1"), None);
            assert_eq!(names.in_sandbox(&names.on_server(SERVER_DATABASE)), None);
        }
    }

    #[test]
    fn datasets_and_data_directories_never_take_each_others_databases() {
        let names = |home: &str, id| Names::among_others(&prefix(home), DatasetId(id), "postgres");
        let own = names("home", 1);
        for other in [names("home", 2), names("home", 11), names("elsewhere", 1)] {
            assert_eq!(own.in_sandbox(&other.on_server("t_1")), None);
            assert!(is_of_some_pgassay(&other.on_server("t_1")));
            assert!(is_template(&other.on_server("t_1")) && !is_template(&other.on_server("e_1")));
            assert_ne!(own.role, other.role);
        }
        assert!(
            own.role.starts_with(&prefix("home")) && own.role.len() == 18,
            "{}",
            own.role
        );
        for theirs in ["w_x", "shop", "w_shop_orders", "w_aaaaaaaaaaaaaaaa"] {
            assert!(!is_of_some_pgassay(theirs), "{theirs}");
        }
    }

    #[test]
    fn the_longest_name_fits() {
        let names = Names::among_others(&prefix("home"), DatasetId(i64::MAX), "postgres");
        let name = names.on_server(&format!("e_{}_base_999_new", i64::MAX));
        assert!(name.len() <= 63, "{name}");
    }
}
