//! What an experiment ran on, as people would ask for it.

use anyhow::Context as _;

use crate::model::dataset::Dataset;
use crate::model::dataset::Setting;
use crate::model::experiment::Experiment;
use crate::model::experiment::SHARED_SERVER;
use crate::model::server::ServerReport;
use crate::model::units::bytes_in_words;
use crate::model::units::ms_in_words;
use crate::sql::ident;
use crate::target::clone;
use crate::target::lease::Sandbox;
use crate::target::registered::session::OwnSession;
use crate::target::session::Admin;

/// Server settings that decide plans or times and that experiments do not set themselves.
const SERVER_SETTINGS: &[&str] = &[
    "shared_buffers",
    "work_mem",
    "effective_cache_size",
    "random_page_cost",
    "seq_page_cost",
    "cpu_tuple_cost",
    "effective_io_concurrency",
    "default_statistics_target",
    "autovacuum",
    "fsync",
    "wal_level",
    "shared_preload_libraries",
];

/// What people should know of numbers from a server that somebody registered.
const REGISTERED_WARNING: &str = "It ran on a server that somebody else runs. Whatever else goes on there disturbs the \
                                  numbers, a network lies between it and pgassay, and what is shown of the server counts \
                                  everything in its database.";

/// What an experiment runs on, as pairs of name and value in the order in which they are shown.
pub async fn look(sandbox: &Sandbox, dataset: &Dataset, experiment: &Experiment) -> anyhow::Result<Vec<Setting>> {
    let mut admin = Admin::connect(&sandbox.address, &clone::experiment_name(experiment.id)).await?;
    let mut environment = of_machine(sandbox, &mut admin).await?;
    environment.extend([
        pair("dataset size", &bytes_in_words(dataset.database_bytes.unwrap_or(0))),
        pair("locale", dataset.locale.as_deref().unwrap_or("")),
    ]);
    environment.extend(of_settings(&mut admin).await?);
    admin.close().await;
    Ok(environment)
}

/// Server, machine and settings, as pairs of name and value.
pub async fn of_server(sandbox: &Sandbox, admin: &mut Admin) -> anyhow::Result<Vec<Setting>> {
    let mut environment = of_machine(sandbox, admin).await?;
    environment.extend(of_settings(admin).await?);
    Ok(environment)
}

/// The same of a server that somebody registered, which may not tell everything.
pub async fn of_guest(session: &mut OwnSession, report: &ServerReport) -> anyhow::Result<Vec<Setting>> {
    let mut environment = vec![
        pair("pgassay", env!("CARGO_PKG_VERSION")),
        pair("server", &report.version),
        pair(SHARED_SERVER, REGISTERED_WARNING),
        pair("connection", if report.uses_tls { "with TLS" } else { "without TLS" }),
        pair("round trip to the server", &ms_in_words(report.round_trip_ms)),
    ];
    environment.extend(of_processors(" beside pgassay"));
    for name in SERVER_SETTINGS {
        let sql = format!("select pg_catalog.current_setting({})", ident::literal(name));
        let told = session.ask_if_told(&sql).await.context("asking for settings")?;
        if let Some(value) = told.filter(|value| !value.is_empty()) {
            environment.push(pair(name, &value));
        }
    }
    Ok(environment)
}

async fn of_settings(admin: &mut Admin) -> anyhow::Result<Vec<Setting>> {
    let mut settings = Vec::new();
    for name in SERVER_SETTINGS {
        let value = admin.setting(name).await?.unwrap_or_default();
        if !value.is_empty() {
            settings.push(pair(name, &value));
        }
    }
    Ok(settings)
}

async fn of_machine(sandbox: &Sandbox, admin: &mut Admin) -> anyhow::Result<Vec<Setting>> {
    let mut environment = vec![
        pair("pgassay", env!("CARGO_PKG_VERSION")),
        pair("server", &admin.version().await?),
    ];
    let whose = match sandbox.warning() {
        Some(warning) => {
            environment.push(pair(SHARED_SERVER, warning));
            " beside pgassay"
        }
        None => "",
    };
    environment.extend(of_processors(whose));
    Ok(environment)
}

fn of_processors(whose: &str) -> [Setting; 2] {
    let n_processors = std::thread::available_parallelism().map_or(0, usize::from);
    [
        pair(&format!("processor{whose}"), &processor()),
        pair(&format!("processors{whose}"), &n_processors.to_string()),
    ]
}

fn pair(name: &str, value: &str) -> Setting {
    Setting {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// The processor's name as the system tells it; the architecture where it does not.
fn processor() -> String {
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = told
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .and_then(|rest| rest.split_once(':'));
    model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}
