//! What an instrument has found out, read once for a page, a chart, the command line or a file.

pub mod bisect;
pub mod budget;
pub mod lottery;
pub mod regret;

use anyhow::Context as _;
use serde_json::Value;
use serde_json::json;
use sqlx::PgConnection;

use crate::model::ids::InstrumentId;
use crate::model::instrument::Findings;
use crate::model::instrument::Instrument;
use crate::model::instrument::SeenPlan;
use crate::model::user::Viewer;
use crate::plan;
use crate::report::instruments::bisect::BisectReport;
use crate::report::instruments::budget::BudgetReport;
use crate::report::instruments::lottery::LotteryReport;
use crate::report::instruments::regret::RegretReport;
use crate::store;

/// Everything that is stored of one run.
#[derive(Clone, Debug)]
pub struct InstrumentData {
    pub instrument: Instrument,
    /// As they were stored, in order.
    pub steps: Vec<Value>,
    pub plans: Vec<SeenPlan>,
}

/// A table of plain cells, for files and terminals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    pub heads: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl InstrumentData {
    /// Reads it; none when there is no such run for this viewer.
    pub async fn load(conn: &mut PgConnection, viewer: Viewer, id: InstrumentId) -> store::Result<Option<Self>> {
        let Some(instrument) = store::instruments::get(&mut *conn, viewer, id).await? else {
            return Ok(None);
        };
        Ok(Some(Self {
            instrument,
            steps: store::instruments::list_steps(&mut *conn, viewer, id).await?,
            plans: store::instruments::list_plans(conn, viewer, id).await?,
        }))
    }

    /// Everything, with every digit.
    pub fn to_json(&self) -> anyhow::Result<Vec<u8>> {
        let instrument = &self.instrument;
        let plans = self.plans.iter().map(|plan| {
            // A cost can be Infinity, which is not JSON: then it stays text.
            let explain = serde_json::from_str(&plan.explain).unwrap_or_else(|_| json!(plan.explain));
            json!({
                "query": plan.query_idx,
                "fingerprint": plan.fingerprint,
                "cost": plan.cost,
                "explain": explain,
            })
        });
        let document = json!({
            "pgassay": env!("CARGO_PKG_VERSION"),
            "instrument": instrument.id,
            "kind": instrument.spec.task.kind().word(),
            "status": instrument.job.status,
            "message": instrument.job.message,
            "created_at": instrument.created_at,
            "dataset": instrument.dataset_name,
            "experiment": instrument.experiment_id,
            "headline": instrument.headline,
            "spec": instrument.spec,
            "findings": instrument.result,
            "steps": self.steps,
            "plans": plans.collect::<Vec<Value>>(),
        });
        Ok(serde_json::to_vec_pretty(&document)?)
    }

    /// The steps, or what they were summed up to, as a table; empty before anything is known.
    pub fn sheet(&self) -> anyhow::Result<Sheet> {
        Ok(match &self.instrument.result {
            None => Sheet::default(),
            Some(Findings::Bisect(findings)) => BisectReport::new(self, findings)?.sheet(),
            Some(Findings::Budget(findings)) => BudgetReport::new(self, findings)?.sheet(),
            Some(Findings::Regret(findings)) => RegretReport::new(self, findings)?.sheet(),
            Some(Findings::Lottery(findings)) => LotteryReport::new(self, findings)?.sheet(),
        })
    }

    /// The same as comma-separated values.
    pub fn to_csv(&self) -> anyhow::Result<Vec<u8>> {
        let sheet = self.sheet()?;
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(&sheet.heads)?;
        for row in &sheet.rows {
            csv.write_record(row.iter().map(|cell| crate::report::export::csv::text(cell)))?;
        }
        Ok(csv.into_inner()?)
    }

    /// A name that says what the file is wherever it is saved: `pgassay_bisect-3.csv`.
    pub fn file_name(&self, ending: &str) -> String {
        let kind = self.instrument.spec.task.kind().word();
        format!("pgassay_{kind}-{}.{ending}", self.instrument.id)
    }

    /// The steps as their type.
    fn read_steps<T: serde::de::DeserializeOwned>(&self) -> anyhow::Result<Vec<T>> {
        let steps = self.steps.iter().map(|step| serde_json::from_value(step.clone()));
        steps.collect::<Result<_, _>>().context("reading the stored steps")
    }

    /// A plan in the manner of EXPLAIN's own text; empty where it was not seen.
    pub fn plan_text(&self, query_idx: i32, fingerprint: &str) -> String {
        let is_meant = |plan: &&SeenPlan| plan.query_idx == query_idx && plan.fingerprint == fingerprint;
        let plan = self.plans.iter().find(is_meant);
        // What was stored has been read before.
        let plan = plan.and_then(|plan| plan::parse(&plan.explain).ok());
        plan.map(|plan| plan::text(&plan)).unwrap_or_default()
    }
}
