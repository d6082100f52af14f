//! What pages show of a registered server. Its address is not among it.

use crate::model::dataset::Setting;
use crate::model::server::PasswordSource;
use crate::model::server::RegisteredServer;
use crate::model::server::ServerReport;
use crate::model::server::ServerTest;
use crate::model::server::TestOutcome;
use crate::model::units::ms_in_words;
use crate::web::urls;
use crate::web::view::date;
use crate::web::view::rfc3339;

/// A line of the list.
pub struct Line {
    pub href: String,
    pub name: String,
    pub place: String,
    pub password: String,
    pub word: &'static str,
    pub class: &'static str,
    /// As it named itself; empty until it was tested.
    pub version: String,
}

/// What the last test came to.
pub struct TestView {
    pub at: String,
    pub date: String,
    pub word: &'static str,
    pub class: &'static str,
    /// Why it was not reached.
    pub failure: Option<String>,
    pub facts: Vec<Fact>,
}

/// What a server says, and what there is to do about it where that is not as it should be.
pub struct Fact {
    pub name: &'static str,
    pub value: String,
    pub advice: &'static str,
}

impl Line {
    pub fn new(server: &RegisteredServer) -> Self {
        let (word, class) = state(server.last_test.as_ref());
        Self {
            href: urls::server(server.id),
            name: server.name.clone(),
            place: server.place.to_string(),
            password: password(&server.password),
            word,
            class,
            version: match server.last_test.as_ref().map(|test| &test.outcome) {
                Some(TestOutcome::Reached(report)) => short_version(&report.version).to_owned(),
                Some(TestOutcome::Failed { .. }) | None => String::new(),
            },
        }
    }
}

/// `PostgreSQL 15.20 on x86_64 …` up to the platform.
fn short_version(version: &str) -> &str {
    version.split_once(" on ").map_or(version, |(version, _)| version)
}

fn state(test: Option<&ServerTest>) -> (&'static str, &'static str) {
    match test.map(|test| &test.outcome) {
        Some(TestOutcome::Reached(_)) => ("reached", "good"),
        Some(TestOutcome::Failed { .. }) => ("not reached", "bad"),
        None => ("not tested", "plain"),
    }
}

fn password(source: &PasswordSource) -> String {
    match source {
        PasswordSource::None => "none".to_owned(),
        PasswordSource::Stored => "stored, encrypted".to_owned(),
        PasswordSource::Secret(name) => format!("from the secret {name}, before each connection"),
    }
}

/// What is known of a server without asking it.
pub fn facts(server: &RegisteredServer) -> Vec<Setting> {
    let place = &server.place;
    let fact = |name: &str, value: String| Setting {
        name: name.to_owned(),
        value,
    };
    vec![
        fact("Host", place.host.clone()),
        fact("Port", place.port.to_string()),
        fact("Database", place.database.clone()),
        fact("User", place.user.clone()),
        fact("TLS mode", place.tls_mode.clone()),
        fact("Password", password(&server.password)),
        fact("Registered (UTC)", date(server.created_at)),
    ]
}

impl TestView {
    pub fn new(test: &ServerTest) -> Self {
        let (word, class) = state(Some(test));
        let (failure, facts) = match &test.outcome {
            TestOutcome::Reached(report) => (None, of_report(report)),
            TestOutcome::Failed { message } => (Some(message.clone()), Vec::new()),
        };
        Self {
            at: rfc3339(test.tested_at),
            date: date(test.tested_at),
            word,
            class,
            failure,
            facts,
        }
    }
}

fn of_report(report: &ServerReport) -> Vec<Fact> {
    let fact = |name, value: String, advice| Fact { name, value, advice };
    let mut facts = vec![
        fact("Version, as it names itself", report.version.clone(), ""),
        fact(
            "Connection",
            if report.uses_tls { "with TLS" } else { "without TLS" }.to_owned(),
            if report.uses_tls {
                ""
            } else {
                "What is sent can be read on the way; sslmode=verify-full in the address asks for TLS and checks whose it is."
            },
        ),
        fact(
            "Round trip",
            format!(
                "{}, the middle one of 21 statements that do nothing",
                ms_in_words(report.round_trip_ms)
            ),
            "",
        ),
    ];
    let told = [
        (
            "May make a schema",
            report.may_create,
            true,
            "Benchmarks need the right to make a schema in this database: grant create on database … to …",
        ),
        (
            "Sees what other sessions do",
            report.sees_all,
            true,
            "For the waits of a benchmark’s own clients that is enough. A member of pg_monitor sees all sessions.",
        ),
        (
            "Superuser",
            report.is_superuser,
            false,
            "Programs of a benchmark run with this user's rights. A user of its own with less of them is safer.",
        ),
        (
            "Replica that takes no writes",
            report.is_replica,
            false,
            "No tables can be made there. Give the address of the server that takes writes.",
        ),
    ];
    for (name, truth, wanted, advice) in told {
        let value = truth.map_or("not told", |truth| if truth { "yes" } else { "no" });
        let advice = if truth.is_none_or(|truth| truth == wanted) {
            ""
        } else {
            advice
        };
        facts.push(fact(name, value.to_owned(), advice));
    }
    if let (Some(most), Some(n)) = (report.max_connections, report.n_connections) {
        facts.push(fact("Connections", format!("{n} in use of {most} that it allows"), ""));
    }
    if let Some(autovacuum) = &report.autovacuum {
        facts.push(fact("Autovacuum", format!("{autovacuum}, as the server has it"), ""));
    }
    facts
}
