//! What belongs to whom, and who else sees it: by being shared with everybody, or by a link.

use std::path::Path;

use reqwest::StatusCode;

use crate::accounts;
use crate::accounts::PASSWORD;
use crate::accounts::Person;
use crate::server;
use crate::server::Server;
use crate::support;

/// The first admin.
async fn ada(server: &Server) -> Person<'_> {
    let token = server.setup_token.clone().expect("a token was printed");
    let mut ada = Person::of(server);
    let form = [("token", &*token), ("name", "ada"), ("password", PASSWORD)];
    assert_eq!(ada.post("/setup", &form).await.status, StatusCode::SEE_OTHER);
    ada
}

/// Somebody of that role, with the password of everybody here.
async fn somebody<'a>(server: &'a Server, data_dir: &Path, name: &str, role: &str) -> Person<'a> {
    let sql = format!(
        "insert into users (name, role, password_hash) select '{name}', '{role}', password_hash from users where name = 'ada'"
    );
    support::ask_store(data_dir, &sql).expect("the account is made");
    let mut person = Person::of(server);
    assert_eq!(person.sign_in(name, PASSWORD).await.status, StatusCode::SEE_OTHER);
    person
}

/// The address that a page shows of a link which was just made, without its host.
fn made(page: &str) -> String {
    let (_, behind) = page.split_once("/links/").expect("the page shows a link");
    let (token, _) = behind.split_once("</code>").unwrap();
    assert_eq!(token.len(), 43, "{token}");
    format!("/links/{token}")
}

/// Makes a link to a thing of somebody's.
async fn link(owner: &mut Person<'_>, thing: &str) -> String {
    let form = [("lifetime", "week")];
    let answer = owner.post(&format!("{thing}/sharing/links"), &form).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    made(&answer.text)
}

/// Loads the sample, and launches an experiment on it: `/datasets/1`, `/workloads/1`, `/results/1`.
async fn launch(owner: &mut Person<'_>) {
    let answer = owner.post("/upload/sample", &[("what", "both")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let wish = [
        ("request_id", "sharing"),
        ("dataset", "1"),
        ("workload", "1"),
        ("stats_source", "built_in"),
        ("stats_source", "none"),
        ("iterations", "3"),
    ];
    let answer = owner.post("/experiment", &wish).await;
    assert_eq!(answer.location.as_deref(), Some("/results/1"), "{}", answer.text);
}

/// Waits until the experiment that [`launch`] launched has its numbers.
async fn measured(person: &mut Person<'_>) {
    server::wait_for("its first trial", async || {
        let page = person.get("/results/1").await.text;
        (!page.contains(">0 of ")).then_some(())
    })
    .await;
    server::wait_for("the experiment", async || {
        let page = person.get("/results/1").await.text;
        page.contains("Times by query and source").then_some(())
    })
    .await;
}

/// What belongs to ada, and what of it is below each address.
const PAGES: &[&str] = &[
    "/datasets/1",
    "/workloads/1",
    "/results/1",
    "/results/1/queries/0",
    "/results/1/plans",
    "/results/1/estimates",
    "/results/1/queries/0/plans/0",
    "/results/1/queries/0/plans/0/raw",
    "/results/1/queries/0/plans/0/plan.txt",
    "/results/1/queries/0/plans/0/plan.json",
    "/results/1/chart.png",
    "/results/1/trials.csv",
    "/results/1/bundle.zip",
    "/results/1/sharing",
];

/// What changes a thing, or asks whether it shall be changed.
const CHANGES: &[(&str, &str)] = &[
    ("GET", "/datasets/1/delete"),
    ("POST", "/datasets/1/delete"),
    ("POST", "/datasets/1/stop"),
    ("POST", "/datasets/1/restore"),
    ("GET", "/datasets/1/filing"),
    ("POST", "/datasets/1/filing"),
    ("POST", "/datasets/1/sharing"),
    ("POST", "/datasets/1/sharing/links"),
    ("POST", "/datasets/1/sharing/links/1/delete"),
    ("GET", "/workloads/1/delete"),
    ("POST", "/workloads/1/delete"),
    ("POST", "/workloads/1/filing"),
    ("POST", "/workloads/1/sharing"),
    ("POST", "/results/1/stop"),
    ("POST", "/results/1/filing"),
    ("POST", "/results/1/sharing"),
    ("POST", "/results/1/sharing/links"),
];

/// Fields that are in order wherever they are looked at.
const FIELDS: &[(&str, &str)] = &[("with", "everybody"), ("lifetime", "week"), ("tags", "mine")];

async fn assert_changes_nothing(person: &mut Person<'_>, who: &str, expected: &[StatusCode]) {
    for (method, path) in CHANGES {
        let answer = person.send(method.parse().unwrap(), path, FIELDS).await;
        assert!(
            expected.contains(&answer.status),
            "{who}: {method} {path} is answered with {}",
            answer.status
        );
    }
}

/// The lines of a page that would change something.
fn controls(page: &str) -> Vec<&str> {
    let mut controls: Vec<&str> = page.lines().collect();
    controls.retain(|line| {
        (line.contains("method=\"post\"") && !line.contains("/logout"))
            || line.contains(">Delete</a>")
            || line.contains("/filing")
            || line.contains("/sharing")
    });
    controls
}

#[tokio::test]
async fn what_is_private_is_not_there_for_others_and_what_is_shared_is_seen_and_not_changed() {
    let dir = server::data_dir();
    let server = accounts::start(dir.path());
    let mut ada = ada(&server).await;
    let mut eve = somebody(&server, dir.path(), "eve", "editor").await;
    let mut vic = somebody(&server, dir.path(), "vic", "viewer").await;
    launch(&mut ada).await;

    // What is shared can be launched on, until it is not shared any more: the restore is not over yet.
    for thing in ["/datasets/1", "/workloads/1"] {
        let shared = ada.post(&format!("{thing}/sharing"), &[("with", "everybody")]).await;
        assert_eq!(shared.status, StatusCode::SEE_OTHER);
    }
    let wish = [
        ("request_id", "of-eve"),
        ("dataset", "1"),
        ("workload", "1"),
        ("stats_source", "built_in"),
        ("iterations", "3"),
    ];
    let launched = eve.post("/experiment", &wish).await;
    assert_eq!(launched.location.as_deref(), Some("/results/2"), "{}", launched.text);
    assert_eq!(
        ada.get("/results/2").await.status,
        StatusCode::NOT_FOUND,
        "it is eve's, and private"
    );
    for thing in ["/datasets/1", "/workloads/1"] {
        ada.post(&format!("{thing}/sharing"), &[("with", "nobody")]).await;
    }

    measured(&mut ada).await;
    let failed = server::wait_for("the other's end", async || {
        let page = eve.get("/results/2").await.text;
        page.contains("no longer shared with you").then_some(page)
    })
    .await;
    assert!(!failed.contains("href=\"/datasets/1\""), "a name and no link");

    for path in PAGES {
        for (who, person) in [("eve", &mut eve), ("vic", &mut vic)] {
            let answer = person.get(path).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{who}: {path}");
        }
    }
    assert_changes_nothing(&mut eve, "eve", &[StatusCode::NOT_FOUND]).await;
    for list in ["/datasets", "/workloads", "/results", "/"] {
        let page = eve.get(list).await.text;
        assert!(!page.contains("href=\"/datasets/1\""), "{list}");
        assert!(!page.contains("href=\"/results/1\""), "{list}");
    }

    for thing in ["/datasets/1", "/workloads/1", "/results/1"] {
        let page = ada.get(thing).await.text;
        assert!(page.contains("Private <a href"), "{thing}: {page}");
        let shared = ada.post(&format!("{thing}/sharing"), &[("with", "everybody")]).await;
        assert_eq!(shared.location, Some(format!("{thing}/sharing")));
        assert!(ada.get(thing).await.text.contains("Shared with everybody here"));
    }
    for path in PAGES {
        for (who, person) in [("eve", &mut eve), ("vic", &mut vic)] {
            let answer = person.get(path).await;
            assert_eq!(answer.status, StatusCode::OK, "{who}: {path}: {}", answer.text);
        }
    }
    assert_changes_nothing(&mut eve, "eve", &[StatusCode::NOT_FOUND]).await;
    let refusals = [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN];
    assert_changes_nothing(&mut vic, "vic", &refusals).await;
    for thing in ["/datasets/1", "/workloads/1", "/results/1"] {
        let of_ada = ada.get(thing).await.text;
        assert!(!controls(&of_ada).is_empty(), "{thing}");
        let of_vic = vic.get(thing).await.text;
        assert!(of_vic.contains("By ada"), "{thing}");
        assert_eq!(controls(&of_vic), Vec::<&str>::new(), "{thing}");
        assert!(!of_vic.contains("New experiment"), "{thing}");
        let of_eve = eve.get(thing).await.text;
        assert!(
            !of_eve.contains(">Delete</a>") && !of_eve.contains("/filing"),
            "{thing}"
        );
    }
    assert!(eve.get("/results").await.text.contains("by ada"));
    assert!(!ada.get("/results").await.text.contains("by ada"));
}

#[tokio::test]
async fn a_link_shows_one_thing_to_whoever_has_it_until_it_is_taken_back_or_expires() {
    let dir = server::data_dir();
    let server = accounts::start(dir.path());
    let mut ada = ada(&server).await;
    launch(&mut ada).await;
    let address = link(&mut ada, "/results/1").await;
    let secret = address.strip_prefix("/links/").unwrap().to_owned();
    assert!(
        !ada.get("/results/1/sharing").await.text.contains(&secret),
        "it is shown once"
    );
    let stored = support::ask_store(
        dir.path(),
        "select string_agg(encode(token_hash, 'escape'), ' ') from links",
    );
    assert!(!stored.unwrap().contains(&secret));

    let mut holder = Person::of(&server);
    let answer = holder.get(&address).await;
    assert_eq!(answer.location.as_deref(), Some("/results/1"));
    let cookie = answer.given.expect("a cookie comes with it");
    assert!(cookie.contains("; Path=/results/1; "), "{cookie}");
    let waiting = holder.get("/results/1").await;
    assert_eq!(waiting.status, StatusCode::OK);
    assert!(
        waiting.text.contains("hx-get=\"/results/1/status\""),
        "{}",
        waiting.text
    );
    measured(&mut holder).await;

    // The cookie is sent everywhere here, as no browser would.
    let below = |path: &&&str| path.starts_with("/results/1");
    for path in PAGES.iter().filter(below) {
        let answer = holder.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    }
    for path in
        PAGES
            .iter()
            .filter(|path| !below(path))
            .chain(&["/", "/results", "/results/12", "/compare?run=1", "/queue"])
    {
        let answer = holder.get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert!(answer.location.unwrap().starts_with("/login"), "{path}");
    }
    assert_changes_nothing(
        &mut holder,
        "the holder",
        &[StatusCode::NOT_FOUND, StatusCode::SEE_OTHER],
    )
    .await;
    assert!(
        ada.get("/results/1").await.text.contains("shown by a link"),
        "nobody changed anything"
    );
    let page = holder.get("/results/1").await.text;
    assert_eq!(controls(&page), Vec::<&str>::new());
    let elsewhere: Vec<&str> = page
        .split("href=\"")
        .skip(1)
        .filter_map(|behind| behind.split('"').next())
        .filter(|href| {
            href.starts_with('/')
                && !["/results/1", "/assets/", "/help", "/login", "/api/docs"]
                    .iter()
                    .any(|within| href.starts_with(within))
        })
        .collect();
    assert_eq!(
        elsewhere,
        ["/"],
        "nothing leads to what the holder does not see but the name"
    );

    let links = support::ask_store(dir.path(), "select id from links").unwrap();
    let answer = ada.post(&format!("/results/1/sharing/links/{links}/delete"), &[]).await;
    assert_eq!(answer.location.as_deref(), Some("/results/1/sharing"));
    let answer = holder.get("/results/1").await;
    assert_eq!(answer.location.as_deref(), Some("/login?next=%2Fresults%2F1"));
    assert_eq!(Person::of(&server).get(&address).await.status, StatusCode::NOT_FOUND);

    let address = link(&mut ada, "/workloads/1").await;
    let mut holder = Person::of(&server);
    holder.get(&address).await;
    let page = holder.get("/workloads/1").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(controls(&page.text), Vec::<&str>::new());
    support::ask_store(
        dir.path(),
        "update links set created_at = created_at - interval '8 days', expires_at = expires_at - interval '8 days'",
    )
    .unwrap();
    assert_eq!(holder.get("/workloads/1").await.status, StatusCode::SEE_OTHER);
    assert_eq!(Person::of(&server).get(&address).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn where_nobody_signs_in_nothing_is_said_of_sharing() {
    let dir = server::data_dir();
    let server = Server::start(dir.path());
    let mut somebody = Person::of(&server);
    somebody.post("/upload/sample", &[("what", "queries")]).await;
    let page = somebody.get("/workloads/1").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("/sharing") && !page.text.contains("class=\"standing\""));
    assert!(!controls(&page.text).is_empty());
    let answer = somebody.get("/workloads/1/sharing").await;
    assert_eq!(answer.location.as_deref(), Some("/workloads/1"));
    let form = [("lifetime", "week")];
    let answer = somebody.post("/workloads/1/sharing/links", &form).await;
    assert_eq!(answer.location.as_deref(), Some("/workloads/1"));
    let n_links = support::ask_store(dir.path(), "select count(*) from links");
    assert_eq!(n_links.as_deref(), Some("0"));
}
