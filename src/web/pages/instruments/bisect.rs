//! What a bisect has found, as a page.

use askama::Template;

use crate::model::instrument::BisectFindings;
use crate::model::instrument::Task;
use crate::report::instruments::InstrumentData;
use crate::report::instruments::bisect::BisectReport;
use crate::report::table;
use crate::report::table::Figure;
use crate::web::pages::instruments::show::Frame;

#[derive(Template)]
#[template(path = "instruments/bisect.html")]
pub(super) struct BisectPage {
    frame: Frame,
    report: BisectReport,
    sql: String,
    from: String,
    to: String,
    /// Of the plans, then of the steps.
    plan_costs: Vec<Figure>,
    step_costs: Vec<Figure>,
}

impl BisectPage {
    pub fn new(frame: Frame, data: &InstrumentData, findings: &BisectFindings) -> anyhow::Result<Self> {
        let report = BisectReport::new(data, findings)?;
        let Task::Bisect(task) = &data.instrument.spec.task else {
            anyhow::bail!("the findings of a bisect belong to another task");
        };
        Ok(Self {
            frame,
            sql: task.query.sql.clone(),
            from: task.from.label.clone(),
            to: task.to.label.clone(),
            plan_costs: report.plans.iter().map(|plan| table::cost(plan.cost)).collect(),
            step_costs: report.steps.iter().map(|step| table::cost(step.cost)).collect(),
            report,
        })
    }

    /// What leaving out a piece gives, in words.
    fn without(&self, letter: &str) -> String {
        match letter {
            "" => "no plan at all".to_owned(),
            "A" => format!("the plan under {} again", self.from),
            _ => "a third plan".to_owned(),
        }
    }

    /// Whose plan a letter stands for.
    fn whose(&self, letter: &str) -> String {
        match letter {
            "A" => format!("under {}", self.from),
            "B" => format!("under {}", self.to),
            _ => "under some mixtures".to_owned(),
        }
    }
}
