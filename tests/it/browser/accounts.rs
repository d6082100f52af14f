//! People in real browsers: the first admin, somebody invited, a result that is private, shared and shown by a link, and the
//! way out of every browser at once.

use std::fs;
use std::path::Path;

use fantoccini::Client;
use fantoccini::Locator;
use fantoccini::wd::WebDriverCompatibleCommand;
use reqwest::Method;
use serde_json::Value;
use url::ParseError;
use url::Url;

use crate::accounts;
use crate::accounts::PASSWORD;
use crate::browser::Driver;
use crate::browser::click;
use crate::browser::path;
use crate::browser::press;
use crate::browser::press_enter;
use crate::browser::tab_to;
use crate::browser::text;
use crate::browser::upload_file;
use crate::server::data_dir;
use crate::server::wait_for;

/// One page after the other, the same for everybody.
const DUMP: &str = "create table kettles (id int primary key, colour text);\n\
                    insert into kettles select n, 'purple' from generate_series(1, 500) n;\n";
const QUERIES: &str = "-- name: purple_ones\nselect count(*) from kettles where colour = 'purple';\n";

const TAB: &str = "\u{E004}";

/// Asks `ChromeDriver` for what the console of a browser has said since it was asked last.
#[derive(Debug)]
struct ReadConsole;

impl WebDriverCompatibleCommand for ReadConsole {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(r#"{"type": "browser"}"#.to_owned()))
    }
}

/// Errors and warnings on the console, violations of the policy for content among them.
async fn complaints(browser: &Client) -> Vec<String> {
    let said = browser.issue_cmd(ReadConsole).await.unwrap();
    let lines = said.as_array().unwrap().iter();
    let bad = lines.filter(|line| line["level"] == "SEVERE" || line["level"] == "WARNING");
    bad.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
}

async fn no_complaints(browser: &Client) {
    assert_eq!(complaints(browser).await, Vec::<String>::new());
}

/// A form by the keyboard alone: the tab key leads from each of its parts to the next, and each shows that it has the focus.
async fn tabs_lead_through(browser: &Client, parts: &[&str]) {
    tab_to(browser, parts[0]).await;
    for (idx, part) in parts.iter().enumerate() {
        if idx > 0 {
            press(browser, TAB).await;
        }
        let script = "const is = document.activeElement;
            return [is.matches(arguments[0]), getComputedStyle(is).outlineStyle, !!is.labels?.length || !!is.innerText]";
        let state = browser.execute(script, vec![(*part).into()]).await.unwrap();
        assert_eq!(state, serde_json::json!([true, "solid", true]), "{part}");
    }
}

async fn fill(browser: &Client, css: &str, value: &str) {
    let field = wait_for(css, async || browser.find(Locator::Css(css)).await.ok()).await;
    field.clear().await.unwrap();
    field.send_keys(value).await.unwrap();
}

async fn leads_to(browser: &Client, expected: &str) {
    wait_for(expected, async || (path(browser).await == expected).then_some(())).await;
}

async fn main_of(browser: &Client, address: &str) -> String {
    browser.goto(address).await.unwrap();
    text(browser, "main").await.unwrap()
}

/// The first admin, by what pgassay printed; the form is filled in without a mouse.
async fn ada_makes_the_first_account(ada: &Client, url: &str, token: &str) {
    ada.goto(url).await.unwrap();
    leads_to(ada, "/setup").await;
    ada.goto(&format!("{url}/setup?token={token}")).await.unwrap();
    tabs_lead_through(ada, &["#token", "#name", "#password", "form button.primary"]).await;
    fill(ada, "#name", "ada").await;
    fill(ada, "#password", PASSWORD).await;
    press_enter(ada).await;
    leads_to(ada, "/").await;
    assert_eq!(text(ada, "nav.account .name").await.as_deref(), Some("ada"));
}

/// From two files to results that nobody else has seen.
async fn ada_measures_something(ada: &Client, url: &str, files: &Path) {
    let (dump, queries) = (files.join("kettles.sql"), files.join("queries.sql"));
    fs::write(&dump, DUMP).unwrap();
    fs::write(&queries, QUERIES).unwrap();
    upload_file(ada, url, "/upload/dump", &dump, "/datasets/1").await;
    wait_for("the restored table", async || {
        text(ada, "main").await?.contains("kettles").then_some(())
    })
    .await;
    wait_for("the end of the restore", async || {
        text(ada, "a.button[href*='/experiment?']").await
    })
    .await;
    upload_file(ada, url, "/upload/queries", &queries, "/workloads/1").await;
    ada.goto(&format!("{url}/experiment")).await.unwrap();
    fill(ada, "#iterations", "2").await;
    click(ada, "form#experiment button.primary").await;
    wait_for("the results", async || text(ada, "#table").await).await;
    assert_eq!(path(ada).await, "/results/1");
    assert!(text(ada, ".standing").await.unwrap().starts_with("Private"));
}

/// Lets people in by invitation, and makes one; the link.
async fn ada_invites_somebody(ada: &Client, url: &str) -> String {
    ada.goto(&format!("{url}/admin/settings")).await.unwrap();
    let choice = ada.find(Locator::Id("registration")).await.unwrap();
    choice.select_by_value("invited").await.unwrap();
    click(ada, "form[action='/admin/settings/registration'] button").await;
    click(ada, "nav.account a[href='/admin']").await;
    click(ada, "main a[href='/admin/invitations']").await;
    tabs_lead_through(ada, &["#role", "form[action='/admin/invitations'] button.primary"]).await;
    press_enter(ada).await;
    wait_for("the link", async || text(ada, "#link").await).await
}

async fn bob_takes_the_invitation(bob: &Client, link: &str) {
    bob.goto(link).await.unwrap();
    tabs_lead_through(bob, &["#name", "#password", "form button.primary"]).await;
    fill(bob, "#name", "bob").await;
    fill(bob, "#password", "nine silver anvils ring").await;
    press_enter(bob).await;
    leads_to(bob, "/").await;
    assert_eq!(text(bob, "nav.account .name").await.as_deref(), Some("bob"));
    assert_eq!(text(bob, "nav.account a[href='/admin']").await, None);
    no_complaints(bob).await;
}

/// What is somebody else's is not there, and the console says no more than that.
async fn bob_sees_nothing_of_it(bob: &Client, url: &str) {
    let list = main_of(bob, &format!("{url}/results")).await;
    assert!(!list.contains("kettles"), "{list}");
    let page = main_of(bob, &format!("{url}/results/1")).await;
    assert!(page.contains("There is no such") && !page.contains("kettles"), "{page}");
    let said = complaints(bob).await;
    assert!(
        said.len() == 1 && said[0].contains("/results/1") && said[0].contains("status of 404"),
        "{said:?}"
    );
}

async fn bob_sees_it_and_changes_nothing(bob: &Client, url: &str) {
    let list = main_of(bob, &format!("{url}/results")).await;
    assert!(list.contains("kettles") && list.contains("ada"), "{list}");
    bob.goto(&format!("{url}/results/1")).await.unwrap();
    assert!(text(bob, "#table").await.unwrap().contains("purple_ones"));
    assert_eq!(text(bob, ".standing").await.as_deref(), Some("By ada"));
    assert_eq!(text(bob, "#filing a.refile").await, None);
    no_complaints(bob).await;
}

/// Somebody without an account sees this one thing, and for anything else is asked to sign in.
async fn a_guest_sees_what_the_link_shows(guest: &Client, url: &str, link: &str) {
    guest.goto(link).await.unwrap();
    leads_to(guest, "/results/1").await;
    assert!(text(guest, "#table").await.unwrap().contains("purple_ones"));
    assert_eq!(text(guest, "nav.account").await, None);
    guest.goto(&format!("{url}/results/1/plans?show=all")).await.unwrap();
    assert!(text(guest, "table.map").await.unwrap().contains("purple_ones"));
    guest.goto(&format!("{url}/datasets/1")).await.unwrap();
    leads_to(guest, "/login?next=%2Fdatasets%2F1").await;
    no_complaints(guest).await;
}

/// By keyboard, from the page that asked for it; and on to what was asked for.
async fn signs_in(browser: &Client, name: &str) {
    tabs_lead_through(browser, &["#name", "#password", "form button.primary"]).await;
    fill(browser, "#name", name).await;
    fill(browser, "#password", PASSWORD).await;
    press_enter(browser).await;
}

#[tokio::test]
async fn people_come_in_share_what_is_theirs_and_go() {
    let dir = data_dir();
    let server = accounts::start(dir.path());
    let driver = Driver::start();
    let profiles = [data_dir(), data_dir(), data_dir()];
    let [ada, bob, guest] = &profiles;
    let ada = driver.browser(ada.path()).await;
    let bob = driver.browser(bob.path()).await;
    let guest = driver.browser(guest.path()).await;
    let url = server.url.as_str();

    let token = server.setup_token.as_deref().expect("a token was printed");
    ada_makes_the_first_account(&ada, url, token).await;
    ada_measures_something(&ada, url, dir.path()).await;
    let invitation = ada_invites_somebody(&ada, url).await;
    bob_takes_the_invitation(&bob, &invitation).await;
    bob_sees_nothing_of_it(&bob, url).await;

    ada.goto(&format!("{url}/results/1")).await.unwrap();
    click(&ada, ".standing a").await;
    click(&ada, "#share").await;
    wait_for("the button that takes it back", async || {
        text(&ada, "#make-private").await
    })
    .await;
    bob_sees_it_and_changes_nothing(&bob, url).await;

    click(&ada, "#make-private").await;
    wait_for("the button that shares it", async || text(&ada, "#share").await).await;
    tabs_lead_through(&ada, &["#lifetime", "#make-link"]).await;
    press_enter(&ada).await;
    let link = wait_for("the link", async || text(&ada, "#made code").await).await;
    bob_sees_nothing_of_it(&bob, url).await;
    a_guest_sees_what_the_link_shows(&guest, url, &link).await;

    // The guest was ada, at another machine.
    signs_in(&guest, "ada").await;
    leads_to(&guest, "/datasets/1").await;
    ada.goto(&format!("{url}/account")).await.unwrap();
    let sessions = "form[action^='/account/sessions/'] button";
    assert_eq!(ada.find_all(Locator::Css(sessions)).await.unwrap().len(), 2);
    tab_to(&ada, "form[action='/account/sign-out'] button").await;
    press_enter(&ada).await;
    leads_to(&ada, "/login").await;
    guest.refresh().await.unwrap();
    leads_to(&guest, "/login?next=%2Fdatasets%2F1").await;
    assert_eq!(main_of(&bob, url).await.matches("kettles").count(), 0);
    assert_eq!(path(&bob).await, "/", "who is somebody else stays");

    for browser in [ada, bob, guest] {
        no_complaints(&browser).await;
        browser.close().await.unwrap();
    }
    drop(driver);
    assert_eq!(server.stop(), Some(0));
}

/// What is chosen on the page holds in this browser from then on, for what is drawn by the style and for pictures.
#[tokio::test]
async fn a_browser_keeps_the_theme_and_the_percentiles_that_it_was_told() {
    let (dir, profile) = (data_dir(), data_dir());
    let server = crate::server::Server::start(dir.path());
    let driver = Driver::start();
    let browser = driver.browser(profile.path()).await;
    let background = "return getComputedStyle(document.documentElement).backgroundColor";
    let background = async || browser.execute(background, Vec::new()).await.unwrap();

    browser.goto(&server.url).await.unwrap();
    assert_eq!(background().await, Value::from("rgb(255, 255, 255)"));
    click(&browser, "nav.account .name").await;
    let theme = wait_for("the themes", async || browser.find(Locator::Id("theme")).await.ok()).await;
    theme.select_by_value("dark").await.unwrap();
    fill(&browser, "#percentiles", "50, half").await;
    press_enter(&browser).await;
    let why = wait_for("the reason", async || text(&browser, "#percentiles-error").await).await;
    assert!(why.contains("\"half\" is none"), "{why}");
    let described = "const is = document.querySelector('#percentiles');
        return [is.value, is.getAttribute('aria-describedby'), is.getAttribute('aria-invalid')]";
    assert_eq!(
        browser.execute(described, Vec::new()).await.unwrap(),
        serde_json::json!(["50, half", "percentiles-help percentiles-error", "true"])
    );
    fill(&browser, "#percentiles", "50, 90").await;
    press_enter(&browser).await;
    leads_to(&browser, "/account?done=preferences").await;
    assert_eq!(background().await, Value::from("rgb(20, 23, 28)"));

    let kept = browser.find(Locator::Id("percentiles")).await.unwrap();
    assert_eq!(kept.prop("value").await.unwrap().as_deref(), Some("50,90"));
    browser.goto(&format!("{}/nowhere", server.url)).await.unwrap();
    assert_eq!(
        background().await,
        Value::from("rgb(20, 23, 28)"),
        "on pages of errors, too"
    );
    browser.close().await.unwrap();
    drop(driver);
    assert_eq!(server.stop(), Some(0));
}
