//! The exports of a bundle, which people took away, against what its trials and plans come to when computed again.

use crate::analysis::effect;
use crate::analysis::family;
use crate::bundle::Bundle;
use crate::bundle::BundleError;
use crate::bundle::finding::Finding;
use crate::bundle::format;
use crate::bundle::tables::is_near;
use crate::bundle::verify::Verification;
use crate::bundle::write::exported;
use crate::experiment::summaries::Numbers;
use crate::model::experiment::Experiment;
use crate::model::experiment::PlanOutline;
use crate::model::filing::Filing;
use crate::model::ids::JobId;
use crate::model::job::Job;
use crate::model::job::JobKind;
use crate::model::job::Progress;
use crate::model::look::Look;
use crate::model::look::LookCounts;
use crate::report::data::ReportData;

impl Verification {
    /// The exports that people took away.
    pub(super) fn exports(
        &mut self,
        bundle: &mut Bundle,
        numbers: Numbers,
        plans: Vec<PlanOutline>,
        looks: Vec<Look>,
    ) -> Result<(), BundleError> {
        let data = ReportData {
            experiment: experiment(bundle),
            queries: bundle.queries.clone(),
            prepared: bundle.sources.clone(),
            summaries: numbers.summaries,
            plans,
            plan_texts: Vec::new(),
            segments: bundle.experiment.segments.clone(),
            interruptions: bundle.experiment.interruptions.clone(),
            taxes: numbers.taxes,
            look_counts: LookCounts::of(&looks),
            looks,
            base_idx: 0,
            family: family::beside(&bundle.experiment.spec, 0, &numbers.comparisons.of_queries),
            overall: effect::overall_beside(&bundle.experiment.spec, 0, &numbers.comparisons.overall),
        };
        let of_observer = data.experiment.spec.has_observer.then_some(&format::PUBLISHED_OBSERVER);
        for (name, exporter) in format::PUBLISHED_EXPORTS.iter().chain(of_observer) {
            let published = bundle.bytes(name)?;
            let recomputed = exported(exporter, &data)?;
            self.export(name, &published, &recomputed)
                .map_err(|error| BundleError::Unreadable {
                    name: (*name).to_owned(),
                    reason: error.to_string(),
                })?;
        }
        Ok(())
    }

    fn export(&mut self, member: &'static str, published: &[u8], recomputed: &[u8]) -> csv::Result<()> {
        let (mut before, mut now) = (
            csv::Reader::from_reader(published),
            csv::Reader::from_reader(recomputed),
        );
        let heads = now.headers()?.clone();
        if *before.headers()? != heads {
            self.sentence(format!("{member} has other columns."));
            return Ok(());
        }
        let before: Vec<csv::StringRecord> = before.records().collect::<Result<_, _>>()?;
        let now: Vec<csv::StringRecord> = now.records().collect::<Result<_, _>>()?;
        if before.len() != now.len() {
            self.sentence(format!(
                "{member} has {} rows, and {} when computed again.",
                before.len(),
                now.len()
            ));
        }
        for (before, now) in before.iter().zip(&now) {
            let of_column = |name: &str| {
                let place = heads.iter().position(|head| head == name)?;
                now.get(place).map(str::to_owned)
            };
            for ((name, before_cell), now_cell) in heads.iter().zip(before).zip(now) {
                self.n_numbers += u64::from(!now_cell.is_empty());
                if is_same_cell(before_cell, now_cell) {
                    continue;
                }
                self.findings.push(Finding::Number {
                    table: member,
                    query: of_column("query"),
                    source: of_column("source"),
                    base: of_column("baseline"),
                    name: name.to_owned(),
                    published: before_cell.to_owned(),
                    recomputed: now_cell.to_owned(),
                });
            }
        }
        Ok(())
    }
}

fn is_same_cell(a: &str, b: &str) -> bool {
    a == b || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if is_near(a, b))
}

/// The experiment of a bundle as an export sees it. It is in no store, so its ids name nothing.
fn experiment(bundle: &Bundle) -> Experiment {
    let body = &bundle.experiment;
    let read_at = body.finished_at.unwrap_or(body.created_at);
    Experiment {
        id: body.id,
        dataset_id: None,
        workload_id: None,
        dataset_name: body.dataset.name.clone(),
        dataset_sha256: body.dataset.sha256.clone(),
        workload_name: body.workload.name.clone(),
        workload_sha256: body.workload.sha256.clone(),
        spec: body.spec.clone(),
        n_trials: body.n_trials,
        n_recorded: body.n_recorded,
        created_at: body.created_at,
        environment: body.environment.clone(),
        headline: body.headline.clone(),
        // How its owner filed it stays with the owner.
        filing: Filing::default(),
        job: Job {
            id: JobId(0),
            kind: JobKind::Experiment,
            status: body.status,
            stage: String::new(),
            progress: Progress::default(),
            message: body.message.clone(),
            cancel_requested: false,
            created_at: body.created_at,
            started_at: body.started_at,
            finished_at: body.finished_at,
            read_at,
        },
    }
}
