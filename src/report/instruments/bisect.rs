//! A bisect, ready to be shown: what makes the difference, the plans by letter, every step.

use crate::analysis;
use crate::model::instrument::BisectFindings;
use crate::model::instrument::BisectStep;
use crate::model::instrument::Said;
use crate::report::instruments::InstrumentData;
use crate::report::instruments::Sheet;

/// The only query of a bisect.
const QUERY: i32 = 0;

/// What a bisect has found.
pub struct BisectReport {
    /// None before the end, and where both plans are the same.
    pub causes: Option<Vec<Cause>>,
    pub n_pieces: usize,
    pub left_out: Vec<String>,
    /// A is the plan of the first source, B that of the second.
    pub plans: Vec<LetteredPlan>,
    pub steps: Vec<Step>,
}

/// One of the pieces that make the difference.
pub struct Cause {
    pub name: String,
    pub said: Vec<Said>,
    /// The plan when it alone is left out.
    pub without: String,
}

/// A plan that was seen.
pub struct LetteredPlan {
    pub letter: String,
    pub cost: Option<f64>,
    pub text: String,
}

/// One mixture that was tried.
pub struct Step {
    pub number: usize,
    pub why: String,
    pub taken: Vec<String>,
    pub letter: String,
    pub fingerprint: String,
    pub cost: Option<f64>,
    pub message: String,
}

impl BisectReport {
    /// Puts the stored pieces together.
    pub fn new(data: &InstrumentData, findings: &BisectFindings) -> anyhow::Result<Self> {
        let steps: Vec<BisectStep> = data.read_steps()?;
        Ok(Self::of(data, findings, QUERY, &steps))
    }

    /// The same of a bisect that is part of something else.
    pub fn of(data: &InstrumentData, findings: &BisectFindings, query_idx: i32, steps: &[BisectStep]) -> Self {
        let letters = Letters::of(steps, findings);
        let name = |idx: &usize| findings.pieces.get(*idx).map(ToString::to_string).unwrap_or_default();
        let causes = findings.minimal.as_ref().map(|minimal| {
            let causes = minimal.iter().enumerate().map(|(n, idx)| Cause {
                name: name(idx),
                said: findings.said.get(n).cloned().unwrap_or_default(),
                without: letters.letter(findings.without.get(n).and_then(Option::as_deref)),
            });
            causes.collect()
        });
        let plans = letters.seen.iter().map(|(letter, fingerprint)| LetteredPlan {
            letter: letter.clone(),
            cost: data
                .plans
                .iter()
                .find(|plan| plan.query_idx == query_idx && plan.fingerprint == *fingerprint)
                .and_then(|plan| plan.cost),
            text: data.plan_text(query_idx, fingerprint),
        });
        let rows = steps.iter().enumerate().map(|(n, step)| Step {
            number: n + 1,
            why: step.why.clone(),
            taken: step.taken.iter().map(name).collect(),
            letter: letters.letter(step.fingerprint.as_deref()),
            fingerprint: step.fingerprint.clone().unwrap_or_default(),
            cost: step.cost,
            message: step.message.clone().unwrap_or_default(),
        });
        Self {
            causes,
            n_pieces: findings.pieces.len(),
            left_out: findings.left_out.clone(),
            plans: plans.collect(),
            steps: rows.collect(),
        }
    }

    /// The steps, one a row.
    pub fn sheet(&self) -> Sheet {
        let rows = self.steps.iter().map(|step| {
            vec![
                step.number.to_string(),
                step.why.clone(),
                step.taken.len().to_string(),
                step.taken.join("; "),
                step.letter.clone(),
                step.fingerprint.clone(),
                step.cost.map(|cost| cost.to_string()).unwrap_or_default(),
                step.message.clone(),
            ]
        });
        Sheet {
            heads: vec![
                "step",
                "why",
                "n_taken",
                "taken",
                "plan",
                "fingerprint",
                "cost",
                "message",
            ],
            rows: rows.collect(),
        }
    }
}

/// Letters in the order in which plans were seen, which begins with those of both sources.
struct Letters {
    seen: Vec<(String, String)>,
}

impl Letters {
    fn of(steps: &[BisectStep], findings: &BisectFindings) -> Self {
        let ends = [findings.plan_from.as_deref(), findings.plan_to.as_deref()];
        let steps = steps.iter().map(|step| step.fingerprint.as_deref());
        let fingerprints: Vec<Option<&str>> = ends.into_iter().chain(steps).collect();
        let mut seen: Vec<(String, String)> = Vec::new();
        for (fingerprint, letter) in fingerprints.iter().zip(analysis::letters(&fingerprints)) {
            if let (Some(fingerprint), Some(letter)) = (fingerprint, letter)
                && !seen.iter().any(|(_, known)| known == fingerprint)
            {
                seen.push((letter, (*fingerprint).to_owned()));
            }
        }
        Self { seen }
    }

    fn letter(&self, fingerprint: Option<&str>) -> String {
        let mut seen = self.seen.iter();
        let found = seen.find(|(_, known)| Some(known.as_str()) == fingerprint);
        found.map(|(letter, _)| letter.clone()).unwrap_or_default()
    }
}
