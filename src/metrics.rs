//! The Prometheus registry: everything that this process counts or is asked for, in one list. It does not know where the
//! numbers come from.
//!
//! What this process does is counted while it does it. What lies elsewhere (in the store, on the disk) is looked at when
//! somebody asks, and comes here as [`Seen`]. The text is `OpenMetrics` 1.0, which Prometheus and its kin read.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use prometheus_client::registry::Unit;

/// What the text is, for whoever reads it.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All names begin so.
const PREFIX: &str = "pgassay";

/// Upper ends of the classes of durations, in seconds: those that Prometheus' own clients begin with.
const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What requests are counted by. Each of these has few values, whatever is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabels {
    kind: String,
    status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

/// What this process has counted so far. Copies count together.
#[derive(Clone)]
pub struct Metrics {
    counted: Arc<Counted>,
}

struct Counted {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabel, Histogram>,
    uploads: Family<OutcomeLabel, Counter>,
    upload_bytes: Counter,
}

/// What became of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upload {
    Taken,
    /// For whatever reason: nothing of it was kept.
    Refused,
}

/// What is looked at when somebody asks. What could not be looked at is not there, and nothing is said of it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// None when the store did not answer in time.
    pub store: Option<SeenStore>,
    pub connections: Connections,
    pub sandboxes: Option<SeenSandboxes>,
    pub disk: Option<SeenDisk>,
}

/// What the store holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenStore {
    /// Kind, status and number of jobs; every kind with every status, also those of which there are none.
    pub jobs: Vec<(String, String, u64)>,
    /// How long the job that waits longest has waited.
    pub oldest_wait: Duration,
    pub n_trials: u64,
    pub n_transactions: u64,
    pub transactions_per_second: f64,
}

/// What this process has of connections to the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    pub n_busy: u64,
    pub n_idle: u64,
    pub n_most: u64,
}

/// The sandboxes in the data directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeenSandboxes {
    pub n_running: u64,
    pub n_stopped: u64,
}

/// The disk of the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenDisk {
    pub free_bytes: u64,
    pub reserve_bytes: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let version = env!("CARGO_PKG_VERSION");
        registry.register("build", "The version that runs", Info::new(BuildLabels { version }));
        let requests = Family::default();
        registry.register(
            "http_requests",
            "Requests that were answered, by the pattern of their address, method and class of status",
            requests.clone(),
        );
        let durations = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        registry.register_with_unit(
            "http_request_duration",
            "From the end of a request's head to the head of its answer",
            Unit::Seconds,
            durations.clone(),
        );
        let uploads = Family::default();
        registry.register("uploads", "Uploaded dumps, by what became of them", uploads.clone());
        let upload_bytes = Counter::default();
        registry.register_with_unit(
            "upload_received",
            "What arrived of uploaded dumps that were taken in",
            Unit::Bytes,
            upload_bytes.clone(),
        );
        // From the first answer on, so that the first one to happen is seen as one.
        for outcome in [Upload::Taken, Upload::Refused] {
            uploads.get_or_create_owned(&outcome.label());
        }
        Self {
            counted: Arc::new(Counted {
                registry,
                requests,
                durations,
                uploads,
                upload_bytes,
            }),
        }
    }
}

impl Upload {
    fn label(self) -> OutcomeLabel {
        OutcomeLabel {
            outcome: match self {
                Self::Taken => "taken",
                Self::Refused => "refused",
            },
        }
    }
}

impl Metrics {
    /// Counts a request that was answered. `route` is the pattern of its address (`/results/{id}`), none where there is no
    /// such address; it is never the address itself, of which there is no end.
    pub fn count_request(&self, route: Option<&str>, method: &str, status: u16, took: Duration) {
        let route = route.unwrap_or("none").to_owned();
        let labels = RequestLabels {
            route: route.clone(),
            method: known_method(method),
            status: class_of(status),
        };
        self.counted.requests.get_or_create(&labels).inc();
        let duration = self.counted.durations.get_or_create(&RouteLabel { route });
        duration.observe(took.as_secs_f64());
    }

    /// Counts an uploaded dump, and its bytes when it was taken.
    pub fn count_upload(&self, upload: Upload, size_bytes: u64) {
        self.counted.uploads.get_or_create(&upload.label()).inc();
        if upload == Upload::Taken {
            self.counted.upload_bytes.inc_by(size_bytes);
        }
    }

    /// Everything, as text.
    pub fn exposition(&self, seen: &Seen) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        text::encode_registry(&mut out, &self.counted.registry)?;
        text::encode_registry(&mut out, &registry_of(seen))?;
        text::encode_eof(&mut out)?;
        Ok(out)
    }
}

/// Methods that browsers and programs use; whoever makes others up shall not make up series with them.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("other")
}

fn class_of(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

fn registry_of(seen: &Seen) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    let up: Gauge = gauge(u64::from(seen.store.is_some()));
    registry.register("store_up", "1 when the store answered in time, else 0", up);
    let connections = Family::<StateLabel, Gauge>::default();
    for (state, n) in [("busy", seen.connections.n_busy), ("idle", seen.connections.n_idle)] {
        connections.get_or_create(&StateLabel { state }).set(to_i64(n));
    }
    let help = "Connections of this process to the store";
    registry.register("store_connections", help, connections);
    let most: Gauge = gauge(seen.connections.n_most);
    let help = "The most connections to the store that this process has at once";
    registry.register("store_connections_limit", help, most);
    if let Some(store) = &seen.store {
        register_store(&mut registry, store);
    }
    if let Some(sandboxes) = seen.sandboxes {
        let family = Family::<StateLabel, Gauge>::default();
        for (state, n) in [("running", sandboxes.n_running), ("stopped", sandboxes.n_stopped)] {
            family.get_or_create(&StateLabel { state }).set(to_i64(n));
        }
        registry.register("sandboxes", "Servers of datasets in the data directory", family);
    }
    if let Some(disk) = seen.disk {
        let free: Gauge = gauge(disk.free_bytes);
        let help = "What is free of the disk of the data directory";
        registry.register_with_unit("disk_free", help, Unit::Bytes, free);
        let reserve: Gauge = gauge(disk.reserve_bytes);
        let help = "What has to stay free of it: with less, nothing is taken in or run";
        registry.register_with_unit("disk_reserve", help, Unit::Bytes, reserve);
    }
    registry
}

fn register_store(registry: &mut Registry, store: &SeenStore) {
    let jobs = Family::<JobLabels, Gauge>::default();
    for (kind, status, n) in &store.jobs {
        let labels = JobLabels {
            kind: kind.clone(),
            status: status.clone(),
        };
        jobs.get_or_create(&labels).set(to_i64(*n));
    }
    registry.register("jobs", "Jobs in the store, by kind and status", jobs);
    let wait = Gauge::<f64, AtomicU64>::default();
    wait.set(store.oldest_wait.as_secs_f64());
    let help = "For how long the job at the head of the queue has waited; 0 when none waits";
    registry.register_with_unit("queue_oldest_wait", help, Unit::Seconds, wait);
    let trials = Counter::<u64>::default();
    trials.inc_by(store.n_trials);
    registry.register("trials_stored", "Trials that were ever stored", trials);
    let transactions: Gauge = gauge(store.n_transactions);
    let help = "Transactions of all levels that have ended, of all benchmarks in the store";
    registry.register("benchmark_transactions", help, transactions);
    let rate = Gauge::<f64, AtomicU64>::default();
    rate.set(store.transactions_per_second);
    let help = "Transactions a second over the last seconds of the benchmarks that run";
    registry.register("benchmark_transactions_per_second", help, rate);
}

fn gauge(value: u64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(to_i64(value));
    gauge
}

fn to_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_asked_for_there_are_few_series() {
        let metrics = Metrics::default();
        for n in 0..1000 {
            let method = format!("MADE-UP-{n}");
            metrics.count_request(None, &method, 404, Duration::from_millis(1));
            metrics.count_request(Some("/results/{id}"), "GET", 200, Duration::from_millis(1));
        }
        let text = metrics.exposition(&Seen::default()).unwrap();
        let requests: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("pgassay_http_requests_total"))
            .collect();
        assert_eq!(requests.len(), 2, "{text}");
        assert!(
            text.contains(r#"pgassay_http_requests_total{route="none",method="other",status="4xx"} 1000"#),
            "{text}"
        );
        assert!(
            text.contains(r#"pgassay_http_request_duration_seconds_bucket{le="0.005",route="/results/{id}"} 1000"#)
        );
    }

    #[test]
    fn of_what_could_not_be_looked_at_nothing_is_said() {
        let metrics = Metrics::default();
        let text = metrics.exposition(&Seen::default()).unwrap();
        assert!(text.contains("pgassay_store_up 0\n"), "{text}");
        for name in ["pgassay_jobs", "pgassay_trials", "pgassay_disk", "pgassay_sandboxes"] {
            assert!(!text.contains(name), "{name}: {text}");
        }
        let seen = Seen {
            store: Some(SeenStore {
                n_trials: 7,
                ..SeenStore::default()
            }),
            ..Seen::default()
        };
        let text = metrics.exposition(&seen).unwrap();
        assert!(
            text.contains("pgassay_store_up 1\n") && text.contains("pgassay_trials_stored_total 7\n"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn uploads_are_counted_by_what_became_of_them() {
        let metrics = Metrics::default();
        metrics.count_upload(Upload::Taken, 100);
        metrics.clone().count_upload(Upload::Refused, 100);
        let text = metrics.exposition(&Seen::default()).unwrap();
        for line in [
            "pgassay_uploads_total{outcome=\"taken\"} 1\n",
            "pgassay_uploads_total{outcome=\"refused\"} 1\n",
            "pgassay_upload_received_bytes_total 100\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
