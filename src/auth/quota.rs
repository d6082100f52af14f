//! Quotas: whether an account may have more, what it reads when it may not, and the form by which an admin says so.

use std::fmt;

use sqlx::PgConnection;

use crate::config::Access;
use crate::model::ids::UserId;
use crate::model::quota::Bound;
use crate::model::quota::OwnQuotas;
use crate::model::quota::Quota;
use crate::model::quota::Quotas;
use crate::model::quota::Usage;
use crate::model::units::bytes_in_words;
use crate::model::units::counted;
use crate::model::units::grouped;
use crate::model::units::seconds_in_words;
use crate::store;

/// Every quota, in the order in which forms and lists show them.
pub const ALL: [Quota; 7] = [
    Quota::Storage,
    Quota::Datasets,
    Quota::Waiting,
    Quota::Running,
    Quota::Trials,
    Quota::Clients,
    Quota::Load,
];

/// How a form asks for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in forms and in the API.
    pub name: &'static str,
    pub label: &'static str,
    /// What a number in the form counts; nothing where the label says it.
    pub unit: &'static str,
    /// How many of what is stored make one of that.
    pub per_unit: u64,
    /// What can be said at most, in the stored unit: beyond lies a slip of the hand.
    pub most: u64,
}

/// The field of a quota.
pub fn field(quota: Quota) -> Field {
    let (name, label, unit, per_unit, most) = match quota {
        Quota::Storage => ("storage_mib", "Storage", "MiB", 1 << 20, 1 << 50),
        Quota::Datasets => ("datasets", "Datasets", "", 1, 1_000_000),
        Quota::Waiting => ("waiting_jobs", "Jobs that wait", "", 1, 1_000_000),
        Quota::Running => ("running_jobs", "Jobs that run", "", 1, 1_000_000),
        Quota::Trials => ("trials", "Trials of an experiment", "", 1, 1_000_000_000),
        Quota::Clients => ("clients", "Clients of a benchmark", "", 1, 1_000_000),
        Quota::Load => ("load_s", "Load time of a benchmark", "seconds", 1, 366 * 86_400),
    };
    Field {
        name,
        label,
        unit,
        per_unit,
        most,
    }
}

/// What an admin typed of the quotas of an account, or of the house, as text: a number, `unlimited`, or nothing, by which
/// an account has what the house has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaForm {
    /// In the order of [`ALL`].
    texts: [String; ALL.len()],
}

/// A field that cannot be, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QuotaFieldError {
    pub field: &'static str,
    pub message: String,
}

const UNLIMITED: &str = "unlimited";

impl QuotaForm {
    /// Reads the pairs of a posted form.
    pub fn from_pairs(pairs: &[(String, String)]) -> Self {
        let text = |quota| pairs.iter().rfind(|(name, _)| *name == field(quota).name);
        Self {
            texts: ALL.map(|quota| {
                text(quota)
                    .map(|(_, value)| value.trim().to_owned())
                    .unwrap_or_default()
            }),
        }
    }

    /// As it is filled in when it is opened.
    pub fn of(own: &OwnQuotas) -> Self {
        Self {
            texts: ALL.map(|quota| match own.get(quota) {
                None => String::new(),
                Some(Bound::Unlimited) => UNLIMITED.to_owned(),
                Some(Bound::Most(most)) => (most / field(quota).per_unit).to_string(),
            }),
        }
    }

    /// What was typed for one of them.
    pub fn text(&self, quota: Quota) -> &str {
        let found = ALL.iter().zip(&self.texts).find(|(one, _)| **one == quota);
        found.map_or("", |(_, text)| text)
    }

    /// What the form asks for, or everything that is wrong with it.
    pub fn parse(&self) -> Result<OwnQuotas, Vec<QuotaFieldError>> {
        let (mut own, mut errors) = (OwnQuotas::default(), Vec::new());
        for quota in ALL {
            match bound(self.text(quota), quota) {
                Ok(bound) => own = own.saying(quota, bound),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(own) } else { Err(errors) }
    }
}

fn bound(text: &str, quota: Quota) -> Result<Option<Bound>, QuotaFieldError> {
    let field = field(quota);
    if text.is_empty() {
        return Ok(None);
    }
    if text.eq_ignore_ascii_case(UNLIMITED) {
        return Ok(Some(Bound::Unlimited));
    }
    let n = text.parse::<u64>().ok().filter(|n| *n <= field.most / field.per_unit);
    let n = n.ok_or_else(|| QuotaFieldError {
        field: field.name,
        message: format!(
            "{} takes a whole number from 0 to {}, the word {UNLIMITED}, or nothing for what all have, not {text:?}.",
            field.label,
            grouped(field.most / field.per_unit)
        ),
    })?;
    Ok(Some(Bound::Most(n * field.per_unit)))
}

/// An account would have more than it may. A sentence that says what it has, what it may, and what helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaError {
    pub quota: Quota,
    /// What it has already.
    pub has: u64,
    /// What it asks for beside that.
    pub asks: u64,
    pub most: u64,
}

/// Whether an account that has this may have `asks` more of it. Of what is asked for each thing anew (trials, clients,
/// load) it has nothing.
pub fn check(quotas: &Quotas, usage: &Usage, quota: Quota, asks: u64) -> Result<(), QuotaError> {
    let has = has(usage, quota);
    match quotas.get(quota) {
        Bound::Most(most) if has.saturating_add(asks) > most => Err(QuotaError { quota, has, asks, most }),
        Bound::Most(_) | Bound::Unlimited => Ok(()),
    }
}

/// Why an account gets nothing more.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// A sentence.
    #[error("{0}")]
    Quota(#[from] QuotaError),
    #[error(transparent)]
    Store(#[from] sqlx::Error),
}

/// The same with what it has at this moment, of what is counted across things. To be asked within the transaction that then
/// takes it: nobody else takes for this account before that has ended, so that two at once do not both find the last place.
pub async fn may_take(
    conn: &mut PgConnection,
    quotas: &Quotas,
    account: UserId,
    quota: Quota,
    asks: u64,
) -> Result<(), TakeError> {
    if quotas.get(quota) == Bound::Unlimited {
        return Ok(());
    }
    store::quotas::lock(&mut *conn, account).await?;
    let usage = store::quotas::usage(conn, account).await?;
    Ok(check(quotas, &usage, quota, asks)?)
}

/// Keeps accounts to their quotas. Where nobody signs in all there is belongs to one person, and nothing is kept.
#[derive(Clone, Copy, Debug)]
pub struct QuotaKeeper(Access);

impl QuotaKeeper {
    pub const fn new(access: Access) -> Self {
        Self(access)
    }

    /// Whether an account may have `asks` more of a thing, as [`may_take`] asks it.
    pub async fn may_take(
        self,
        conn: &mut PgConnection,
        account: UserId,
        quota: Quota,
        asks: u64,
    ) -> Result<(), TakeError> {
        match self.0 {
            Access::Local => Ok(()),
            Access::Required => {
                let quotas = store::quotas::of(&mut *conn, account).await?;
                may_take(conn, &quotas, account, quota, asks).await
            }
        }
    }
}

/// How much may be had: `at most 50`.
pub fn bound_in_words(quotas: &Quotas, quota: Quota) -> String {
    match quotas.get(quota) {
        Bound::Most(most) => format!("at most {}", amount(quota, most)),
        Bound::Unlimited => UNLIMITED.to_owned(),
    }
}

/// A quota beside what an account has of it, as its page shows it: `3 of 50`.
pub fn in_words(quotas: &Quotas, usage: &Usage, quota: Quota) -> String {
    let has = amount(quota, has(usage, quota));
    let is_of_one_thing = matches!(quota, Quota::Trials | Quota::Clients | Quota::Load);
    match quotas.get(quota) {
        _ if is_of_one_thing => bound_in_words(quotas, quota),
        Bound::Most(most) => format!("{has} of {}", amount(quota, most)),
        Bound::Unlimited => format!("{has}, {UNLIMITED}"),
    }
}

fn has(usage: &Usage, quota: Quota) -> u64 {
    match quota {
        Quota::Storage => usage.storage_bytes,
        Quota::Datasets => usage.datasets,
        Quota::Waiting => usage.waiting_jobs,
        Quota::Running => usage.running_jobs,
        Quota::Trials | Quota::Clients | Quota::Load => 0,
    }
}

/// So much of a quota, in its unit.
fn amount(quota: Quota, n: u64) -> String {
    match quota {
        Quota::Storage => bytes_in_words(n),
        #[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
        Quota::Load => seconds_in_words(n as f64),
        Quota::Datasets | Quota::Waiting | Quota::Running | Quota::Trials | Quota::Clients => grouped(n),
    }
}

impl std::error::Error for QuotaError {}

impl fmt::Display for QuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { quota, has, asks, most } = *self;
        let [has, asks, bound] = [has, asks, most].map(|n| amount(quota, n));
        match quota {
            Quota::Storage => write!(
                f,
                "This takes {asks}, and you have {has} of {bound}. Delete a dataset, or ask an admin for more."
            ),
            Quota::Datasets => write!(
                f,
                "You have {has} of {bound} datasets. Delete one, or ask an admin for more."
            ),
            Quota::Waiting => write!(
                f,
                "You have {has} of {bound} jobs waiting. Try again when one of them has begun, stop one, or ask an admin for more."
            ),
            Quota::Running => write!(
                f,
                "You have {has} of {bound} jobs running. Try again when one of them has finished, stop one, or ask an admin for more."
            ),
            Quota::Trials => write!(
                f,
                "This experiment has {}; you may have {bound} in one. Take fewer rounds, sources or queries, or ask an admin for \
                 more.",
                counted(self.asks, "trial", "trials")
            ),
            Quota::Clients => write!(
                f,
                "This benchmark has up to {} at once; you may have {bound}. Take fewer, or ask an admin for more.",
                counted(self.asks, "client", "clients")
            ),
            Quota::Load => write!(
                f,
                "All levels of this benchmark together take {asks}; you may have {bound} in one. Take fewer or shorter levels, \
                 or ask an admin for more."
            ),
        }
    }
}

#[cfg(test)]
mod tests;
