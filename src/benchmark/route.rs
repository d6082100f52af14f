//! How clients on other machines reach the database under load: told by the worker that does the benchmark, sealed with the
//! key that all of them have, and opened by the one who is asked.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use serde::Serialize;

use crate::model::destination::Destinations;
use crate::model::ids::ServerId;
use crate::server::Servers;
use crate::store::levels::AttemptKey;
use crate::store::shares::Offer;
use crate::target::secret::Password;
use crate::target::wire::Binding;
use crate::target::wire::Dial;
use crate::target::wire::Place;
use crate::target::wire::Roots;
use crate::target::wire::Tls;
use crate::target::wire::TlsMode;

/// What is said of a benchmark whose load only one machine can make.
pub const ONLY_HERE: &str = "Other workers cannot reach its server, which runs for this benchmark only and has no address. Let \
                             this worker make all of the load, or put a registered server under load.";

/// What servers see of clients.
const APPLICATION_NAME: &str = "pgassay load";

/// The way to a database.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Route {
    /// A registered server, whose address every worker can unseal, with these settings of sessions.
    Registered {
        server_id: ServerId,
        application_name: String,
        settings: Vec<(String, String)>,
    },
    /// A part of a server that datasets share.
    Shared(SharedRoute),
}

/// As the role of one dataset or benchmark, whose password holds for as long as that is at work.
#[derive(Serialize, Deserialize)]
pub struct SharedRoute {
    host: String,
    port: u16,
    user: String,
    password: Option<String>,
    database: String,
    tls_mode: TlsMode,
    binding: Binding,
    roots: Roots,
    settings: Vec<(String, String)>,
    connect_timeout_s: u64,
}

impl Route {
    /// The way that clients here take to a sandbox; none where it begins and ends on this machine.
    pub fn to_sandbox(dial: &Dial) -> Option<Self> {
        let Place::Tcp { host, port } = &dial.place else {
            return None;
        };
        let password = match &dial.password {
            Password::Given(password) => Some(password.to_string()),
            Password::None | Password::Secret(_) => None,
        };
        Some(Self::Shared(SharedRoute {
            host: host.clone(),
            port: *port,
            user: dial.user.clone(),
            password,
            database: dial.database.clone(),
            tls_mode: dial.tls.mode,
            binding: dial.tls.binding,
            roots: dial.tls.roots().clone(),
            settings: dial.settings.clone(),
            connect_timeout_s: dial.connect_timeout.as_secs(),
        }))
    }

    /// To be read by the worker of one share.
    pub fn seal(&self, servers: &Servers, key: AttemptKey, share_idx: i32) -> anyhow::Result<Vec<u8>> {
        let plain = serde_json::to_vec(self)?;
        Ok(servers.vault.seal(&about(key, share_idx), &plain)?)
    }
}

/// How the clients of a share connect. An `Err` is for people.
pub async fn dial(servers: &Servers, offer: &Offer) -> anyhow::Result<Dial> {
    let about = about(offer.key.attempt, offer.key.share_idx);
    let opened = servers.vault.unseal(&about, &offer.route);
    let opened = opened.context("the way to the database cannot be read; all workers need the same key file")?;
    match serde_json::from_slice(&opened)? {
        Route::Registered {
            server_id,
            application_name,
            settings,
        } => {
            let registered = servers.registered(offer.viewer, server_id).await?;
            Ok(registered.dial(&application_name, settings))
        }
        Route::Shared(route) => Ok(route.into_dial()),
    }
}

impl SharedRoute {
    fn into_dial(self) -> Dial {
        Dial {
            place: Place::of(&self.host, self.port),
            user: self.user,
            password: self
                .password
                .map_or(Password::None, |password| Password::Given(Arc::from(password))),
            database: self.database,
            tls: Tls::new(self.tls_mode, self.roots, self.binding),
            application_name: APPLICATION_NAME.to_owned(),
            settings: self.settings,
            connect_timeout: Duration::from_secs(self.connect_timeout_s),
            // It is the shared server's.
            destinations: Destinations::anywhere(),
        }
    }
}

/// What a route is sealed for, so that none can stand in for another.
fn about(key: AttemptKey, share_idx: i32) -> String {
    let AttemptKey {
        benchmark_id,
        level_idx,
        attempt,
    } = key;
    format!("share {share_idx} of benchmark {benchmark_id}, level {level_idx}, attempt {attempt}")
}
