//! What a regret has found, as a page.

use askama::Template;

use crate::analysis::regret::Regret;
use crate::analysis::summary::Quantile;
use crate::model::instrument::RegretFindings;
use crate::model::units::ms_in_words;
use crate::model::units::three_digits;
use crate::report::instruments::InstrumentData;
use crate::report::instruments::regret::Choice;
use crate::report::instruments::regret::RegretReport;
use crate::report::instruments::regret::SourceRegret;
use crate::report::instruments::regret::TimedPlanRow;
use crate::report::table;
use crate::web::pages::instruments::show::Frame;

#[derive(Template)]
#[template(path = "instruments/regret.html")]
pub(super) struct RegretPage {
    frame: Frame,
    report: RegretReport,
}

impl RegretPage {
    pub fn new(frame: Frame, data: &InstrumentData, findings: &RegretFindings) -> anyhow::Result<Self> {
        Ok(Self {
            report: RegretReport::new(data, findings)?,
            frame,
        })
    }

    fn regret(choice: &Choice) -> String {
        choice.regret.map_or_else(|| "–".to_owned(), times)
    }

    fn mean(source: &SourceRegret) -> String {
        source.mean.map_or_else(|| "–".to_owned(), times)
    }

    fn worst(source: &SourceRegret) -> String {
        match &source.worst {
            Some((regret, label)) => format!("{} in {label}", times(*regret)),
            None => "–".to_owned(),
        }
    }

    fn n_best(source: &SourceRegret) -> String {
        format!("{} of {}", source.n_best, source.n_known)
    }

    fn median(plan: &TimedPlanRow) -> String {
        let (median_ms, is_above) = Quantile::parts(plan.median);
        table::time_in_words(median_ms, is_above)
    }

    fn range(plan: &TimedPlanRow) -> String {
        match plan.range_ms {
            Some((low, high)) => format!("{} to {}", ms_in_words(low), ms_in_words(high)),
            None => "–".to_owned(),
        }
    }

    /// What kept runs from finishing.
    fn trouble(plan: &TimedPlanRow) -> String {
        match (plan.n_timed_out, plan.message.as_str()) {
            (0, message) => message.to_owned(),
            (n, "") => format!("{n} of {} timed out", plan.n),
            (n, message) => format!("{n} of {} timed out; {message}", plan.n),
        }
    }
}

fn times(regret: Regret) -> String {
    let sign = if regret.is_above { "> " } else { "" };
    format!("{sign}{}×", three_digits(regret.factor))
}
