//! The walk in a real browser: headless Chromium, driven through `ChromeDriver`.

mod accounts;
mod load;

use std::io::BufRead as _;
use std::io::BufReader;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use fantoccini::Client;
use fantoccini::ClientBuilder;
use fantoccini::Locator;

use crate::server::Server;
use crate::server::data_dir;
use crate::server::repository;
use crate::server::wait_for;

/// `ChromeDriver` on a free port. Dropping it ends it.
struct Driver {
    child: Child,
    port: u16,
}

impl Driver {
    fn start() -> Self {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed (Debian: chromium-driver)");
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = said
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_once("started successfully on port ")?
                    .1
                    .trim_end_matches('.')
                    .parse()
                    .ok()
            })
            .expect("chromedriver says its port");
        std::thread::spawn(move || said.for_each(drop));
        Self { child, port }
    }

    async fn browser(&self, profile: &std::path::Path) -> Client {
        self.open(profile, &serde_json::json!({})).await
    }

    /// A browser that takes itself for a phone of 360 pixels.
    async fn phone(&self, profile: &std::path::Path) -> Client {
        let metrics = serde_json::json!({ "width": 360, "height": 740, "pixelRatio": 1.0, "mobile": true });
        let emulation = serde_json::json!({ "deviceMetrics": metrics });
        self.open(profile, &emulation).await
    }

    async fn open(&self, profile: &std::path::Path, emulation: &serde_json::Value) -> Client {
        let profile = format!("--user-data-dir={}", profile.display());
        let options = serde_json::json!({
            "goog:chromeOptions": { "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--no-first-run", "--window-size=1280,1000", profile,
            ], "mobileEmulation": emulation },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let capabilities = options.as_object().unwrap().clone();
        let url = format!("http://127.0.0.1:{}", self.port);
        ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&url)
            .await
            .unwrap()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What the page says in this place now; none while there is no such place.
async fn text(browser: &Client, css: &str) -> Option<String> {
    browser.find(Locator::Css(css)).await.ok()?.text().await.ok()
}

/// Clicks in this place, as soon as there is such. What a new page replaces between finding and clicking is found again there,
/// as a person would.
async fn click(browser: &Client, css: &str) {
    let clicking = async || {
        let element = browser.find(Locator::Css(css)).await.ok()?;
        match element.click().await {
            Err(error) if error.is_stale_element_reference() => return None,
            clicked => clicked.unwrap(),
        }
        Some(())
    };
    wait_for(css, clicking).await;
}

async fn path(browser: &Client) -> String {
    let url = browser.current_url().await.unwrap();
    url.query()
        .map_or(url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

async fn upload(browser: &Client, url: &str, form: &str, file: &str, leads_to: &str) {
    upload_file(browser, url, form, &repository(file), leads_to).await;
}

async fn upload_file(browser: &Client, url: &str, form: &str, file: &std::path::Path, leads_to: &str) {
    browser.goto(&format!("{url}/upload")).await.unwrap();
    let input = browser
        .find(Locator::Css(&format!("form[action='{form}'] input[type=file]")))
        .await
        .unwrap();
    input.send_keys(file.to_str().unwrap()).await.unwrap();
    click(browser, &format!("form[action='{form}'] button")).await;
    wait_for(leads_to, async || (path(browser).await == leads_to).then_some(())).await;
}

/// Whether the shown picture of the chart arrived.
async fn picture_is_drawn(browser: &Client) -> Option<()> {
    let script = "const i = document.querySelector('#chart img'); return !!i && i.complete && i.naturalWidth > 0";
    browser.execute(script, Vec::new()).await.ok()?.as_bool()?.then_some(())
}

/// Wide tables scroll by themselves; the page does not.
async fn every_page_fits_a_phone(driver: &Driver, url: &str) {
    let profile = data_dir();
    let phone = driver.phone(profile.path()).await;
    for path in [
        "/",
        "/upload",
        "/datasets",
        "/datasets/1",
        "/datasets/1/delete",
        "/workloads",
        "/workloads/1",
        "/experiment",
        "/experiment?like=1",
        "/results",
        "/results?tag=nightly&q=absent",
        "/results/1",
        "/results/1/filing",
        "/results/1/queries/0",
        "/results/1/plans?show=all",
        "/results/1/estimates",
        "/results/1/queries/0/plans/0",
        "/results/1/queries/0/plans/0/raw",
        "/results/1/queries/0/diff",
        "/results/1/report.html",
        "/results/1?type=box",
        "/compare?base=1.0&run=1.1&run=1.2&show=all",
        "/instruments",
        "/instruments/new?kind=bisect&experiment=1",
        "/instruments/new?kind=lottery",
        "/instruments/1",
        "/statistics/export",
        "/workloads/1/delete",
        "/account",
        "/admin",
        "/admin/accounts",
        "/admin/accounts/1",
        "/admin/invitations",
        "/admin/settings",
        "/admin/log",
        "/api/docs",
        "/help",
        "/help/start",
        "/help/dumps",
        "/help/queries",
        "/help/sources",
        "/help/reading-results",
        "/help/benchmarks",
        "/help/api",
        "/help/operations",
        "/help/glossary",
        "/nowhere",
    ] {
        phone.goto(&format!("{url}{path}")).await.unwrap();
        let script = "return [document.documentElement.scrollWidth, innerWidth]";
        let widths = phone.execute(script, Vec::new()).await.unwrap();
        assert_eq!(widths, serde_json::json!([360, 360]), "the width of {path}");
    }
    phone.close().await.unwrap();
}

/// Presses the tab key until what `css` names has the focus.
async fn tab_to(browser: &Client, css: &str) {
    let script = "return document.activeElement.matches(arguments[0])";
    for _ in 0..200 {
        let element = browser.active_element().await.unwrap();
        element.send_keys("\u{E004}").await.unwrap();
        let is_there = browser.execute(script, vec![css.into()]).await.unwrap();
        if is_there == true {
            return;
        }
    }
    panic!("the tab key does not lead to {css}");
}

/// Keys as `WebDriver` names them.
const ENTER: &str = "\u{E007}";
const ARROW_UP: &str = "\u{E013}";
const ARROW_DOWN: &str = "\u{E015}";

async fn press(browser: &Client, key: &str) {
    let element = browser.active_element().await.unwrap();
    element.send_keys(key).await.unwrap();
}

async fn press_enter(browser: &Client) {
    press(browser, ENTER).await;
}

/// From the map to a plan, its bars, and two plans side by side, without a mouse.
async fn plans_are_reached_by_keyboard(browser: &Client, url: &str) {
    browser.goto(&format!("{url}/results/1/plans")).await.unwrap();
    let changed = browser
        .find_all(Locator::Css("table.map tbody tr"))
        .await
        .unwrap()
        .len();
    assert!(
        changed >= 4,
        "without statistics {changed} of the sample's plans change"
    );
    tab_to(browser, "table.map a.cell").await;
    press_enter(browser).await;
    wait_for("the tree", async || text(browser, ".plan .node").await).await;
    tab_to(browser, "nav[aria-label='What the bars show'] a:last-child").await;
    press_enter(browser).await;
    wait_for("the other bars", async || {
        path(browser).await.contains("bars=buffers").then_some(())
    })
    .await;
    let copy = wait_for("the button that copies", async || {
        let button = browser.find(Locator::Css("button[data-copy]")).await.ok()?;
        button.is_displayed().await.ok()?.then_some(button)
    })
    .await;
    copy.click().await.unwrap();
    wait_for("what was copied", async || {
        (copy.text().await.ok()? == "Copied").then_some(())
    })
    .await;
    tab_to(browser, "form.compare button").await;
    press_enter(browser).await;
    let words = wait_for("the words", async || text(browser, ".findings li").await).await;
    assert!(words.contains(" under "), "{words}");
}

/// From the list of instruments to a bisect's answer and its file, without a mouse.
async fn an_instrument_is_asked_by_keyboard(browser: &Client, url: &str) {
    browser.goto(&format!("{url}/instruments")).await.unwrap();
    tab_to(browser, "a.button[href*=bisect]").await;
    press_enter(browser).await;
    tab_to(browser, "#experiment").await;
    // In a list, a letter chooses what begins with it.
    press(browser, "E").await;
    tab_to(browser, "form[method=get] button").await;
    press_enter(browser).await;
    wait_for("the queries", async || text(browser, "#query table").await).await;
    tab_to(browser, "#query input[type=radio]").await;
    for key in [ARROW_DOWN, ARROW_UP] {
        press(browser, key).await;
    }
    for (list, letter) in [("#from", "b"), ("#to", "n")] {
        tab_to(browser, list).await;
        press(browser, letter).await;
    }
    tab_to(browser, "form[method=post] button.primary").await;
    press_enter(browser).await;
    let answer = wait_for("the answer", async || text(browser, "p.headline").await).await;
    assert!(answer.contains("under built_in into the one under none"), "{answer}");
    assert_eq!(path(browser).await, "/instruments/1");
    tab_to(browser, "a[href$='export.json']").await;
    let script = "return fetch(document.activeElement.href).then(answer => answer.json())";
    let file = browser.execute(script, Vec::new()).await.unwrap();
    assert_eq!(file["kind"], "bisect");
    assert_eq!(file["headline"], answer.as_str());
}

/// By keyboard, without leaving the page; the tag then leads to what carries it.
async fn a_tag_is_given_where_it_stands(browser: &Client, url: &str) {
    browser.goto(&format!("{url}/results/1")).await.unwrap();
    tab_to(browser, "#filing a.refile").await;
    press_enter(browser).await;
    let typed = wait_for("the form", async || {
        browser.find(Locator::Css("#filing #tags")).await.ok()
    })
    .await;
    typed.send_keys("#1").await.unwrap();
    press_enter(browser).await;
    wait_for("the reason", async || text(browser, "#filing .field-error").await).await;
    let typed = browser.find(Locator::Css("#filing #tags")).await.unwrap();
    typed.clear().await.unwrap();
    typed.send_keys("Nightly").await.unwrap();
    press_enter(browser).await;
    let tag = wait_for("the tag", async || text(browser, "#filing .tag").await).await;
    assert_eq!((tag.as_str(), path(browser).await.as_str()), ("nightly", "/results/1"));
    click(browser, "#filing .tag").await;
    wait_for("the list", async || text(browser, "main .counted").await).await;
    assert_eq!(path(browser).await, "/results?tag=nightly");
    assert_eq!(text(browser, "tbody .tag").await.as_deref(), Some("nightly"));
}

#[tokio::test]
async fn a_person_gets_from_two_files_to_a_chart() {
    let (dir, profile) = (data_dir(), data_dir());
    let server = Server::start(dir.path());
    let driver = Driver::start();
    let browser = driver.browser(profile.path()).await;

    upload(&browser, &server.url, "/upload/dump", "samples/dump.sql", "/datasets/1").await;
    wait_for("the restored tables", async || {
        text(&browser, "main").await?.contains("order_line").then_some(())
    })
    .await;
    upload(
        &browser,
        &server.url,
        "/upload/queries",
        "samples/queries.sql",
        "/workloads/1",
    )
    .await;

    browser.goto(&format!("{}/experiment", server.url)).await.unwrap();
    click(&browser, "input[name=stats_source][value=random_targets]").await;
    let iterations = browser.find(Locator::Id("iterations")).await.unwrap();
    iterations.clear().await.unwrap();
    iterations.send_keys("5\t").await.unwrap();
    wait_for("the estimate", async || {
        text(&browser, "#estimate")
            .await?
            .contains("3 sources × 12 queries × (5 rounds + 1 warm-up)")
            .then_some(())
    })
    .await;
    click(&browser, "form#experiment button.primary").await;

    click(&browser, "#filing a.refile").await;
    let memo = wait_for("the memo's field", async || {
        browser.find(Locator::Id("memo")).await.ok()
    })
    .await;
    memo.send_keys("half typed").await.unwrap();
    let mut seen: Vec<String> = Vec::new();
    wait_for("the end", async || {
        if let Some(said) = text(&browser, "#progress .percent").await
            && seen.last() != Some(&said)
        {
            seen.push(said);
        }
        text(&browser, "#flash")
            .await?
            .starts_with("It has ended.")
            .then_some(())
    })
    .await;
    assert_eq!(memo.prop("value").await.unwrap().as_deref(), Some("half typed"));
    click(&browser, "#filing button.primary").await;
    wait_for("the table", async || text(&browser, "#table").await).await;
    assert_eq!(text(&browser, "#filing .memo").await.as_deref(), Some("half typed"));
    let percents: Vec<u32> = seen
        .iter()
        .filter_map(|said| said.trim_end_matches(" %").parse().ok())
        .collect();
    assert!(
        percents.is_sorted() && percents.len() >= 2,
        "the bar moved: {percents:?}"
    );
    assert_eq!(path(&browser).await, "/results/1");
    assert_eq!(
        browser.find_all(Locator::Css("#table tbody tr")).await.unwrap().len(),
        36
    );

    let current = "#chart nav[aria-label='Chart type'] a[aria-current]";
    wait_for("the bars", async || picture_is_drawn(&browser).await).await;
    assert_eq!(text(&browser, current).await.as_deref(), Some("Bars"));
    click(&browser, "#chart-line").await;
    let shows = async |word: &str| (text(&browser, current).await.as_deref() == Some(word)).then_some(());
    wait_for("the lines", async || shows("Lines").await).await;
    wait_for("their picture", async || picture_is_drawn(&browser).await).await;
    assert!(
        path(&browser).await.contains("type=line"),
        "the address says what is shown"
    );
    browser.back().await.unwrap();
    wait_for("the bars again", async || shows("Bars").await).await;
    browser.forward().await.unwrap();
    wait_for("the lines again", async || shows("Lines").await).await;
    browser.refresh().await.unwrap();
    wait_for("the lines after a reload", async || shows("Lines").await).await;
    assert_eq!(browser.find_all(Locator::Css("h1")).await.unwrap().len(), 1);

    a_tag_is_given_where_it_stands(&browser, &server.url).await;
    plans_are_reached_by_keyboard(&browser, &server.url).await;
    an_instrument_is_asked_by_keyboard(&browser, &server.url).await;
    browser.goto(&format!("{}/results/1", server.url)).await.unwrap();
    click(&browser, "#table a.more").await;
    wait_for("the plans of a query", async || text(&browser, "#plans .plan").await).await;

    browser.close().await.unwrap();
    every_page_fits_a_phone(&driver, &server.url).await;
    drop(driver);
    assert_eq!(server.stop(), Some(0));
}
