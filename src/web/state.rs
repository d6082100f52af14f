//! What handlers are made of; each asks for the narrow piece that it needs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::FromRef;
use axum::http::HeaderMap;
use axum::http::header;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::auth::accounts::Accounts;
use crate::auth::address::TrustedProxies;
use crate::benchmark::service::Benchmarks;
use crate::condition::Condition;
use crate::config::Access;
use crate::config::WebConfig;
use crate::dataset::service::Datasets;
use crate::dataset::uploads::Uploads;
use crate::experiment::service::Experiments;
use crate::instrument::service::Instruments;
use crate::metrics::Metrics;
use crate::model::user::Viewer;
use crate::server::Servers;
use crate::web::api::updates::Updates;
use crate::web::middleware::streams::Streams;
use crate::web::middleware::uploads::Arrivals;
use crate::web::pages::benchmarks::live::watches::Watches;
use crate::web::pages::chart_cache::ChartCache;
use crate::workload::service::Workloads;

/// Built once, in `app`.
#[derive(Clone, FromRef)]
pub struct AppState {
    pub pool: PgPool,
    pub datasets: Datasets,
    pub uploads: Uploads,
    pub workloads: Workloads,
    pub experiments: Experiments,
    pub instruments: Instruments,
    pub benchmarks: Benchmarks,
    pub servers: Servers,
    pub accounts: Accounts,
    pub condition: Condition,
    pub metrics: Metrics,
    pub watches: Watches,
    pub gate: Gate,
    pub hosts: AllowedHosts,
    pub samples: Samples,
    pub charts: ChartCache,
    pub updates: Updates,
    pub streams: Streams,
    pub arrivals: Arrivals,
    pub shutdown: CancellationToken,
}

/// What the house lends to its web door.
pub struct Services {
    pub pool: PgPool,
    pub viewer: Viewer,
    pub datasets: Datasets,
    pub workloads: Workloads,
    pub experiments: Experiments,
    pub instruments: Instruments,
    pub benchmarks: Benchmarks,
    pub servers: Servers,
    pub accounts: Accounts,
    pub condition: Condition,
}

/// How the door is kept.
#[derive(Clone, Debug)]
pub struct Gate {
    pub access: Access,
    /// Who everybody is taken for where nobody signs in.
    pub local: Viewer,
    /// Whether browsers come by HTTPS, so that cookies can be for nothing else.
    pub is_https: bool,
    /// The address under which people know these pages, without a slash at its end, where it is said.
    pub public_url: Option<Arc<str>>,
    pub proxies: Arc<TrustedProxies>,
    /// The origin of these pages as people know them, where that is said: a proxy may have put another name into `Host`.
    pub public_origin: Option<Arc<str>>,
    /// Whose web pages may call the API with a token.
    pub cors_origins: Arc<[String]>,
}

impl Gate {
    /// Whether people sign in here; otherwise whoever comes is the one local user.
    pub fn keeps_accounts(&self) -> bool {
        self.access == Access::Required
    }

    /// The address under which whoever asks knows these pages: the public one, or, where none is said, that by which this was
    /// asked for. Its host was looked at before.
    pub fn address(&self, headers: &HeaderMap) -> String {
        if let Some(address) = &self.public_url {
            return address.to_string();
        }
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        format!("http://{}", host.unwrap_or("localhost"))
    }
}

impl AppState {
    /// The state behind pages that are served at `address`.
    pub fn new(
        services: &Services,
        config: &WebConfig,
        address: SocketAddr,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let mut hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
        hosts.push(match address {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        });
        hosts.extend(config.allowed_hosts.iter().map(|host| host.trim().to_owned()));
        hosts.extend(
            config
                .public_url
                .as_ref()
                .and_then(|url| url.host_str())
                .map(str::to_owned),
        );
        let gate = Gate {
            access: config.access(),
            local: services.viewer,
            is_https: config.is_https(),
            public_url: config
                .public_url
                .as_ref()
                .map(|url| url.as_str().trim_end_matches('/').into()),
            proxies: Arc::new(TrustedProxies::parse(&config.trusted_proxies).context("PGASSAY_TRUSTED_PROXIES")?),
            public_origin: config.public_origin().map(Arc::from),
            cors_origins: config.cors_origins()?.into(),
        };
        let has_samples = ["dump.sql", "queries.sql"]
            .iter()
            .all(|file| config.samples_dir.join(file).is_file());
        Ok(Self {
            pool: services.pool.clone(),
            datasets: services.datasets.clone(),
            uploads: Uploads::new(services.datasets.clone()),
            workloads: services.workloads.clone(),
            experiments: services.experiments.clone(),
            instruments: services.instruments.clone(),
            benchmarks: services.benchmarks.clone(),
            servers: services.servers.clone(),
            accounts: services.accounts.clone(),
            condition: services.condition.clone(),
            metrics: services.condition.metrics.clone(),
            watches: Watches::new(services.pool.clone(), shutdown.clone()),
            gate,
            hosts: AllowedHosts(Arc::new(hosts)),
            samples: Samples(has_samples.then(|| Arc::new(config.samples_dir.clone()))),
            charts: ChartCache::default(),
            updates: Updates::new(services.pool.clone(), shutdown.clone()),
            streams: Streams::default(),
            arrivals: Arrivals::default(),
            shutdown,
        })
    }
}

/// The names under which these pages may be asked for.
#[derive(Clone, Debug)]
pub struct AllowedHosts(pub Arc<Vec<String>>);

/// Where the sample dump and queries are; none when they are not there.
#[derive(Clone, Debug)]
pub struct Samples(pub Option<Arc<PathBuf>>);

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn pages_are_known_by_their_public_address_or_by_that_under_which_they_were_asked_for() {
        let gate = |public_url: Option<&str>| Gate {
            access: Access::Required,
            local: Viewer::nobody(),
            is_https: false,
            public_url: public_url.map(Arc::from),
            proxies: Arc::default(),
            public_origin: None,
            cors_origins: Arc::default(),
        };
        let mut headers = HeaderMap::new();
        assert_eq!(gate(None).address(&headers), "http://localhost");
        headers.insert(header::HOST, HeaderValue::from_static("10.0.0.7:8000"));
        assert_eq!(gate(None).address(&headers), "http://10.0.0.7:8000");
        let public = gate(Some("https://assay.example.org"));
        assert_eq!(public.address(&headers), "https://assay.example.org");
    }
}
