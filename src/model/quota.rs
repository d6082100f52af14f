//! How much one account may have or ask for.

use serde::Deserialize;
use serde::Serialize;

/// One thing that an account has a quota of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quota {
    /// Bytes of its dumps, of the databases restored from them, and of its statistics files.
    Storage,
    Datasets,
    /// Jobs that wait.
    Waiting,
    /// Jobs that run.
    Running,
    /// Trials of one experiment.
    Trials,
    /// Connections at once of one benchmark.
    Clients,
    /// Seconds of load of one benchmark, all its levels together.
    Load,
}

/// An upper bound, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    Unlimited,
    Most(u64),
}

/// A bound for every quota; what holds for an account in the end:
/// `Quotas::default().with(&what_the_house_says).with(&what_is_said_of_the_account)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Quotas {
    pub storage_bytes: Bound,
    pub datasets: Bound,
    pub waiting_jobs: Bound,
    pub running_jobs: Bound,
    pub trials: Bound,
    pub clients: Bound,
    pub load_s: Bound,
}

/// What an admin has said of one account, or of all: where nothing is said, what holds for all does, and then what holds
/// anyway. Stored as JSON; what another version said there and this one does not know is passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OwnQuotas {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_bytes: Option<Bound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datasets: Option<Bound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_jobs: Option<Bound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_jobs: Option<Bound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trials: Option<Bound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<Bound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_s: Option<Bound>,
}

/// What an account has at the moment, of what is counted across things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    pub storage_bytes: u64,
    pub datasets: u64,
    pub waiting_jobs: u64,
    pub running_jobs: u64,
}

/// A machine measures one job at a time, so that few who wait keep all others waiting.
impl Default for Quotas {
    fn default() -> Self {
        Self {
            storage_bytes: Bound::Most(50 << 30),
            datasets: Bound::Most(50),
            waiting_jobs: Bound::Most(10),
            running_jobs: Bound::Most(2),
            trials: Bound::Most(100_000),
            clients: Bound::Most(200),
            load_s: Bound::Most(4 * 3600),
        }
    }
}

impl Quotas {
    /// What refuses nothing.
    #[cfg(test)]
    pub const UNLIMITED: Self = Self {
        storage_bytes: Bound::Unlimited,
        datasets: Bound::Unlimited,
        waiting_jobs: Bound::Unlimited,
        running_jobs: Bound::Unlimited,
        trials: Bound::Unlimited,
        clients: Bound::Unlimited,
        load_s: Bound::Unlimited,
    };

    pub fn get(&self, quota: Quota) -> Bound {
        match quota {
            Quota::Storage => self.storage_bytes,
            Quota::Datasets => self.datasets,
            Quota::Waiting => self.waiting_jobs,
            Quota::Running => self.running_jobs,
            Quota::Trials => self.trials,
            Quota::Clients => self.clients,
            Quota::Load => self.load_s,
        }
    }

    /// What holds where something else is said.
    pub fn with(&self, own: &OwnQuotas) -> Self {
        Self {
            storage_bytes: own.storage_bytes.unwrap_or(self.storage_bytes),
            datasets: own.datasets.unwrap_or(self.datasets),
            waiting_jobs: own.waiting_jobs.unwrap_or(self.waiting_jobs),
            running_jobs: own.running_jobs.unwrap_or(self.running_jobs),
            trials: own.trials.unwrap_or(self.trials),
            clients: own.clients.unwrap_or(self.clients),
            load_s: own.load_s.unwrap_or(self.load_s),
        }
    }
}

impl OwnQuotas {
    pub fn get(&self, quota: Quota) -> Option<Bound> {
        match quota {
            Quota::Storage => self.storage_bytes,
            Quota::Datasets => self.datasets,
            Quota::Waiting => self.waiting_jobs,
            Quota::Running => self.running_jobs,
            Quota::Trials => self.trials,
            Quota::Clients => self.clients,
            Quota::Load => self.load_s,
        }
    }

    /// With another word about one of them.
    #[must_use]
    pub fn saying(mut self, quota: Quota, bound: Option<Bound>) -> Self {
        let said = match quota {
            Quota::Storage => &mut self.storage_bytes,
            Quota::Datasets => &mut self.datasets,
            Quota::Waiting => &mut self.waiting_jobs,
            Quota::Running => &mut self.running_jobs,
            Quota::Trials => &mut self.trials,
            Quota::Clients => &mut self.clients,
            Quota::Load => &mut self.load_s,
        };
        *said = bound;
        self
    }
}
