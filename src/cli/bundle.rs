//! `pgassay bundle` and `pgassay verify`: an experiment as a file, and its numbers computed again from that file.

use std::fs::File;
use std::io::BufWriter;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::app::house::Guests;
use crate::app::house::House;
use crate::bundle::Bundle;
use crate::bundle::Draft;
use crate::bundle::verify;
use crate::config::HouseConfig;
use crate::model::ids::ExperimentId;
use crate::model::text::for_terminal;
use crate::model::units::counted;
use crate::model::units::grouped;

#[derive(Debug, clap::Args)]
pub struct BundleArgs {
    /// The number of a finished experiment, as its page shows it.
    experiment: i64,
    /// Where to write the bundle.
    #[arg(long)]
    output: PathBuf,
    #[command(flatten)]
    house: HouseConfig,
}

#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// A bundle, as `pgassay bundle` or a results page gives it.
    bundle: PathBuf,
}

/// Whether the numbers of a bundle follow from what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    AllFollow,
    SomeDiffer,
}

/// Writes the bundle of an experiment that is in the store.
pub async fn bundle(args: &BundleArgs) -> anyhow::Result<()> {
    let house = House::open(&args.house).await?;
    let written = write(&house, ExperimentId(args.experiment), &args.output).await;
    house.close(Guests::WaitFor).await?;
    written
}

/// Writes the bundle of an experiment into a file.
pub async fn write(house: &House, id: ExperimentId, path: &Path) -> anyhow::Result<()> {
    let draft = Draft::load(&house.pool, house.viewer, id)
        .await?
        .with_context(|| format!("there is no experiment {id}"))?;
    let file = File::create(path).with_context(|| format!("writing {}", path.display()))?;
    draft.write(BufWriter::new(file)).await?;
    Ok(())
}

/// Computes the numbers of a bundle again and says which differ.
pub fn verify(args: &VerifyArgs) -> anyhow::Result<Verdict> {
    let mut bundle = Bundle::open(&args.bundle)?;
    let verification = verify::verify(&mut bundle)?;
    let mut out = std::io::stdout().lock();
    let body = &bundle.experiment;
    let about = format!(
        "Experiment {}: {} on {}, {} under {}, {}.",
        body.id,
        body.workload.name,
        body.dataset.name,
        counted(bundle.queries.len() as u64, "query", "queries"),
        counted(
            body.spec.sources.len() as u64,
            "source of statistics",
            "sources of statistics"
        ),
        counted(verification.n_trials as u64, "trial", "trials"),
    );
    writeln!(out, "{}", for_terminal(&about))?;
    for finding in &verification.findings {
        writeln!(out, "{}", for_terminal(&finding.to_string()))?;
    }
    let n_numbers = grouped(verification.n_numbers);
    if verification.findings.is_empty() {
        writeln!(out, "All {n_numbers} numbers follow from its trials and plans.")?;
        return Ok(Verdict::AllFollow);
    }
    writeln!(
        out,
        "{} of {n_numbers} computed again: this bundle does not hold what was published, or not what was measured.",
        counted(verification.findings.len() as u64, "difference", "differences"),
    )?;
    Ok(Verdict::SomeDiffer)
}
