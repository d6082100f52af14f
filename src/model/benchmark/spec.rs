//! What a benchmark is asked, complete: it needs no form and no workload any more.

use serde::Deserialize;
use serde::Serialize;

use crate::model::benchmark::Generators;
use crate::model::benchmark::Level;
use crate::model::dataset::Setting;
use crate::model::experiment::SourceSpec;
use crate::model::ids::DatasetId;
use crate::model::ids::ServerId;

/// A validated wish: everything that decides what a benchmark does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkSpec {
    pub target: TargetSpec,
    pub mix: MixSpec,
    /// Statistics under which every number of clients is tried; none means one run of each, as ANALYZE leaves them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceSpec>,
    /// How many clients at once, one level after the other, in this order.
    pub n_clients: Vec<u32>,
    /// Of each level, without its warm-up.
    pub duration_ms: u64,
    pub warm_up_ms: u64,
    pub pace: Pace,
    pub protocol: Protocol,
    pub connection: ConnectionMode,
    /// How often a transaction is tried that met a serialisation failure or a deadlock; 1 means once.
    pub max_tries: u32,
    /// So many failed transactions end a level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_errors: Option<u64>,
    /// The limit of one statement; 0 means none.
    pub statement_timeout_ms: u64,
    /// Whether autovacuum runs beside it, where the server is ours. Under a source it never analyzes.
    pub autovacuum: bool,
    /// Session settings of every client, in the order in which they are set.
    pub settings: Vec<Setting>,
    pub seed: u64,
    /// Who makes the load.
    #[serde(default, skip_serializing_if = "Generators::is_here")]
    pub generators: Generators,
    /// Levels are shorter than ten seconds, which is good for a look and for nothing else.
    #[serde(default)]
    pub is_quick: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<Objective>,
}

impl BenchmarkSpec {
    /// The levels in the order in which they run: for each number of clients every source, each time beginning with
    /// another one, so that no source always comes first.
    pub fn levels(&self) -> Vec<Level> {
        let n_sources = self.sources.len().max(1);
        let mut levels = Vec::new();
        for (turn, n_clients) in self.n_clients.iter().enumerate() {
            for place in 0..n_sources {
                let source_idx = (turn + place) % n_sources;
                levels.push(Level {
                    level_idx: i32::try_from(levels.len()).unwrap_or(i32::MAX),
                    n_clients: *n_clients,
                    source_idx: (!self.sources.is_empty()).then(|| i32::try_from(source_idx).unwrap_or(i32::MAX)),
                });
            }
        }
        levels
    }

    /// The most clients that are at work at once.
    pub fn most_clients(&self) -> u32 {
        self.n_clients.iter().copied().max().unwrap_or(0)
    }

    /// What all levels take with their warm-ups, without loading and cloning, in milliseconds.
    pub fn running_ms(&self) -> u64 {
        let n_levels = self.n_clients.len() * self.sources.len().max(1);
        (self.duration_ms + self.warm_up_ms).saturating_mul(n_levels as u64)
    }

    /// The label of a level's source; none where the benchmark has no sources.
    pub fn source_label(&self, source_idx: Option<i32>) -> Option<&str> {
        let source = self.sources.get(usize::try_from(source_idx?).ok()?)?;
        Some(&source.label)
    }
}

/// The database under load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TargetSpec {
    /// Tables made for it, on a server of its own.
    Generated(GeneratedSpec),
    /// Clones of a dataset.
    Dataset { dataset_id: DatasetId },
    /// The same tables as generated ones, in a schema of ours on a registered server.
    Server {
        server_id: ServerId,
        generated: GeneratedSpec,
    },
}

impl TargetSpec {
    /// The tables that are made for it; none on a dataset.
    pub fn generated(&self) -> Option<GeneratedSpec> {
        match self {
            Self::Generated(generated) | Self::Server { generated, .. } => Some(*generated),
            Self::Dataset { .. } => None,
        }
    }

    /// The registered server that it is on.
    pub fn server_id(&self) -> Option<ServerId> {
        match self {
            Self::Server { server_id, .. } => Some(*server_id),
            Self::Generated(_) | Self::Dataset { .. } => None,
        }
    }
}

/// The tables of pgbench, of any size. They are pgbench's own, so that its programs run unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratedSpec {
    /// Of `pgbench_accounts`.
    pub table_rows: u64,
    /// Rows sent at once.
    pub batch_size: u32,
    pub loading: Loading,
}

impl GeneratedSpec {
    /// Accounts of one branch: pgbench's `naccounts`.
    pub const ROWS_PER_BRANCH: u64 = 100_000;

    /// Rows of `pgbench_branches`: pgbench's scale factor, rounded up.
    pub fn n_branches(self) -> u64 {
        self.table_rows.div_ceil(Self::ROWS_PER_BRANCH)
    }

    /// Rows of `pgbench_tellers`: ten a branch, pgbench's `ntellers`.
    pub fn n_tellers(self) -> u64 {
        self.n_branches() * 10
    }
}

/// How generated rows are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loading {
    Copy,
    /// Statements of `batch_size` rows each.
    Insert,
}

impl Loading {
    pub const ALL: [Self; 2] = [Self::Copy, Self::Insert];

    /// The word used in forms, commands and exports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Insert => "insert",
        }
    }
}

/// What clients do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MixSpec {
    /// As it was chosen; the programs say what it means.
    pub operation: Operation,
    pub keys: KeyDistribution,
    pub programs: Vec<ProgramText>,
    /// Variables that every client starts with, beside those of pgbench itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<(String, String)>,
}

/// A transaction in pgbench's language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramText {
    /// Unique in its mix.
    pub name: String,
    pub text: String,
    /// How often it is chosen, beside the weights of the others.
    pub weight: u32,
    /// One statement as it stands: a colon in it is no variable.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_plain_sql: bool,
}

/// What kind of load was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    PointRead,
    RangeRead,
    Update,
    ReadWrite,
    Insert,
    DeleteInsert,
    TpcbLike,
    /// Programs that somebody brought.
    Programs,
    /// The queries of a workload.
    Workload,
}

impl Operation {
    /// In the order in which forms list them.
    pub const ALL: [Self; 9] = [
        Self::PointRead,
        Self::RangeRead,
        Self::Update,
        Self::ReadWrite,
        Self::Insert,
        Self::DeleteInsert,
        Self::TpcbLike,
        Self::Programs,
        Self::Workload,
    ];

    /// The word used in addresses, forms, commands and exports. It is stored, so it never changes.
    pub fn word(self) -> &'static str {
        match self {
            Self::PointRead => "point_read",
            Self::RangeRead => "range_read",
            Self::Update => "update",
            Self::ReadWrite => "read_write",
            Self::Insert => "insert",
            Self::DeleteInsert => "delete_insert",
            Self::TpcbLike => "tpcb_like",
            Self::Programs => "programs",
            Self::Workload => "workload",
        }
    }

    /// In a sentence, short.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::PointRead => "point reads",
            Self::RangeRead => "range reads",
            Self::Update => "updates",
            Self::ReadWrite => "reads and writes",
            Self::Insert => "inserts",
            Self::DeleteInsert => "rows replaced",
            Self::TpcbLike => "TPC-B-like",
            Self::Programs => "own programs",
            Self::Workload => "a workload",
        }
    }

    /// As a label of a choice.
    pub fn title(self) -> &'static str {
        match self {
            Self::PointRead => "Point read: one row by its key",
            Self::RangeRead => "Range read: 100 rows in a row, summed up",
            Self::Update => "Update: one row by its key",
            Self::ReadWrite => "Read and write: point reads and updates",
            Self::Insert => "Insert: some rows at once",
            Self::DeleteInsert => "Delete and insert: one row replaced",
            Self::TpcbLike => "TPC-B-like: what pgbench does by default",
            Self::Programs => "Programs of your own, in pgbench's language",
            Self::Workload => "The queries of a workload",
        }
    }
}

/// Which rows are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyDistribution {
    Uniform,
    /// Few rows are asked for much more often than others, by Zipf's law; they lie anywhere in the table.
    Zipf,
    /// Rows in the middle of the table are asked for more often.
    Gaussian,
}

impl KeyDistribution {
    pub const ALL: [Self; 3] = [Self::Uniform, Self::Zipf, Self::Gaussian];

    /// The word used in forms, commands and exports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
            Self::Gaussian => "gaussian",
        }
    }
}

/// How transactions follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Pace {
    /// A client begins its next transaction when it has ended the last.
    Closed,
    /// Transactions begin at random moments, this many a second among all clients, whether earlier ones have ended or not;
    /// latency counts from the intended moment.
    Rate {
        per_s: f64,
        /// A transaction that could not begin within so long is skipped and counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        latency_limit_ms: Option<f64>,
    },
}

/// How statements are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Parsed once for each connection.
    Prepared,
    /// Parsed every time, with parameters.
    Extended,
    /// As text with the values in it.
    Simple,
}

impl Protocol {
    pub const ALL: [Self; 3] = [Self::Prepared, Self::Extended, Self::Simple];

    /// The word used in forms, commands and exports; pgbench's own.
    pub fn word(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Extended => "extended",
            Self::Simple => "simple",
        }
    }
}

/// How long a connection is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionMode {
    /// One for each client and level.
    PerClient,
    /// A new one for each transaction, which is then part of its latency.
    PerTransaction,
}

impl ConnectionMode {
    pub const ALL: [Self; 2] = [Self::PerClient, Self::PerTransaction];

    /// The word used in forms, commands and exports.
    pub fn word(self) -> &'static str {
        match self {
            Self::PerClient => "per_client",
            Self::PerTransaction => "per_transaction",
        }
    }
}

/// What every level should keep to: `p95 < 20 ms`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// 95 for p95.
    pub percentile: f64,
    pub below_ms: f64,
}

impl std::fmt::Display for Objective {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p{} < {} ms", self.percentile, self.below_ms)
    }
}
