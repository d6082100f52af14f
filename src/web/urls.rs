//! Every address that pages link to, in one place.

use crate::model::filing::Filed;
use crate::model::ids::BenchmarkId;
use crate::model::ids::DatasetId;
use crate::model::ids::ExperimentId;
use crate::model::ids::InstrumentId;
use crate::model::ids::InvitationId;
use crate::model::ids::LinkId;
use crate::model::ids::ServerId;
use crate::model::ids::SessionId;
use crate::model::ids::StatisticsFileId;
use crate::model::ids::TokenId;
use crate::model::ids::UserId;
use crate::model::ids::WorkloadId;
use crate::model::instrument::InstrumentKind;

pub const DASHBOARD: &str = "/";
pub const LOGIN: &str = "/login";
pub const LOGOUT: &str = "/logout";
/// Where the first admin is made.
pub const SETUP: &str = "/setup";
pub const REGISTER: &str = "/register";
pub const ACCOUNT: &str = "/account";
pub const ACCOUNT_PASSWORD: &str = "/account/password";
pub const ACCOUNT_TOKENS: &str = "/account/tokens";
/// Where a browser is told what it prefers.
pub const ACCOUNT_PREFERENCES: &str = "/account/preferences";
/// Where somebody signs out wherever they are signed in.
pub const ACCOUNT_SIGN_OUT: &str = "/account/sign-out";

/// Where one session of one's own is ended.
pub fn session_end(id: SessionId) -> String {
    format!("/account/sessions/{id}/end")
}

/// Where one token of one's own is revoked.
pub fn token_revoke(id: TokenId) -> String {
    format!("{ACCOUNT_TOKENS}/{id}/revoke")
}

pub const ADMIN: &str = "/admin";
pub const ADMIN_ACCOUNTS: &str = "/admin/accounts";
pub const ADMIN_INVITATIONS: &str = "/admin/invitations";
pub const ADMIN_SETTINGS: &str = "/admin/settings";
pub const ADMIN_REGISTRATION: &str = "/admin/settings/registration";
pub const ADMIN_QUOTAS: &str = "/admin/settings/quotas";
pub const ADMIN_LOG: &str = "/admin/log";
pub const METRICS: &str = "/metrics";

/// An account, for admins.
pub fn admin_account(id: UserId) -> String {
    format!("{ADMIN_ACCOUNTS}/{id}")
}

/// A deed of an admin about an account.
pub fn admin_account_part(id: UserId, part: &str) -> String {
    format!("{ADMIN_ACCOUNTS}/{id}/{part}")
}

/// Where an invitation is taken back.
pub fn admin_invitation_delete(id: InvitationId) -> String {
    format!("{ADMIN_INVITATIONS}/{id}/delete")
}

/// Where somebody signs in who then goes on to `next`.
pub fn login(next: &str) -> String {
    with_query(
        LOGIN,
        [("next", next)].into_iter().filter(|(_, next)| *next != DASHBOARD),
    )
}

/// An address of ours that somebody is to go to, from a query or a form; the dashboard where it is none.
pub fn own(address: &str) -> &str {
    let mut chars = address.chars();
    // "//" and "/\" lead to other hosts, and browsers leave control characters out.
    let is_own = chars.next() == Some('/')
        && !matches!(chars.next(), Some('/' | '\\'))
        && !address.chars().any(|c| c.is_control() || c == '\\');
    if is_own { address } else { DASHBOARD }
}

/// Where an account is made by an invitation.
pub fn register(token: &str) -> String {
    with_query(REGISTER, [("invitation", token)])
}

/// The address by which somebody without an account is shown one thing.
pub fn link(token: &str) -> String {
    format!("/links/{token}")
}

pub const QUEUE: &str = "/queue";
pub const UPLOAD: &str = "/upload";
pub const UPLOAD_DUMP: &str = "/upload/dump";
pub const UPLOAD_QUERIES: &str = "/upload/queries";
pub const UPLOAD_SAMPLE: &str = "/upload/sample";
pub const DATASETS: &str = "/datasets";
pub const WORKLOADS: &str = "/workloads";
pub const EXPERIMENT: &str = "/experiment";
pub const EXPERIMENT_CHECK: &str = "/experiment/check";
pub const EXPERIMENT_QUERIES: &str = "/experiment/queries";
pub const EXPERIMENT_SOURCES: &str = "/experiment/sources";
pub const RESULTS: &str = "/results";
pub const COMPARE: &str = "/compare";
pub const HELP: &str = "/help";
pub const GLOSSARY: &str = "/help/glossary";

/// A topic of help by its name, with the place in it that is meant behind a `#` where there is one.
pub fn help(topic: &str) -> String {
    format!("{HELP}/{topic}")
}

/// A word of the glossary, by the id of its entry.
pub fn glossary(word: &str) -> String {
    format!("{GLOSSARY}#{word}")
}

pub const BENCHMARKS: &str = "/benchmarks";
pub const BENCHMARKS_NEW: &str = "/benchmarks/new";
pub const BENCHMARKS_CHECK: &str = "/benchmarks/check";
/// The form again, with room for one more program.
pub const BENCHMARKS_PROGRAM: &str = "/benchmarks/program";
pub const BENCHMARKS_COMPARE: &str = "/benchmarks/compare";
pub const BENCHMARKS_COMPARE_CHART: &str = "/benchmarks/compare/chart.png";

pub fn benchmark(id: BenchmarkId) -> String {
    format!("/benchmarks/{id}")
}

/// A page, a file or a fragment of a benchmark.
pub fn benchmark_part(id: BenchmarkId, part: &str) -> String {
    format!("/benchmarks/{id}/{part}")
}

/// The form, filled in like an earlier benchmark.
pub fn benchmark_like(id: BenchmarkId) -> String {
    format!("{BENCHMARKS_NEW}?like={id}")
}

/// Who takes work from the store.
pub const WORKERS: &str = "/workers";

/// The form, to run on a registered server.
pub fn benchmark_on_server(id: ServerId) -> String {
    format!("{BENCHMARKS_NEW}?server={id}")
}

pub const SERVERS: &str = "/servers";
pub const SERVERS_NEW: &str = "/servers/new";

pub fn server(id: ServerId) -> String {
    format!("/servers/{id}")
}

/// A page or a deed of a registered server.
pub fn server_part(id: ServerId, part: &str) -> String {
    format!("/servers/{id}/{part}")
}

pub const API_BENCHMARKS: &str = "/api/benchmarks";
pub const API_RESULTS: &str = "/api/results";
pub const API_SOURCES: &str = "/api/sources";
pub const API_EXPERIMENTS: &str = "/api/experiments";

/// An experiment, for programs.
pub fn api_experiment(id: ExperimentId) -> String {
    format!("{API_EXPERIMENTS}/{id}")
}

pub const API_REGISTER: &str = "/api/auth/register";
pub const API_TOKEN: &str = "/api/auth/token";
pub const API_ME: &str = "/api/auth/me";
pub const API_DATASETS: &str = "/api/datasets";
pub const API_WORKLOADS: &str = "/api/workloads";

/// A dataset, for programs.
pub fn api_dataset(id: DatasetId) -> String {
    format!("{API_DATASETS}/{id}")
}

/// A workload, for programs.
pub fn api_workload(id: WorkloadId) -> String {
    format!("{API_WORKLOADS}/{id}")
}

/// The check of a workload against a dataset, for programs.
pub fn api_check(id: WorkloadId, dataset_id: DatasetId) -> String {
    format!("{API_WORKLOADS}/{id}/checks/{dataset_id}")
}

/// What there is for programs, as the document that they read and as the page for people.
pub const API_DOCUMENT: &str = "/api/openapi.json";
pub const API_DOCS: &str = "/api/docs";
/// Messages of all benchmarks as they go on, for programs.
pub const UPDATES: &str = "/ws";

/// Whether an address is one that programs ask for, and not people with browsers.
pub fn is_for_programs(path: &str) -> bool {
    path == UPDATES || path == "/api" || path.starts_with("/api/")
}

/// Style, scripts and the like: the same for everybody.
pub fn is_asset(path: &str) -> bool {
    path.starts_with("/assets/")
}

pub const INSTRUMENTS: &str = "/instruments";

/// An address with a query string of these pairs.
pub fn with_query<'a>(address: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    if query.is_empty() {
        address.to_owned()
    } else {
        format!("{address}?{query}")
    }
}

/// The page of a thing.
pub fn filed(filed: Filed) -> String {
    match filed {
        Filed::Experiment(id) => result(id),
        Filed::Instrument(id) => instrument(id),
        Filed::Benchmark(id) => benchmark(id),
        Filed::Dataset(id) => dataset(id),
        Filed::Workload(id) => workload(id),
    }
}

/// Where a thing is given tags and a memo.
pub fn filing(thing: Filed) -> String {
    format!("{}/filing", filed(thing))
}

/// Who sees a thing, and where its owner says so.
pub fn sharing(thing: Filed) -> String {
    format!("{}/sharing", filed(thing))
}

/// Where links to a thing are made.
pub fn sharing_links(thing: Filed) -> String {
    format!("{}/sharing/links", filed(thing))
}

/// Where a link to a thing is taken back.
pub fn sharing_link_delete(thing: Filed, link: LinkId) -> String {
    format!("{}/sharing/links/{link}/delete", filed(thing))
}

/// The list that a thing stands in.
pub fn list_of(filed: Filed) -> &'static str {
    match filed {
        Filed::Experiment(_) => RESULTS,
        Filed::Instrument(_) => INSTRUMENTS,
        Filed::Benchmark(_) => BENCHMARKS,
        Filed::Dataset(_) => DATASETS,
        Filed::Workload(_) => WORKLOADS,
    }
}

pub fn dataset(id: DatasetId) -> String {
    format!("/datasets/{id}")
}

pub fn dataset_status(id: DatasetId) -> String {
    format!("/datasets/{id}/status")
}

pub fn dataset_stop(id: DatasetId) -> String {
    format!("/datasets/{id}/stop")
}

pub fn dataset_restore(id: DatasetId) -> String {
    format!("/datasets/{id}/restore")
}

pub fn dataset_delete(id: DatasetId) -> String {
    format!("/datasets/{id}/delete")
}

/// The page that says how statistics come out of a server, and the query that does it.
pub const STATISTICS_EXPORT: &str = "/statistics/export";
pub const STATISTICS_EXPORT_SQL: &str = "/statistics/export.sql";

/// Where statistics files of a dataset are sent to.
pub fn dataset_statistics(id: DatasetId) -> String {
    format!("/datasets/{id}/statistics")
}

pub fn statistics_file(id: StatisticsFileId) -> String {
    format!("/statistics/{id}")
}

pub fn statistics_file_delete(id: StatisticsFileId) -> String {
    format!("/statistics/{id}/delete")
}

pub fn workload(id: WorkloadId) -> String {
    format!("/workloads/{id}")
}

/// The page of a workload with its check against one dataset.
pub fn workload_on(id: WorkloadId, dataset: DatasetId) -> String {
    format!("/workloads/{id}?dataset={dataset}")
}

pub fn workload_check(id: WorkloadId) -> String {
    format!("/workloads/{id}/check")
}

/// The fragment that says how the check against one dataset stands.
pub fn workload_check_on(id: WorkloadId, dataset: DatasetId) -> String {
    format!("/workloads/{id}/check?dataset={dataset}")
}

pub fn workload_delete(id: WorkloadId) -> String {
    format!("/workloads/{id}/delete")
}

/// The form, filled in for a dataset and a workload.
pub fn experiment_on(dataset: Option<DatasetId>, workload: Option<WorkloadId>) -> String {
    match (dataset, workload) {
        (Some(dataset), Some(workload)) => format!("/experiment?dataset={dataset}&workload={workload}"),
        (Some(dataset), None) => format!("/experiment?dataset={dataset}"),
        (None, Some(workload)) => format!("/experiment?workload={workload}"),
        (None, None) => EXPERIMENT.to_owned(),
    }
}

/// The form, filled in like an earlier experiment.
pub fn experiment_like(id: ExperimentId) -> String {
    format!("{EXPERIMENT}?like={id}")
}

/// How far an experiment is. Below its page, where those look as well who have no more than a link to it.
pub fn experiment_status(id: ExperimentId) -> String {
    format!("/results/{id}/status")
}

pub fn result(id: ExperimentId) -> String {
    format!("/results/{id}")
}

/// The page of an experiment as somebody wants to see it.
pub fn result_view(id: ExperimentId, query: &str) -> String {
    format!("/results/{id}?{query}")
}

pub fn result_part(id: ExperimentId, part: &str) -> String {
    format!("/results/{id}/{part}")
}

/// A file to take away, with everything compared with this source.
pub fn export(id: ExperimentId, name: &str, base_idx: i32) -> String {
    match base_idx {
        0 => format!("/results/{id}/{name}"),
        base_idx => format!("/results/{id}/{name}?base={base_idx}"),
    }
}

pub fn result_query(id: ExperimentId, query_idx: i32) -> String {
    format!("/results/{id}/queries/{query_idx}")
}

/// The plan map.
pub fn plans(id: ExperimentId) -> String {
    format!("/results/{id}/plans")
}

/// How far estimates were off.
pub fn estimates(id: ExperimentId) -> String {
    format!("/results/{id}/estimates")
}

/// The plan of a query under a source.
pub fn plan(id: ExperimentId, query_idx: i32, source_idx: i32) -> String {
    format!("/results/{id}/queries/{query_idx}/plans/{source_idx}")
}

/// Where two plans of a query can be chosen.
pub fn plan_diff_form(id: ExperimentId, query_idx: i32) -> String {
    format!("/results/{id}/queries/{query_idx}/diff")
}

/// The plans of a query under two sources, side by side.
pub fn plan_diff(id: ExperimentId, query_idx: i32, from: i32, to: i32) -> String {
    format!("/results/{id}/queries/{query_idx}/diff?from={from}&to={to}")
}

/// The form of an instrument, over an experiment where one is chosen.
pub fn instrument_new(kind: InstrumentKind, experiment: Option<ExperimentId>) -> String {
    let kind = kind.word();
    match experiment {
        Some(experiment) => format!("/instruments/new?kind={kind}&experiment={experiment}"),
        None => format!("/instruments/new?kind={kind}"),
    }
}

/// The form of an instrument, filled in like an earlier run.
pub fn instrument_like(id: InstrumentId) -> String {
    format!("/instruments/new?like={id}")
}

pub fn instrument(id: InstrumentId) -> String {
    format!("/instruments/{id}")
}

pub fn instrument_part(id: InstrumentId, part: &str) -> String {
    format!("/instruments/{id}/{part}")
}
