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
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::model::job::JobKind;
    use crate::testing::world::World;

    fn usage() -> Usage {
        Usage {
            storage_bytes: 19 << 30,
            datasets: 10,
            waiting_jobs: 3,
            running_jobs: 1,
        }
    }

    fn quotas() -> Quotas {
        Quotas {
            storage_bytes: Bound::Most(20 << 30),
            datasets: Bound::Most(10),
            waiting_jobs: Bound::Most(4),
            running_jobs: Bound::Most(1),
            trials: Bound::Most(5000),
            clients: Bound::Most(200),
            load_s: Bound::Most(3600),
        }
    }

    #[test]
    fn an_account_may_have_up_to_its_quota_and_reads_what_helps_beyond() {
        for (quota, asks, refusal) in [
            (Quota::Storage, 1 << 30, None),
            (
                Quota::Storage,
                (1 << 30) + 1,
                Some("This takes 1.0 GiB, and you have 19 GiB of 20 GiB. Delete a dataset, or ask an admin for more."),
            ),
            (
                Quota::Storage,
                u64::MAX,
                Some("This takes 16384 PiB, and you have 19 GiB of 20 GiB."),
            ),
            (Quota::Datasets, 0, None),
            (
                Quota::Datasets,
                1,
                Some("You have 10 of 10 datasets. Delete one, or ask an admin for more."),
            ),
            (Quota::Waiting, 1, None),
            (
                Quota::Waiting,
                2,
                Some("You have 3 of 4 jobs waiting. Try again when one of them has begun,"),
            ),
            (
                Quota::Running,
                1,
                Some("You have 1 of 1 jobs running. Try again when one of them has finished,"),
            ),
            (Quota::Trials, 5000, None),
            (
                Quota::Trials,
                5001,
                Some("This experiment has 5\u{2009}001 trials; you may have 5\u{2009}000 in one. Take fewer rounds,"),
            ),
            (Quota::Clients, 200, None),
            (
                Quota::Clients,
                201,
                Some("This benchmark has up to 201 clients at once; you may have 200. Take fewer,"),
            ),
            (Quota::Load, 3600, None),
            (
                Quota::Load,
                7200,
                Some(
                    "All levels of this benchmark together take 2 h; you may have 1 h in one. Take fewer or shorter levels,",
                ),
            ),
        ] {
            let checked = check(&quotas(), &usage(), quota, asks);
            let said = checked.map_err(|error| error.to_string()).err();
            match refusal {
                None => assert_eq!(said, None, "{quota:?} {asks}"),
                Some(begin) => {
                    let said = said.unwrap();
                    assert!(said.starts_with(begin), "{said}");
                    assert!(
                        said.ends_with("or ask an admin for more.") || !begin.ends_with('.'),
                        "{said}"
                    );
                }
            }
            assert_eq!(check(&Quotas::UNLIMITED, &usage(), quota, asks), Ok(()));
        }
    }

    #[tokio::test]
    async fn of_many_who_ask_at_once_one_gets_the_last_place() {
        let world = World::new().await;
        let account = world.viewer.user_id;
        world.job(JobKind::Check).await;
        let quotas = Quotas {
            waiting_jobs: Bound::Most(2),
            ..Quotas::default()
        };
        let asking = join_all((0..8).map(async |_| {
            let mut transaction = world.pool.begin().await.unwrap();
            match may_take(&mut transaction, &quotas, account, Quota::Waiting, 1).await {
                Ok(()) => {}
                Err(TakeError::Quota(refusal)) => return Some((refusal.has, refusal.most)),
                Err(TakeError::Store(error)) => panic!("{error}"),
            }
            store::jobs::insert(&mut transaction, world.viewer, JobKind::Check, None)
                .await
                .unwrap();
            transaction.commit().await.unwrap();
            None
        }));
        let refused: Vec<(u64, u64)> = asking.await.into_iter().flatten().collect();
        assert_eq!(refused, [(2, 2); 7]);
        let mut conn = world.conn().await;
        assert_eq!(store::quotas::usage(&mut conn, account).await.unwrap().waiting_jobs, 2);
        let unlimited = may_take(&mut conn, &Quotas::UNLIMITED, account, Quota::Waiting, 1).await;
        assert!(unlimited.is_ok());
    }

    #[test]
    fn what_is_said_of_an_account_goes_before_what_is_said_of_all() {
        let own = OwnQuotas::default()
            .saying(Quota::Datasets, Some(Bound::Most(11)))
            .saying(Quota::Storage, Some(Bound::Unlimited));
        let its = quotas().with(&own);
        assert_eq!(check(&its, &usage(), Quota::Datasets, 1), Ok(()));
        assert_eq!(check(&its, &usage(), Quota::Storage, u64::MAX), Ok(()));
        assert!(check(&its, &usage(), Quota::Running, 1).is_err());
        let said: Vec<String> = ALL.iter().map(|quota| in_words(&its, &usage(), *quota)).collect();
        assert_eq!(
            said,
            [
                "19 GiB, unlimited",
                "10 of 11",
                "3 of 4",
                "1 of 1",
                "at most 5\u{2009}000",
                "at most 200",
                "at most 1 h"
            ]
        );
    }

    #[test]
    fn quotas_come_out_of_the_store_as_they_went_in() {
        let own = OwnQuotas::default()
            .saying(Quota::Datasets, Some(Bound::Most(11)))
            .saying(Quota::Load, Some(Bound::Unlimited));
        let json = serde_json::to_string(&own).unwrap();
        assert_eq!(json, r#"{"datasets":{"most":11},"load_s":"unlimited"}"#);
        assert_eq!(serde_json::from_str::<OwnQuotas>(&json).unwrap(), own);
        assert_eq!(serde_json::from_str::<OwnQuotas>("{}").unwrap(), OwnQuotas::default());
        let newer = r#"{"datasets":{"most":11},"gpus":{"most":1},"load_s":"unlimited"}"#;
        assert_eq!(serde_json::from_str::<OwnQuotas>(newer).unwrap(), own);
    }

    #[test]
    fn a_form_comes_back_as_it_was_filled_in_with_everything_wrong_said_at_once() {
        let pairs = |texts: &[(&str, &str)]| -> Vec<(String, String)> {
            let owned = texts
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
            owned.collect()
        };
        let form = QuotaForm::from_pairs(&pairs(&[
            ("storage_mib", " 2048 "),
            ("datasets", "Unlimited"),
            ("running_jobs", "0"),
            ("load_s", ""),
            ("something", "else"),
        ]));
        let own = form.parse().unwrap();
        assert_eq!(own.storage_bytes, Some(Bound::Most(2 << 30)));
        assert_eq!(own.datasets, Some(Bound::Unlimited));
        assert_eq!(own.running_jobs, Some(Bound::Most(0)));
        assert_eq!((own.trials, own.load_s), (None, None));
        let again = QuotaForm::of(&own);
        assert_eq!(again.parse(), Ok(own));
        assert_eq!((again.text(Quota::Storage), again.text(Quota::Trials)), ("2048", ""));

        let form = QuotaForm::from_pairs(&pairs(&[
            ("storage_mib", "18446744073709551615"),
            ("datasets", "-1"),
            ("trials", "many"),
            ("clients", "1.5"),
            ("load_s", "31622400"),
        ]));
        let errors = form.parse().unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|error| error.field).collect();
        assert_eq!(fields, ["storage_mib", "datasets", "trials", "clients"]);
        assert!(errors[2].to_string().contains("not \"many\""), "{}", errors[2]);
        assert_eq!(form.text(Quota::Trials), "many");
    }

    #[test]
    fn fields_have_names_of_their_own() {
        let names: std::collections::BTreeSet<&str> = ALL.iter().map(|quota| field(*quota).name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
