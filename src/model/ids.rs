//! Ids as types of their own, so that a trial cannot stand in for an experiment.

/// Defines a database id: a `bigint` in the store, digits in an address, a number in JSON.
macro_rules! define_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord,
            serde::Serialize, serde::Deserialize, sqlx::Type, utoipa::ToSchema,
        )]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

define_id!(
    /// Names an account.
    UserId
);
define_id!(
    /// Names one piece of heavy work in the queue.
    JobId
);
define_id!(
    /// Names a dataset, and with it its sandbox.
    DatasetId
);
define_id!(
    /// Names a workload.
    WorkloadId
);
define_id!(
    /// Names an experiment.
    ExperimentId
);
define_id!(
    /// Names a statistics file of a dataset.
    StatisticsFileId
);
define_id!(
    /// Names one run of an instrument.
    InstrumentId
);
define_id!(
    /// Names a benchmark, and with it the sandbox of its generated tables.
    BenchmarkId
);
define_id!(
    /// Names one process of pgassay that takes work from the store.
    WorkerId
);
define_id!(
    /// Names a registered server.
    ServerId
);
define_id!(
    /// Names a browser that is signed in.
    SessionId
);
define_id!(
    /// Names an API token.
    TokenId
);
define_id!(
    /// Names an invitation.
    InvitationId
);
define_id!(
    /// Names a link that shows one thing.
    LinkId
);
define_id!(
    /// Names a dump that arrives part by part.
    UploadId
);
