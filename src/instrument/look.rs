//! A query's plan as it was just seen.

use anyhow::Context as _;

use crate::model::instrument::SeenPlan;
use crate::plan;
use crate::plan::Plan;
use crate::target::execute::Ran;
use crate::target::trouble::Trouble;

/// A query's plan as it was just seen, or why there is none.
#[derive(Clone, Debug)]
pub enum Look {
    Plan(Box<Seen>),
    None { message: String },
}

/// A plan with its name and the server's own words.
#[derive(Clone, Debug)]
pub struct Seen {
    pub plan: Plan,
    pub fingerprint: String,
    pub text: String,
}

impl Look {
    /// What the server said to an EXPLAIN.
    pub(super) fn of(ran: Ran<String>) -> Result<Self, Trouble> {
        Ok(match ran {
            Ran::Done(text) => {
                let plan = plan::parse(&text).context("reading the server's EXPLAIN")?;
                Self::Plan(Box::new(Seen {
                    fingerprint: plan::fingerprint(&plan),
                    plan,
                    text,
                }))
            }
            Ran::Failed(error) => Self::None { message: error.message },
            Ran::TimedOut => Self::None {
                message: "planning took longer than the timeout".to_owned(),
            },
            Ran::Interrupted => return Err(Trouble::Stopped),
        })
    }

    /// None where there is no plan.
    pub fn fingerprint(&self) -> Option<&str> {
        match self {
            Self::Plan(seen) => Some(&seen.fingerprint),
            Self::None { .. } => None,
        }
    }

    /// None where there is no plan, and where the server's number is none.
    pub fn cost(&self) -> Option<f64> {
        match self {
            Self::Plan(seen) => Some(seen.plan.cost()).filter(|cost| cost.is_finite()),
            Self::None { .. } => None,
        }
    }

    /// Why there is no plan.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Plan(_) => None,
            Self::None { message } => Some(message),
        }
    }

    /// The plan as it is kept.
    pub fn seen(&self, query_idx: i32) -> Option<SeenPlan> {
        let Self::Plan(seen) = self else {
            return None;
        };
        Some(SeenPlan {
            query_idx,
            fingerprint: seen.fingerprint.clone(),
            cost: self.cost(),
            explain: seen.text.clone(),
        })
    }
}
