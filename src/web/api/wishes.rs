//! What programs may send, as the document describes it. What is sent is read field by field in `body`; a test keeps the two
//! together.

use serde::Deserialize;
use utoipa::ToSchema;

/// What a benchmark is to be: what is left out is as in the form of the pages. null is as good as left out.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "table_rows": 100_000, "test_duration": 30, "thread_counts": [4, 16] }))]
#[expect(dead_code, reason = "read field by field, and described here")]
pub(super) struct BenchmarkWish {
    /// The same as the header `Idempotency-Key`, for clients that cannot set it.
    #[schema(max_length = 200)]
    request_id: Option<String>,
    /// What is put under load: `generated` (a table of pgassay's own), `dataset` or `server`.
    #[schema(default = "generated")]
    target: Option<String>,
    /// The id of a dataset, where the target is one.
    #[schema(minimum = 1)]
    dataset: Option<i64>,
    /// The id of a registered server, where the target is one.
    #[schema(minimum = 1)]
    server: Option<i64>,
    /// The id of a workload, where the operation is `workload`.
    #[schema(minimum = 1)]
    workload: Option<i64>,
    /// Rows of the generated table.
    #[schema(minimum = 1000, maximum = 1_000_000_000, default = 1_000_000)]
    table_rows: Option<u64>,
    /// Rows that are loaded at a time.
    #[schema(minimum = 1, maximum = 100_000, default = 10_000)]
    batch_size: Option<u64>,
    /// How the generated table is loaded: `copy` or `insert`.
    #[schema(default = "copy")]
    loading: Option<String>,
    /// What each client does: `point_read`, `range_read`, `update`, `read_write`, `insert`, `delete_insert`, `tpcb_like`,
    /// `programs` or `workload`.
    #[schema(default = "point_read")]
    operation: Option<String>,
    /// How keys are chosen: `uniform`, `zipf` or `gaussian`.
    #[schema(default = "uniform")]
    keys: Option<String>,
    /// Of the operation `read_write`, how many of a hundred transactions only read.
    #[schema(minimum = 0, maximum = 100)]
    read_percent: Option<u64>,
    /// Of the operation `insert`, rows of one transaction.
    #[schema(minimum = 1, maximum = 5000)]
    insert_rows: Option<u64>,
    /// Programs in pgbench's language, where the operation is `programs`.
    #[schema(max_items = 64)]
    programs: Option<Vec<ProgramWish>>,
    /// The levels: how many clients at a time.
    thread_counts: Option<Counts>,
    /// How long each level is measured.
    test_duration: Option<Seconds>,
    /// How long each level runs before it is measured.
    warm_up: Option<Seconds>,
    /// Transactions a second; without it each client begins the next as soon as one is done.
    #[schema(exclusive_minimum = 0, maximum = 1_000_000_000)]
    rate: Option<f64>,
    /// At a rate: milliseconds after which a transaction is skipped.
    #[schema(exclusive_minimum = 0, maximum = 1_000_000_000)]
    latency_limit: Option<f64>,
    /// How statements are sent: `prepared`, `extended` or `simple`.
    #[schema(default = "prepared")]
    protocol: Option<String>,
    /// How long a connection is kept: `per_client` or `per_transaction`.
    #[schema(default = "per_client")]
    connection: Option<String>,
    /// How often a transaction is tried that meets a serialisation failure or a deadlock.
    #[schema(minimum = 1, maximum = 1000)]
    max_tries: Option<u64>,
    /// After so many errors a level is given up.
    #[schema(format = "uint64", minimum = 1, maximum = 18_446_744_073_709_551_615_u64)]
    max_errors: Option<u64>,
    /// The longest that a statement may take; none without it.
    statement_timeout: Option<Seconds>,
    /// Whether the server tidies tables on its own meanwhile.
    autovacuum: Option<bool>,
    /// Settings of the server's sessions, one `name = value` on each line.
    settings: Option<String>,
    /// From which every random choice follows.
    #[schema(format = "uint64", minimum = 0, maximum = 18_446_744_073_709_551_615_u64)]
    seed: Option<u64>,
    /// Who makes the load: `here` or `all` workers.
    #[schema(default = "here")]
    workers: Option<String>,
    /// Levels may be shorter than ten seconds: good for a look.
    #[schema(default = false)]
    quick: Option<bool>,
    /// What every level should keep to, like `p95 < 20 ms`.
    objective: Option<String>,
    /// Statistics sources on a dataset, like `built_in` or `random_targets:seed=7`.
    stats_source: Option<Vec<String>>,
}

/// A program of a mix.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read field by field, and described here")]
struct ProgramWish {
    name: Option<String>,
    /// How often it is chosen beside the others.
    #[schema(minimum = 1, maximum = 1_000_000, default = 1)]
    weight: Option<u64>,
    /// In pgbench's language.
    text: String,
}

/// One number of clients, several, or a text like `20, 40, 80` or `1..16 step 3`.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "read field by field, and described here")]
enum Counts {
    One(u32),
    Numbers(Vec<u32>),
    Text(String),
}

/// A number of seconds, or a text like `30s`, `500ms` or `1h20m`.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "read field by field, and described here")]
enum Seconds {
    Number(f64),
    Text(String),
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use utoipa::PartialSchema as _;

    use super::*;
    use crate::benchmark::form::BenchmarkForm;
    use crate::benchmark::form::MAX_PROGRAMS;
    use crate::benchmark::form::MAX_WEIGHT;
    use crate::web::api::body::MAX_ID;
    use crate::web::api::body::WHOLE_NUMBERS;

    #[test]
    fn a_benchmark_is_described_with_the_fields_and_bounds_that_it_is_read_with() {
        let schema = serde_json::to_value(BenchmarkWish::schema()).unwrap();
        let described = schema["properties"].as_object().unwrap();
        let described: BTreeSet<&str> = described.keys().map(String::as_str).collect();
        let mut form = BenchmarkForm::default();
        let mut read: BTreeSet<&str> = form.texts_mut().into_iter().map(|(name, _)| name).collect();
        read.extend(["autovacuum", "quick", "programs", "stats_source"]);
        assert_eq!(described, read);
        assert_eq!(schema["additionalProperties"], false);
        let bound = |field: &str, name: &str| schema["properties"][field][name].as_u64();
        for (field, least, most) in WHOLE_NUMBERS {
            assert_eq!(bound(field, "minimum"), Some(least), "{field}");
            // The type says the largest id that there is.
            let described = bound(field, "maximum");
            assert!(
                described == Some(most) || (described.is_none() && most == MAX_ID),
                "{field}"
            );
        }
        assert_eq!(bound("programs", "maxItems"), Some(MAX_PROGRAMS as u64));
        let program = serde_json::to_value(ProgramWish::schema()).unwrap();
        assert_eq!(program["properties"]["weight"]["maximum"], MAX_WEIGHT);
        for field in [
            "target",
            "loading",
            "operation",
            "keys",
            "protocol",
            "connection",
            "workers",
        ] {
            let default = form.text_mut(field).unwrap().clone();
            assert_eq!(schema["properties"][field]["default"], default, "{field}");
        }
    }
}
