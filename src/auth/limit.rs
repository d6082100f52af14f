//! Limits: what may be asked for how often, by whom, and what a person reads who has asked too often.
//!
//! The store counts, so that all processes count together. What it has of an account or a net is a hash.

use std::fmt;
use std::time::Duration;

use sha2::Digest as _;
use sha2::Sha256;
use sqlx::PgConnection;

use crate::auth::address::Net;
use crate::model::hashed::Hashed;
use crate::model::ids::UserId;
use crate::model::limit::Rule;
use crate::model::limit::Taking;
use crate::model::units::seconds_in_words;
use crate::store;

const MINUTE: Duration = Duration::from_mins(1);
const QUARTER_HOUR: Duration = Duration::from_mins(15);
const HOUR: Duration = Duration::from_hours(1);

/// Everything there is a limit of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Passwords tried for one account from one net. Not for the account as a whole: anybody could lock its owner out.
    SignIn,
    /// Passwords tried from one net, for whichever accounts.
    SignInFromNet,
    Registration,
    Token,
    Upload,
    Launch,
    Api,
    /// Lines in the audit log about those whom nobody knows.
    Stranger,
}

impl Limit {
    pub const ALL: [Self; 8] = [
        Self::SignIn,
        Self::SignInFromNet,
        Self::Registration,
        Self::Token,
        Self::Upload,
        Self::Launch,
        Self::Api,
        Self::Stranger,
    ];

    /// Its numbers (`reliability.md`, W6).
    pub fn rule(self) -> Rule {
        let bucket = |capacity, period| Rule::Bucket { capacity, period };
        match self {
            Self::SignIn => Rule::Doubling {
                n_free: 5,
                first_wait: Duration::from_secs(30),
                most_wait: QUARTER_HOUR,
                quiet: QUARTER_HOUR,
            },
            Self::SignInFromNet => bucket(30, MINUTE),
            Self::Registration => bucket(10, HOUR),
            Self::Token | Self::Upload => bucket(20, HOUR),
            Self::Launch | Self::Stranger => bucket(60, HOUR),
            Self::Api => bucket(120, MINUTE),
        }
    }

    /// Goes into stored keys and into the log.
    pub fn word(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::SignInFromNet => "sign_in_from_net",
            Self::Registration => "registration",
            Self::Token => "token",
            Self::Upload => "upload",
            Self::Launch => "launch",
            Self::Api => "api",
            Self::Stranger => "stranger",
        }
    }

    /// The rule as a sentence, for whoever has met it and for the help.
    pub fn sentence(self) -> String {
        let (what, whom) = match self {
            Self::SignIn => ("wrong passwords for one account", "network"),
            Self::SignInFromNet => ("attempts to sign in", "network"),
            Self::Registration => ("new accounts", "network"),
            Self::Token => ("new API tokens", "account"),
            Self::Upload => ("uploads", "account"),
            Self::Launch => ("experiments, instruments and benchmarks", "account"),
            Self::Api => ("requests to the API", "account"),
            Self::Stranger => ("lines of the audit log about people who are not signed in", "network"),
        };
        match self.rule() {
            Rule::Bucket { capacity, period } => {
                let period = if period == MINUTE { "a minute" } else { "an hour" };
                format!("At most {capacity} {what} are taken from one {whom} within {period}.")
            }
            Rule::Doubling { n_free, most_wait, .. } => {
                let longest = seconds_in_words(most_wait.as_secs_f64());
                format!(
                    "After {n_free} {what} from one {whom}, each further attempt has to wait longer, up to {longest}."
                )
            }
        }
    }

    fn of(self, whom: &[&str]) -> Ask {
        let mut hash = Sha256::new();
        for part in [self.word()].iter().chain(whom) {
            // Its length before each, so that no two lists of parts give one text.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Ask {
            limit: self,
            key: Hashed(hash.finalize().into()),
        }
    }
}

/// Asking for one thing that there is a limit of, for somebody.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    limit: Limit,
    key: Hashed,
}

impl Ask {
    /// Trying a password, whatever the door: to be taken before it is compared, so that many at once get no further than
    /// one after the other, and to be forgotten when it was right. `name` is as it was typed, also where there is no such
    /// account: whoever tries names learns nothing by being refused.
    pub fn sign_in(name: &str, net: Net) -> Self {
        Limit::SignIn.of(&[&name.trim().to_lowercase(), &net.to_string()])
    }

    /// The same, whichever account it is. To be taken first, and never forgotten.
    pub fn sign_in_from(net: Net) -> Self {
        Limit::SignInFromNet.of(&[&net.to_string()])
    }

    /// A line in the audit log about whoever is not known: without a limit anybody could fill the store.
    pub fn line_of_stranger(net: Net) -> Self {
        Limit::Stranger.of(&[&net.to_string()])
    }

    /// Making an account.
    pub fn registration(net: Net) -> Self {
        Limit::Registration.of(&[&net.to_string()])
    }

    /// Making an API token.
    pub fn token(account: UserId) -> Self {
        Limit::Token.of(&[&account.to_string()])
    }

    pub fn upload(account: UserId) -> Self {
        Limit::Upload.of(&[&account.to_string()])
    }

    /// Launching an experiment, an instrument or a benchmark.
    pub fn launch(account: UserId) -> Self {
        Limit::Launch.of(&[&account.to_string()])
    }

    /// Any request to the API.
    pub fn api(account: UserId) -> Self {
        Limit::Api.of(&[&account.to_string()])
    }

    /// Takes one, or says how long to wait. Not within a transaction that does other work: see [`store::limits`].
    pub async fn take(self, conn: &mut PgConnection) -> Result<(), LimitError> {
        match store::limits::take(conn, self.key, self.limit.rule()).await? {
            Taking::Allowed => Ok(()),
            Taking::After(wait) => Err(LimitError::TooOften(TooOften {
                limit: self.limit,
                wait,
            })),
        }
    }

    /// Begins anew: the password was right.
    pub async fn forget(self, conn: &mut PgConnection) -> store::Result<()> {
        store::limits::forget(conn, self.key).await
    }
}

/// Somebody has asked too often. Status 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOften {
    pub limit: Limit,
    pub wait: Duration,
}

/// Why something was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// A sentence.
    #[error("{0}")]
    TooOften(TooOften),
    #[error(transparent)]
    Store(#[from] sqlx::Error),
}

impl fmt::Display for TooOften {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "no wait has 2^52 seconds")]
        let wait = seconds_in_words(self.retry_after_s() as f64);
        write!(f, "{} Try again in {wait}.", self.limit.sentence())
    }
}

impl TooOften {
    /// For the header `Retry-After`: whole seconds, and never too few.
    pub fn retry_after_s(&self) -> u64 {
        (self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::testing;

    fn net(address: &str) -> Net {
        Net::of(address.parse().unwrap())
    }

    #[test]
    fn every_asking_is_counted_for_itself() {
        let (here, there) = (net("192.0.2.1"), net("192.0.2.2"));
        let asks = [
            Ask::sign_in("ann", here),
            Ask::sign_in("ann", there),
            Ask::sign_in("bob", here),
            Ask::sign_in("", here),
            Ask::sign_in_from(here),
            Ask::sign_in_from(there),
            Ask::registration(here),
            Ask::token(UserId(1)),
            Ask::upload(UserId(1)),
            Ask::upload(UserId(11)),
            Ask::launch(UserId(1)),
            Ask::api(UserId(1)),
            Ask::line_of_stranger(here),
        ];
        let keys: HashSet<Hashed> = asks.iter().map(|ask| ask.key).collect();
        assert_eq!(keys.len(), asks.len());
        let limits: HashSet<&str> = asks.iter().map(|ask| ask.limit.word()).collect();
        assert_eq!(limits.len(), Limit::ALL.len());
        assert_eq!(Ask::sign_in(" Ann ", here).key, Ask::sign_in("ann", here).key);
    }

    #[test]
    fn who_asks_too_often_reads_a_sentence_and_no_program_comes_too_early() {
        let too_often = |limit, wait| TooOften { limit, wait };
        for (refusal, sentence, retry_after_s) in [
            (
                too_often(Limit::Upload, Duration::from_millis(179_001)),
                "At most 20 uploads are taken from one account within an hour. Try again in 3 min.",
                180,
            ),
            (
                too_often(Limit::SignIn, Duration::from_secs(30)),
                "After 5 wrong passwords for one account from one network, each further attempt has to wait longer, up to \
                 15 min. Try again in 30 s.",
                30,
            ),
            (
                too_often(Limit::Api, Duration::ZERO),
                "At most 120 requests to the API are taken from one account within a minute. Try again in 1 s.",
                1,
            ),
        ] {
            assert_eq!(refusal.to_string(), sentence);
            assert_eq!(refusal.retry_after_s(), retry_after_s);
        }
        for limit in Limit::ALL {
            if let Rule::Bucket { period, .. } = limit.rule() {
                assert!([MINUTE, HOUR].contains(&period), "{limit:?} has a word for its period");
            }
        }
    }

    #[tokio::test]
    async fn a_sixth_password_waits_from_that_net_only_and_a_right_one_begins_anew() {
        let pool = testing::database().await;
        let mut conn = pool.acquire().await.unwrap();
        let ask = Ask::sign_in("admin", net("192.0.2.1"));
        for _ in 0..4 {
            ask.take(&mut conn).await.unwrap();
        }
        let before = store::now(&mut conn).await.unwrap();
        ask.take(&mut conn).await.unwrap();
        let refused = ask.take(&mut conn).await.unwrap_err();
        let took = (store::now(&mut conn).await.unwrap() - before).to_std().unwrap();
        let LimitError::TooOften(refusal) = refused else {
            panic!("{refused}");
        };
        let first_wait = Duration::from_secs(30);
        let expected = first_wait.saturating_sub(took)..=first_wait;
        assert!(expected.contains(&refusal.wait), "{refusal:?}");
        // Their owner comes in from elsewhere, and others from there.
        Ask::sign_in("admin", net("192.0.2.2")).take(&mut conn).await.unwrap();
        Ask::sign_in("ann", net("192.0.2.1")).take(&mut conn).await.unwrap();
        ask.forget(&mut conn).await.unwrap();
        ask.take(&mut conn).await.unwrap();
    }

    #[tokio::test]
    async fn every_limit_has_an_end() {
        let pool = testing::database().await;
        let mut conn = pool.acquire().await.unwrap();
        let (net, account) = (net("2001:db8::1"), UserId(1));
        for (ask, most) in [
            (Ask::sign_in("ann", net), 5),
            (Ask::sign_in_from(net), 30),
            (Ask::registration(net), 10),
            (Ask::token(account), 20),
            (Ask::upload(account), 20),
            (Ask::launch(account), 60),
            (Ask::api(account), 120),
        ] {
            let mut n_taken = 0;
            while ask.take(&mut conn).await.is_ok() {
                n_taken += 1;
                assert!(n_taken <= 2 * most, "{ask:?}");
            }
            // Some come back while the others are taken.
            assert!(n_taken >= most, "{ask:?} {n_taken}");
        }
    }
}
