//! Admins as HTTP and the command line see them: who comes, who may do what, who is shut out, and what is written down.

use std::io::Write as _;
use std::path::Path;
use std::process::Output;
use std::process::Stdio;

use reqwest::StatusCode;

use crate::accounts::PASSWORD;
use crate::accounts::Person;
use crate::accounts::start;
use crate::server;
use crate::server::Server;
use crate::support;

const OTHER: &str = "eleven quiet lamps hum";

/// The link that a page shows, without the server's address.
fn link(server: &Server, page: &str) -> String {
    let (_, rest) = page.split_once("<code id=\"link\">").expect("a link is shown");
    let (link, _) = rest.split_once("</code>").unwrap();
    link.strip_prefix(&server.url)
        .expect("with the address of the server")
        .to_owned()
}

/// What stands behind the `=` of a link.
fn token(link: &str) -> &str {
    link.split_once("?invitation=").unwrap().1
}

async fn allow_invitations(ada: &mut Person<'_>) {
    let answer = ada
        .post("/admin/settings/registration", &[("registration", "invited")])
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

/// The link by which somebody of a role can come.
async fn invite(server: &Server, ada: &mut Person<'_>, role: &str) -> String {
    let answer = ada.post("/admin/invitations", &[("role", role)]).await;
    assert_eq!(answer.status, StatusCode::OK);
    link(server, &answer.text)
}

/// Somebody who has come by an invitation.
async fn join<'a>(server: &'a Server, ada: &mut Person<'_>, name: &str, role: &str) -> Person<'a> {
    let link = invite(server, ada, role).await;
    let mut person = Person::of(server);
    let page = person.get(&link).await;
    assert_eq!(page.status, StatusCode::OK);
    let form = [("invitation", token(&link)), ("name", name), ("password", PASSWORD)];
    let answer = person.post("/register", &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    person
}

/// Ada, and Bob whom she has invited.
async fn admin_and_editor(server: &Server) -> (Person<'_>, Person<'_>) {
    let mut ada = Person::first(server).await;
    allow_invitations(&mut ada).await;
    let bob = join(server, &mut ada, "bob", "editor").await;
    (ada, bob)
}

fn id_of(data_dir: &Path, name: &str) -> String {
    support::ask_store(data_dir, &format!("select id from users where name = '{name}'")).unwrap()
}

/// Every line of the audit log, the oldest first: who, what, how it ended.
fn log(data_dir: &Path) -> Vec<String> {
    let sql = "select string_agg(user_name || ' ' || deed || ' ' || status, '|' order by id) from audit_log";
    let lines = support::ask_store(data_dir, sql).unwrap();
    lines.split('|').map(str::to_owned).collect()
}

#[tokio::test]
async fn people_come_by_invitations_with_the_role_that_these_are_for() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let mut ada = Person::first(&server).await;
    let page = ada.get("/admin").await;
    for below in [
        "/admin/accounts",
        "/admin/invitations",
        "/admin/settings",
        "/admin/log",
        "/servers",
        "/workers",
    ] {
        assert!(page.text.contains(&format!("href=\"{below}\"")), "{below}");
        assert_eq!(ada.get(below).await.status, StatusCode::OK, "{below}");
    }
    // As long as registration is closed, an invitation is good for nothing, and the page says so.
    let early = invite(&server, &mut ada, "editor").await;
    assert_eq!(Person::of(&server).get(&early).await.status, StatusCode::FORBIDDEN);
    assert!(
        ada.get("/admin/invitations")
            .await
            .text
            .contains("Registration is closed")
    );
    allow_invitations(&mut ada).await;
    assert_eq!(Person::of(&server).get(&early).await.status, StatusCode::OK);
    assert_eq!(Person::of(&server).get("/register").await.status, StatusCode::FORBIDDEN);

    for (name, role, launches, administers) in [
        ("vera", "viewer", StatusCode::FORBIDDEN, StatusCode::FORBIDDEN),
        (
            "eddy",
            "editor",
            StatusCode::UNPROCESSABLE_ENTITY,
            StatusCode::FORBIDDEN,
        ),
        ("anna", "admin", StatusCode::UNPROCESSABLE_ENTITY, StatusCode::OK),
    ] {
        let mut person = join(&server, &mut ada, name, role).await;
        assert_eq!(
            person.post("/benchmarks", &[("target", "none")]).await.status,
            launches,
            "{role}"
        );
        assert_eq!(person.get("/admin").await.status, administers, "{role}");
        let closed = person.post("/admin/invitations", &[("role", "admin")]).await;
        assert_eq!(closed.status, administers, "{role}");
    }
    let list = ada.get("/admin/accounts").await.text;
    let found = ["ada", "anna", "eddy", "vera"].map(|name| list.find(&format!(">{name}</a></th>")));
    assert!(found.iter().all(Option::is_some) && found.is_sorted(), "{list}");
    let page = ada.get("/admin/invitations").await.text;
    assert!(!page.contains("invitation="), "a link is shown once");
}

#[tokio::test]
async fn an_invitation_that_was_used_taken_back_or_has_expired_is_refused() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let mut ada = Person::first(&server).await;
    allow_invitations(&mut ada).await;
    let used = invite(&server, &mut ada, "editor").await;
    let form = [("invitation", token(&used)), ("name", "bob"), ("password", PASSWORD)];
    assert_eq!(
        Person::of(&server).post("/register", &form).await.status,
        StatusCode::SEE_OTHER
    );

    let taken_back = invite(&server, &mut ada, "editor").await;
    let id = support::ask_store(dir.path(), "select max(id) from invitations").unwrap();
    let delete = format!("/admin/invitations/{id}/delete");
    assert_eq!(ada.post(&delete, &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(ada.post(&delete, &[]).await.status, StatusCode::NOT_FOUND);

    let expired = invite(&server, &mut ada, "editor").await;
    let sql = "update invitations set expires_at = clock_timestamp() where used_at is null returning 1";
    support::ask_store(dir.path(), sql).unwrap();

    for (link, why) in [(used, "used"), (taken_back, "taken back"), (expired, "expired")] {
        let mut eve = Person::of(&server);
        let page = eve.get(&link).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{why}");
        assert!(
            page.text.contains("has been used, has expired, or was taken back"),
            "{why}"
        );
        let form = [("invitation", token(&link)), ("name", "eve"), ("password", PASSWORD)];
        let answer = eve.post("/register", &form).await;
        assert_eq!(
            (answer.status, eve.cookie),
            (StatusCode::UNPROCESSABLE_ENTITY, None),
            "{why}"
        );
    }
}

#[tokio::test]
async fn shut_out_means_at_once_and_the_last_admin_stays() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let (mut ada, mut bob) = admin_and_editor(&server).await;
    let account = format!("/admin/accounts/{}", id_of(dir.path(), "bob"));
    assert_eq!(bob.get("/").await.status, StatusCode::OK);
    assert_eq!(
        ada.post(&format!("{account}/shut-out"), &[]).await.status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        bob.get("/").await.status,
        StatusCode::SEE_OTHER,
        "the session has ended"
    );
    assert_eq!(
        bob.sign_in("bob", PASSWORD).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert!(ada.get(&account).await.text.contains("Let it in again"));
    let refused = ada.post(&format!("{account}/password"), &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "a link would be of no use");
    assert_eq!(
        ada.post(&format!("{account}/let-in"), &[]).await.status,
        StatusCode::SEE_OTHER
    );
    let old = bob.get("/").await.status;
    assert_eq!(old, StatusCode::SEE_OTHER, "what has ended stays so");
    assert_eq!(bob.sign_in("bob", PASSWORD).await.status, StatusCode::SEE_OTHER);

    let own = format!("/admin/accounts/{}", id_of(dir.path(), "ada"));
    for (deed, form) in [("shut-out", [("", "")]), ("role", [("role", "editor")])] {
        let answer = ada.post(&format!("{own}/{deed}"), &form).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{deed}");
        assert!(answer.text.contains("This is the last admin who can sign in"), "{deed}");
    }
    let promoted = ada.post(&format!("{account}/role"), &[("role", "admin")]).await;
    assert_eq!(promoted.status, StatusCode::SEE_OTHER);
    assert_eq!(
        bob.get("/admin").await.status,
        StatusCode::OK,
        "from the next request on"
    );
    let answer = ada.post(&format!("{own}/role"), &[("role", "viewer")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "there is another now");
    assert_eq!(ada.get("/admin").await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        bob.post("/admin/accounts/4711/shut-out", &[]).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_link_sets_a_password_anew_once_and_signs_everybody_else_out() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let (mut ada, mut bob) = admin_and_editor(&server).await;
    let account = format!("/admin/accounts/{}", id_of(dir.path(), "bob"));
    // It has nothing to do with new people.
    ada.post("/admin/settings/registration", &[("registration", "closed")])
        .await;
    let answer = ada.post(&format!("{account}/password"), &[]).await;
    let link = link(&server, &answer.text);
    assert!(!ada.get(&account).await.text.contains(token(&link)), "it is shown once");

    let mut again = Person::of(&server);
    assert!(again.get(&link).await.text.contains("<strong>bob</strong>"));
    let form = [("invitation", token(&link)), ("name", "eve"), ("password", OTHER)];
    assert_eq!(again.post("/register", &form).await.status, StatusCode::SEE_OTHER);
    assert!(again.get("/").await.text.contains(">bob</a>"));
    assert_eq!(bob.get("/").await.status, StatusCode::SEE_OTHER);
    assert_eq!(
        bob.sign_in("bob", PASSWORD).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(bob.sign_in("bob", OTHER).await.status, StatusCode::SEE_OTHER);
    let answer = Person::of(&server).post("/register", &form).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "it works once");
}

#[tokio::test]
async fn quotas_are_set_for_all_and_for_one_and_what_cannot_be_stays_in_its_field() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let mut ada = Person::first(&server).await;
    let account = format!("/admin/accounts/{}", id_of(dir.path(), "ada"));
    let set = [("datasets", "7"), ("trials", "unlimited")];
    assert_eq!(
        ada.post("/admin/settings/quotas", &set).await.status,
        StatusCode::SEE_OTHER
    );
    let page = ada.get(&account).await.text;
    assert!(page.contains("0 of 7") && page.contains("placeholder=\"7\""), "{page}");
    let answer = ada.post(&format!("{account}/quotas"), &[("datasets", "9")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(ada.get(&account).await.text.contains("0 of 9"));
    let settings = ada.get("/admin/settings").await.text;
    assert!(settings.contains("name=\"datasets\" value=\"7\""), "{settings}");

    for path in ["/admin/settings/quotas".to_owned(), format!("{account}/quotas")] {
        let answer = ada.post(&path, &[("datasets", "many"), ("clients", "3")]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.text.contains("id=\"datasets-error\"") && answer.text.contains("value=\"many\""));
        assert!(
            answer.text.contains("name=\"clients\" value=\"3\""),
            "what was right is kept"
        );
    }
    assert!(ada.get(&account).await.text.contains("0 of 9"), "nothing was set");
}

#[tokio::test]
async fn the_log_has_who_did_what_and_never_what_was_typed_in_vain() {
    let dir = server::data_dir();
    let server = start(dir.path());
    let (mut ada, bob) = admin_and_editor(&server).await;
    let mut eve = Person::of(&server);
    // A password that somebody typed where the name belongs.
    eve.sign_in(PASSWORD, "x").await;
    eve.sign_in("ada", "wrong, all wrong").await;
    let mut bob = bob;
    bob.post("/logout", &[]).await;
    bob.sign_in("BOB", PASSWORD).await;
    bob.post("/benchmarks/check", &[("target", "none")]).await;
    let launch = [
        ("request_id", "r"),
        ("target", "generated"),
        ("operation", "point_read"),
        ("thread_counts", "2"),
        ("test_duration", "10s"),
        ("warm_up", "1s"),
        ("table_rows", "10000"),
        ("batch_size", "1000"),
    ];
    let launched = bob.post("/benchmarks", &launch).await;
    assert_eq!(launched.status, StatusCode::SEE_OTHER, "{}", launched.text);
    let benchmark = launched.location.unwrap();
    let deleted = ada.post(&format!("{benchmark}/delete"), &[]).await;
    assert_eq!(deleted.status, StatusCode::NOT_FOUND, "it is not hers");
    assert_eq!(
        bob.post(&format!("{benchmark}/stop"), &[]).await.status,
        StatusCode::SEE_OTHER
    );

    let lines = log(dir.path());
    let expected = [
        "ada makes the first admin 303",
        "ada changes who may make an account 303",
        "ada makes an invitation 200",
        "bob makes an account, or sets a password by a link 303",
        "somebody signs in 422",
        "somebody signs in 422",
        "bob signs out 303",
        "bob signs in 303",
        "bob launches a benchmark 303",
        "ada deletes a benchmark 404",
        "bob stops a benchmark 303",
    ];
    assert_eq!(lines, expected);
    let all = support::ask_store(dir.path(), "select string_agg(audit_log::text, ' ') from audit_log").unwrap();
    assert!(!all.contains(PASSWORD) && !all.contains("invitation="), "{all}");
    assert!(all.contains("127.0.0.1"));

    let page = ada.get("/admin/log").await;
    let (stops, begins) = (
        page.text.find("stops a benchmark"),
        page.text.find("makes the first admin"),
    );
    assert!(stops.is_some() && stops < begins, "the newest first");
    assert_eq!(bob.get("/admin/log").await.status, StatusCode::FORBIDDEN);
    // More than a page of them.
    support::ask_store(
        dir.path(),
        "insert into audit_log (user_name, address, deed, path, status)
         select 'x', '::1', 'fills the log', '/', 200 from generate_series(1, 120) returning 1",
    );
    let page = ada.get("/admin/log").await.text;
    assert_eq!(page.matches("fills the log").count(), 100);
    let (_, next) = page.split_once("/admin/log?before=").expect("there are older ones");
    let before = next.split_once('"').unwrap().0;
    let page = ada.get(&format!("/admin/log?before={before}")).await.text;
    assert_eq!(page.matches("fills the log").count(), 20);
    assert!(page.contains("makes the first admin") && !page.contains("?before="));
}

/// `pgassay admin` with a line of input.
fn admin(data_dir: &Path, action: &str, name: &str, password: &str, url: Option<&str>) -> Output {
    let mut command = support::pgassay(&["admin", action, "--name", name, "--data-dir"]);
    command.arg(data_dir);
    if let Some(url) = url {
        command.env("DATABASE_URL", url);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that refuses its arguments may be gone before it reads.
    let _ = writeln!(child.stdin.take().unwrap(), "{password}");
    child.wait_with_output().unwrap()
}

#[tokio::test]
async fn admins_are_made_and_passwords_set_from_the_command_line_whether_or_not_pgassay_runs() {
    let dir = server::data_dir();
    let short = admin(dir.path(), "create", "ada", "short", None);
    assert_eq!(short.status.code(), Some(2));
    assert!(support::stderr(&short).contains("at least 12 characters"), "{short:?}");
    let made = admin(dir.path(), "create", "ada", PASSWORD, None);
    assert!(made.status.success(), "{}", support::stderr(&made));

    let server = start(dir.path());
    assert_eq!(server.setup_token, None, "there is an admin");
    let mut ada = Person::of(&server);
    assert_eq!(ada.sign_in("ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
    let made = admin(dir.path(), "create", "bob", PASSWORD, None);
    assert!(made.status.success(), "{}", support::stderr(&made));
    let taken = admin(dir.path(), "create", "BOB", PASSWORD, None);
    assert_eq!(taken.status.code(), Some(1));
    assert!(support::stderr(&taken).contains("has this name already"), "{taken:?}");
    let mut bob = Person::of(&server);
    assert_eq!(bob.sign_in("bob", PASSWORD).await.status, StatusCode::SEE_OTHER);
    assert_eq!(bob.get("/admin").await.status, StatusCode::OK);

    let set = admin(dir.path(), "password", "bob", OTHER, None);
    assert!(set.status.success(), "{}", support::stderr(&set));
    assert_eq!(bob.get("/").await.status, StatusCode::SEE_OTHER, "signed out");
    assert_eq!(bob.sign_in("bob", OTHER).await.status, StatusCode::SEE_OTHER);
    let nobody = admin(dir.path(), "password", "eve", OTHER, None);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(support::stderr(&nobody).contains("no account named eve"), "{nobody:?}");
    let lines = log(dir.path());
    for line in [
        "the command line makes an admin 200",
        "the command line sets a password 200",
    ] {
        assert!(lines.iter().any(|found| found == line), "{lines:?}");
    }
}

#[test]
fn admins_are_made_in_a_store_that_somebody_else_runs() {
    let store = support::Cluster::start();
    let dir = server::data_dir();
    let url = store.socket_url();
    let made = admin(dir.path(), "create", "ada", PASSWORD, Some(&url));
    assert!(made.status.success(), "{}", support::stderr(&made));
    let found = store.ask("select name from users where role = 'admin' and password_hash is not null");
    assert_eq!(found, ["ada"]);
}
