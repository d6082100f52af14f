//! Where the results of an experiment go: a table on the terminal, and files.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::app::house::House;
use crate::cli::bundle;
use crate::cli::columns;
use crate::cli::columns::Side;
use crate::cli::working::RunError;
use crate::model::text::for_terminal;
use crate::model::trial::RecordedTrial;
use crate::report::data::ReportData;
use crate::report::export;
use crate::report::table;

/// Where results go beside the terminal.
#[derive(Debug, clap::Args)]
pub struct ResultFiles {
    /// Where to write everything as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where to write the summaries as CSV.
    #[arg(long)]
    csv: Option<PathBuf>,
    /// Where to write the report: as one page of HTML, or as Markdown into a file that ends in `.md`.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Where to write the bundle: one file from which the numbers can be computed and the measuring repeated.
    #[arg(long)]
    bundle: Option<PathBuf>,
}

impl ResultFiles {
    /// Refuses, before anything has run, files that cannot be written.
    pub(super) fn check(&self) -> Result<(), RunError> {
        for path in [&self.json, &self.csv, &self.report, &self.bundle]
            .into_iter()
            .flatten()
        {
            let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
            opened.map_err(|error| RunError::Arguments(format!("{} cannot be written: {error}.", path.display())))?;
        }
        Ok(())
    }

    pub(super) async fn write(&self, house: &House, data: &ReportData, trials: &[RecordedTrial]) -> anyhow::Result<()> {
        let is_text = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
        let report = if self.report.as_ref().is_some_and(is_text) {
            "report.md"
        } else {
            "report.html"
        };
        for (path, name) in [
            (&self.json, "export.json"),
            (&self.csv, "export.csv"),
            (&self.report, report),
        ] {
            if let (Some(path), Some(exporter)) = (path, export::find(name)) {
                let bytes = exporter.write(data, trials)?;
                std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))?;
            }
        }
        match &self.bundle {
            Some(path) => bundle::write(house, data.experiment.id, path).await,
            None => Ok(()),
        }
    }
}

/// Prints what each query took under each source, and the headline.
pub(super) fn print_table(data: &ReportData) -> anyhow::Result<()> {
    let mut lines = vec![
        [
            "query",
            "source",
            "n",
            "median ms",
            "ratio",
            "verdict",
            "mean ms",
            "std dev ms",
            "p95 ms",
            "planning ms",
            "cost",
            "plan",
            "",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for query in table::table(data) {
        for row in query.rows {
            let (ratio, verdict) = row.compared.map_or_else(Default::default, |compared| {
                (compared.ratio.shown, compared.verdict.word().to_owned())
            });
            lines.push(vec![
                for_terminal(&query.label),
                row.source,
                row.n,
                row.median.shown,
                ratio,
                verdict,
                row.mean.shown,
                row.stddev.shown,
                row.p95.shown,
                row.planning.shown,
                row.cost.shown,
                row.letter,
                match row.same_as.as_str() {
                    "" => for_terminal(&row.trouble.replace('\n', " ")),
                    same_as => format!("same plan as {same_as}"),
                },
            ]);
        }
    }
    columns::print(&lines, |column| match column {
        0 | 1 | 5 | 11 | 12 => Side::Left,
        _ => Side::Right,
    })?;
    let mut out = std::io::stdout().lock();
    if let Some(headline) = &data.experiment.headline {
        writeln!(out, "\n{}", for_terminal(headline))?;
    }
    writeln!(
        out,
        "Seed {}. Times are of the {} clock.",
        data.experiment.spec.seed,
        data.experiment.spec.clock.word()
    )?;
    Ok(())
}
