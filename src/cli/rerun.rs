//! `pgassay rerun`: what a bundle holds, measured again on the same dump, under the same snapshots and in the same order.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use sha2::Digest as _;
use sha2::Sha256;

use crate::app::house::House;
use crate::bundle::Bundle;
use crate::bundle::BundleError;
use crate::cli::following::follow;
use crate::cli::results::ResultFiles;
use crate::cli::working::RunError;
use crate::cli::working::in_house;
use crate::cli::working::request_id;
use crate::config::HouseConfig;
use crate::experiment::service::Repeat;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::PreparedSource;
use crate::model::experiment::Repeated;
use crate::model::snapshot::Snapshot;
use crate::model::text::for_terminal;
use crate::report::data::ReportData;
use crate::snapshot;
use crate::workload::service::NewScript;

#[derive(Debug, clap::Args)]
pub struct RerunArgs {
    /// A bundle, as `pgassay bundle` or a results page gives it.
    #[arg(value_name = "BUNDLE")]
    file: PathBuf,
    /// The dump that it was measured on.
    #[arg(long)]
    dump: PathBuf,
    /// Measure on this dump even if it is another one: its tables have to be the same, its rows need not.
    #[arg(long)]
    another_dump: bool,
    #[command(flatten)]
    files: ResultFiles,
    #[command(flatten)]
    house: HouseConfig,
}

/// What a bundle gives for measuring again.
struct Given {
    /// Of the store that it came from.
    spec: ExperimentSpec,
    queries: Vec<ExperimentQuery>,
    sources: Vec<(PreparedSource, Snapshot)>,
    fingerprints: BTreeMap<(i32, i32), String>,
    workload_name: String,
}

/// Measures again, prints the table, and says which plans are not those of the bundle.
pub async fn rerun(args: RerunArgs) -> Result<(), RunError> {
    for file in [&args.file, &args.dump] {
        if !file.is_file() {
            return Err(RunError::Arguments(format!("There is no file {}.", file.display())));
        }
    }
    args.files.check()?;
    let given = given(&args)?;
    in_house(&args.house, async |house| measure(house, &args, given).await).await
}

/// Reads the bundle, and insists that it is whole and of this dump.
fn given(args: &RerunArgs) -> Result<Given, RunError> {
    let refused = |error: BundleError| RunError::Failed(error.into());
    let mut bundle = Bundle::open(&args.file).map_err(refused)?;
    let sources = bundle.snapshots().map_err(refused)?;
    let fingerprints = bundle.fingerprints().map_err(refused)?;
    let altered = sources
        .iter()
        .any(|(source, snapshot)| snapshot::checksum(snapshot) != source.snapshot_sha256);
    if altered || !bundle.changed().is_empty() {
        return Err(
            anyhow::anyhow!("The bundle was changed after it was written; `pgassay verify` says where.").into(),
        );
    }
    let body = &bundle.experiment;
    let dump_sha256 = sha256_of(&args.dump)?;
    if dump_sha256 != body.dataset.sha256 && !args.another_dump {
        return Err(RunError::Arguments(format!(
            "{} is not the dump that the bundle was measured on ({}): its SHA-256 is {dump_sha256}, and that one's was \
             {}. With --another-dump it is measured all the same.",
            args.dump.display(),
            body.dataset.name,
            body.dataset.sha256
        )));
    }
    Ok(Given {
        spec: ExperimentSpec {
            repeats: Some(Repeated {
                experiment: body.id,
                bundle_sha256: sha256_of(&args.file)?,
            }),
            ..body.spec.clone()
        },
        workload_name: body.workload.name.clone(),
        queries: bundle.queries,
        sources,
        fingerprints,
    })
}

fn sha256_of(path: &Path) -> anyhow::Result<String> {
    let reading = || format!("reading {}", path.display());
    let mut file = std::fs::File::open(path).with_context(reading)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0_u8; 1 << 20]);
    loop {
        match file.read(&mut buffer).with_context(reading)? {
            0 => return Ok(hex::encode(hash.finalize())),
            n_read => hash.update(&buffer[..n_read]),
        }
    }
}

async fn measure(house: &House, args: &RerunArgs, given: Given) -> Result<(), RunError> {
    let script = NewScript {
        request_id: request_id()?,
        name: given.workload_name,
        file_name: "queries.sql".to_owned(),
        bytes: script(&given.queries).into_bytes(),
    };
    let added = house.workloads.add(house.viewer, script).await;
    let workload_id = added.map_err(anyhow::Error::from)?;
    let added = house
        .datasets
        .add_file(house.viewer, &args.dump, "", &request_id()?)
        .await;
    let dataset_id = added.map_err(anyhow::Error::from)?;
    let repeat = Repeat {
        spec: ExperimentSpec {
            dataset_id,
            workload_id,
            query_positions: given.queries.iter().map(|query| query.query_idx).collect(),
            ..given.spec
        },
        queries: given.queries,
        sources: given.sources,
    };
    let id = house.experiments.repeat(house.viewer, &request_id()?, repeat).await?;
    let data = follow(house, dataset_id, id, &args.files).await?;
    Ok(tell_plans(&data, &given.fingerprints)?)
}

/// The queries as a file of queries, from which they are read as they are here.
fn script(queries: &[ExperimentQuery]) -> String {
    queries
        .iter()
        // A comment may end a statement, so the semicolon has a line of its own.
        .map(|query| format!("-- name: {}\n{}\n;\n", query.label, query.sql))
        .collect()
}

/// Which plans came out otherwise than in the bundle. The statistics are the same, so the server or its settings are not.
fn tell_plans(data: &ReportData, before: &BTreeMap<(i32, i32), String>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut n_others = 0;
    for plan in &data.plans {
        let before = before.get(&(plan.query_idx, plan.source_idx));
        if before != plan.fingerprint.as_ref() {
            let place = format!(
                "{} under {} has another plan than in the bundle.",
                data.query_label(plan.query_idx),
                data.source_label(plan.source_idx)
            );
            writeln!(out, "{}", for_terminal(&place))?;
            n_others += 1;
        }
    }
    if n_others == 0 {
        writeln!(out, "All {} plans are those of the bundle.", data.plans.len())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::QueryClass;
    use crate::workload::read;

    #[test]
    fn queries_that_were_written_as_a_file_are_read_as_they_were() {
        let query = |query_idx: i32, label: &str, sql: &str| ExperimentQuery {
            query_idx,
            label: label.to_owned(),
            line: 7,
            sql: sql.to_owned(),
            class: QueryClass::Reads,
        };
        let queries = [
            query(0, "two words", "select 1 -- and so on\n+ 2"),
            query(1, "q2", "select ';', $$;$$ /* ; */, 3"),
            query(2, "q2_2", "select E'\\'' as \";\""),
        ];
        let read = read::read(&script(&queries)).unwrap();
        let read: Vec<(&str, &str)> = read.iter().map(|query| (&*query.label, &*query.sql)).collect();
        let wanted: Vec<(&str, &str)> = queries.iter().map(|query| (&*query.label, &*query.sql)).collect();
        assert_eq!(read, wanted);
    }
}
