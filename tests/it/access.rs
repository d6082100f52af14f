//! Every address as everybody: whoever is nobody, looks, or edits, with the ids of what belongs to somebody else.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use reqwest::StatusCode;
use reqwest::header;
use sha2::Digest as _;
use sha2::Sha256;

use crate::server;
use crate::server::Server;
use crate::support;

const PASSWORD: &str = "seven purple kettles sing";
/// Stands in the name of everything that is private.
const CANARY: &str = "kingfisher";

/// What an address may name beside things: a file, a position.
const PARTS: [(&str, &[&str]); 9] = [
    ("{link}", &["1"]),
    ("{n}", &["0"]),
    ("{source}", &["0"]),
    ("{dataset}", &["1"]),
    ("{export}", &["export.json", "export.csv", "report.html"]),
    ("{file}", &["export.json", "levels.csv", "report.html"]),
    ("{topic}", &["start"]),
    ("{token}", &["x"]),
    ("{key}", &["x"]),
];

/// What ends a session, makes an account, or makes something of one's own.
const NOT_POSTED: [&str; 6] = [
    "/login",
    "/logout",
    "/setup",
    "/register",
    "/upload/sample",
    "/account/sign-out",
];

/// Reads the routes out of the sources, so that none can be forgotten.
fn routes() -> BTreeSet<String> {
    let mut texts = Vec::new();
    read(&server::repository("src/web"), &mut texts);
    let mut constants = BTreeMap::new();
    for text in &texts {
        for rest in text.split("const ").skip(1) {
            if let Some((name, rest)) = rest.split_once(": &str = \"") {
                constants.insert(name.to_owned(), rest.split('"').next().unwrap().to_owned());
            }
        }
    }
    let mut routes = BTreeSet::new();
    for text in &texts {
        // Where several kinds of things have the same routes, they are made by a function of that name.
        let of_kinds = || text.split("(of(\"").skip(1).map(|said| said.split('"').next().unwrap());
        for rest in text.split(".route(").skip(1) {
            let (said, _) = rest.trim_start().split_once(',').unwrap();
            if said == "path" {
                routes.extend(of_kinds().map(str::to_owned));
            } else if let Some(rest) = said.strip_prefix("&format!(\"{path}") {
                let rest = rest.trim_end_matches("\")").replace("{{", "{").replace("}}", "}");
                routes.extend(of_kinds().map(|path| format!("{path}{rest}")));
            } else if let Some(literal) = said.strip_prefix('"') {
                routes.insert(literal.trim_end_matches('"').to_owned());
            } else {
                let name = said.rsplit("::").next().unwrap();
                let known = constants.get(name);
                routes.insert(known.unwrap_or_else(|| panic!("no constant {name}")).clone());
            }
        }
    }
    routes
}

/// The product's part of every source file below a directory.
fn read(dir: &Path, texts: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            let is_test = path.components().any(|part| part.as_os_str() == "tests");
            let text = fs::read_to_string(&path).unwrap();
            let (product, _) = text.split_once("#[cfg(test)]\nmod tests {").unwrap_or((&text, ""));
            if !is_test {
                texts.push(product.to_owned());
            }
        }
    }
}

/// The addresses of a route, with the first thing of each kind.
fn addresses(route: &str) -> Vec<String> {
    let mut addresses = vec![route.replace("{id}", "1")];
    for (part, values) in PARTS {
        let filled = addresses.iter().flat_map(|address| {
            let values = if address.contains(part) { values } else { &[""][..] };
            values.iter().map(|value| address.replace(part, value))
        });
        addresses = filled.collect();
    }
    assert!(!addresses.iter().any(|address| address.contains('{')), "{addresses:?}");
    addresses
}

/// Whether a route is about a thing that belongs to somebody.
fn is_of_a_thing(route: &str) -> bool {
    route.contains("{id}")
        && !route.starts_with("/servers/")
        && !route.starts_with("/admin/")
        && !route.starts_with("/account/")
}

struct Person<'a> {
    server: &'a Server,
    client: reqwest::Client,
    name: &'static str,
    cookie: Option<String>,
    token: Option<String>,
}

impl<'a> Person<'a> {
    fn nobody(server: &'a Server) -> Self {
        Self {
            server,
            client: server::client()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
            name: "nobody",
            cookie: None,
            token: None,
        }
    }

    async fn known(server: &'a Server, data_dir: &Path, name: &'static str, byte: u8) -> Self {
        let mut person = Self::nobody(server);
        person.name = name;
        let form = [("name", name), ("password", PASSWORD)];
        let answer = person
            .client
            .post(format!("{}/login", server.url))
            .form(&form)
            .send()
            .await
            .unwrap();
        let given = answer.headers()[header::SET_COOKIE].to_str().unwrap();
        person.cookie = Some(given.split(';').next().unwrap().to_owned());
        person.token = Some(give_token(data_dir, name, byte));
        person
    }

    /// The status and the text, but of streams, which do not end.
    async fn ask(&self, method: Method, address: &str) -> (StatusCode, String) {
        let is_for_programs = address.starts_with("/api/") || address == "/ws";
        let mut request = self
            .client
            .request(method.clone(), format!("{}{address}", self.server.url));
        request = match (&self.cookie, &self.token) {
            (_, Some(token)) if is_for_programs => request.bearer_auth(token),
            (Some(cookie), _) if !is_for_programs => request.header(header::COOKIE, cookie),
            _ => request,
        };
        if method != Method::GET {
            request = if is_for_programs {
                request
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(r#"{ "dataset": 1, "workload": 1 }"#)
            } else {
                request.form(&[
                    ("dataset", "1"),
                    ("workload", "1"),
                    ("experiment", "1"),
                    ("tags", "mine"),
                    ("memo", "mine"),
                ])
            };
        }
        let answer = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{method} {address}: {error}"));
        let status = answer.status();
        let kind = answer
            .headers()
            .get(header::CONTENT_TYPE)
            .map(|kind| kind.to_str().unwrap().to_owned());
        if kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
            return (status, String::new());
        }
        (
            status,
            String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned(),
        )
    }
}

/// An API token, as the store has it.
fn give_token(data_dir: &Path, name: &str, byte: u8) -> String {
    let bytes = [byte; 32];
    let mut hash = Sha256::new();
    hash.update("api");
    hash.update([0]);
    hash.update(bytes);
    let hash = hex::encode(hash.finalize());
    let sql = format!(
        "insert into api_tokens (token_hash, user_id, name, prefix, scope, expires_at)
         select decode('{hash}', 'hex'), id, 'walk', 'pgassay_', 'write', clock_timestamp() + interval '1 day'
         from users where name = '{name}'"
    );
    support::ask_store(data_dir, &sql).unwrap();
    let text = format!("pgassay_{}", BASE64_URL_SAFE_NO_PAD.encode(bytes));
    let checksum = BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(&text)[..6]);
    format!("{text}{}", &checksum[..6])
}

/// One of everything, all of it with the canary in its name.
fn furnish(dir: &Path) -> std::path::PathBuf {
    let (dump, queries) = (
        dir.join(format!("{CANARY}.sql")),
        dir.join(format!("{CANARY}-queries.sql")),
    );
    fs::write(
        &dump,
        "create table things (id integer primary key, kind integer, note text);
         insert into things select g, (g % 2) * g, repeat('x', g % 7) from generate_series(1, 20000) g;
         create index on things (kind);",
    )
    .unwrap();
    fs::write(
        &queries,
        format!("-- name: {CANARY}\nselect max(note) from things where kind = 0;\n"),
    )
    .unwrap();
    let house = dir.join("data");
    let sources = ["--source", "built_in", "--source", "none", "--iterations", "1"];
    let mut run = support::run(&house, &dump, &queries, &sources);
    assert!(run.status().unwrap().success());
    let bisect = [
        "instrument",
        "bisect",
        "--experiment",
        "1",
        "--from",
        "built_in",
        "--to",
        "none",
        "--query",
        CANARY,
    ];
    let mut bisect = support::pgassay(&bisect);
    assert!(bisect.arg("--data-dir").arg(&house).status().unwrap().success());
    let bench = [
        "bench",
        "--table-rows",
        "1000",
        "--warm-up",
        "0",
        "--threads",
        "1",
        "--duration",
        "1s",
        "--quick",
    ];
    let mut bench = support::pgassay(&bench);
    assert!(bench.arg("--data-dir").arg(&house).status().unwrap().success());
    house
}

/// All of what belongs to the first account, so that one change anywhere is seen.
fn of_the_owner(data_dir: &Path) -> String {
    let tables = [
        "datasets",
        "workloads",
        "experiments",
        "instruments",
        "benchmarks",
        "jobs",
    ];
    let digests = tables.map(|table| {
        let sql = format!(
            "select count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by id)), '') from {table} t
             where owner_id = (select id from users where is_local)"
        );
        support::ask_store(data_dir, &sql).unwrap()
    });
    digests.join("\n")
}

/// How much there is of others that was made of what belongs to the first account.
fn made_of_the_owners(data_dir: &Path) -> String {
    let made = [
        ("experiments", "datasets", "dataset_id"),
        ("experiments", "workloads", "workload_id"),
        ("benchmarks", "datasets", "dataset_id"),
        ("instruments", "datasets", "dataset_id"),
        ("instruments", "experiments", "experiment_id"),
    ];
    let counts = made.map(|(table, of, column)| {
        format!(
            "(select count(*) from {table} made join {of} thing on thing.id = made.{column}
              where made.owner_id <> thing.owner_id)"
        )
    });
    support::ask_store(data_dir, &format!("select {}", counts.join(" + "))).unwrap()
}

/// The owner of everything, and somebody of each role beside her, and nobody.
async fn people<'a>(server: &'a Server, house: &Path) -> (Person<'a>, [Person<'a>; 4]) {
    let token = server.setup_token.clone().unwrap();
    let nobody = Person::nobody(server);
    let form = [("token", &*token), ("name", "ada"), ("password", PASSWORD)];
    let made = nobody
        .client
        .post(format!("{}/setup", server.url))
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), StatusCode::SEE_OTHER);
    for (name, role) in [("vic", "viewer"), ("eve", "editor"), ("kim", "admin")] {
        let sql = format!(
            "insert into users (name, role, password_hash)
             select '{name}', '{role}', password_hash from users where is_local"
        );
        support::ask_store(house, &sql).unwrap();
    }
    let ada = Person::known(server, house, "ada", 1).await;
    let others = [
        Person::known(server, house, "vic", 2).await,
        Person::known(server, house, "eve", 3).await,
        Person::known(server, house, "kim", 4).await,
        nobody,
    ];
    (ada, others)
}

#[tokio::test]
async fn nobody_sees_or_changes_what_is_somebody_elses_at_any_address() {
    let dir = server::data_dir();
    let house = furnish(dir.path());
    let server = Server::start_with(&house, &["--access", "required"]);
    let (ada, others) = people(&server, &house).await;
    let forget_limits = || support::ask_store(&house, "delete from rate_limits");

    let (mut n_shown, mut faults) = (0, Vec::new());
    for route in routes() {
        for address in addresses(&route) {
            forget_limits();
            let (own, _) = ada.ask(Method::GET, &address).await;
            n_shown += u32::from(own == StatusCode::OK && is_of_a_thing(&route));
            if own.is_server_error() {
                faults.push(format!("GET {address} as ada: {own}"));
            }
            for person in &others {
                let (status, text) = person.ask(Method::GET, &address).await;
                let is_right = !status.is_server_error()
                    && !text.contains(CANARY)
                    && (!is_of_a_thing(&route) || status != StatusCode::OK);
                if !is_right {
                    faults.push(format!("GET {address} as {}: {status}", person.name));
                }
            }
        }
    }
    assert!(n_shown > 40, "the owner sees their own: {n_shown}");

    let references = [
        "/compare?base=1&run=1",
        "/compare/chart.png?base=1&run=1",
        "/benchmarks/compare?base=1&run=1",
        "/benchmarks/compare/chart.png?base=1&run=1",
        "/benchmarks/new?like=1",
        "/experiment?like=1",
        "/experiment?dataset=1&workload=1",
        "/experiment/queries?workload=1",
        "/instruments/new?kind=bisect&experiment=1",
        "/instruments/new?like=1",
        "/workloads/1?dataset=1",
        "/datasets?q=a",
        "/results?q=a",
    ];
    for address in references {
        for person in &others {
            let (status, text) = person.ask(Method::GET, address).await;
            if status.is_server_error() || text.contains(CANARY) {
                faults.push(format!("GET {address} as {}: {status}", person.name));
            }
        }
    }

    let before = of_the_owner(&house);
    for route in routes() {
        for address in addresses(&route) {
            if NOT_POSTED.contains(&&*address) {
                continue;
            }
            forget_limits();
            for method in [Method::POST, Method::PUT, Method::DELETE] {
                for person in &others {
                    let (status, text) = person.ask(method.clone(), &address).await;
                    let is_done = status.is_success() || (status == StatusCode::SEE_OTHER && person.name != "nobody");
                    let tells = text.contains(CANARY);
                    if status.is_server_error() || tells || (is_of_a_thing(&route) && is_done) {
                        faults.push(format!("{method} {address} as {}: {status}", person.name));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for person in &others {
        let (status, _) = person.ask(Method::GET, "/account").await;
        let is_known = person.name != "nobody";
        assert_eq!(
            status == StatusCode::OK,
            is_known,
            "{} is who they were all the way",
            person.name
        );
    }
    assert_eq!(
        made_of_the_owners(&house),
        "0",
        "nothing is made by others of what is the owner's"
    );
    assert_eq!(of_the_owner(&house), before, "nothing of the owner's has changed");
}
