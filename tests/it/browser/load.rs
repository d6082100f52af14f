//! A load test in a real browser: launched, watched, reloaded, read, repeated, compared and taken away.

use fantoccini::Client;
use fantoccini::Locator;

use crate::browser::Driver;
use crate::browser::click;
use crate::browser::path;
use crate::browser::picture_is_drawn;
use crate::browser::text;
use crate::server::Server;
use crate::server::client;
use crate::server::data_dir;
use crate::server::wait_for;

async fn fill(browser: &Client, id: &str, value: &str) {
    let field = browser.find(Locator::Id(id)).await.unwrap();
    field.clear().await.unwrap();
    field.send_keys(value).await.unwrap();
}

/// The rows of the table of levels, once the run is over.
async fn levels(browser: &Client) -> Vec<String> {
    wait_for("the levels", async || text(browser, "#table table").await).await;
    let mut labels = Vec::new();
    let heads = Locator::Css("#table .table-wrap:first-of-type tbody th");
    for row in browser.find_all(heads).await.unwrap() {
        labels.push(row.text().await.unwrap());
    }
    labels.retain(|label| !label.is_empty());
    labels
}

#[tokio::test]
async fn a_load_test_is_watched_live_survives_a_reload_and_is_compared() {
    let (dir, profile) = (data_dir(), data_dir());
    let server = Server::start(dir.path());
    let driver = Driver::start();
    let browser = driver.browser(profile.path()).await;

    browser.goto(&format!("{}/benchmarks/new", server.url)).await.unwrap();
    fill(&browser, "thread_counts", "2, 4").await;
    click(&browser, "#quick").await;
    fill(&browser, "test_duration", "4s\t").await;
    wait_for("the estimate", async || {
        let said = text(&browser, "form#benchmark").await?;
        said.contains("6 clients in all, at most 4 at once").then_some(())
    })
    .await;
    click(&browser, "#more > summary").await;
    fill(&browser, "table_rows", "1000").await;
    fill(&browser, "warm_up", "0").await;
    click(&browser, "form#benchmark button.primary").await;

    wait_for("seconds as they pass", async || {
        text(&browser, "#run table tbody tr").await
    })
    .await;
    browser.refresh().await.unwrap();
    let tile = wait_for("the throughput behind a reload", async || {
        text(&browser, "#run .tiles dd").await
    })
    .await;
    assert!(tile.contains("a second"), "{tile}");
    assert_eq!(path(&browser).await, "/benchmarks/1");
    assert_eq!(levels(&browser).await, ["2 clients", "4 clients"]);
    wait_for("the sweep", async || picture_is_drawn(&browser).await).await;

    click(&browser, "#chart-cdf").await;
    wait_for("the address of what is shown", async || {
        path(&browser).await.contains("type=cdf").then_some(())
    })
    .await;
    wait_for("its picture", async || picture_is_drawn(&browser).await).await;

    let again = browser.find(Locator::LinkText("Change and run again")).await.unwrap();
    again.click().await.unwrap();
    wait_for("the form, filled in", async || text(&browser, "form#benchmark").await).await;
    fill(&browser, "test_duration", "1s").await;
    click(&browser, "form#benchmark button.primary").await;
    assert_eq!(levels(&browser).await.len(), 2);

    browser.goto(&format!("{}/benchmarks", server.url)).await.unwrap();
    for run in ["1", "2"] {
        click(&browser, &format!("input[name=run][value='{run}']")).await;
    }
    click(&browser, "#compare").await;
    let compared = wait_for("both beside each other", async || {
        let said = text(&browser, "main table").await?;
        said.contains("4 clients").then_some(said)
    })
    .await;
    assert!(compared.contains("2 clients"), "{compared}");

    browser.goto(&format!("{}/benchmarks/1", server.url)).await.unwrap();
    let link = wait_for("the export", async || {
        browser.find(Locator::Css("a[href$='export.json']")).await.ok()
    })
    .await;
    let href = link.prop("href").await.unwrap().unwrap();
    let file: serde_json::Value = serde_json::from_slice(
        &client()
            .build()
            .unwrap()
            .get(href)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap(),
    )
    .unwrap();
    assert_eq!(file["levels"].as_array().unwrap().len(), 2, "{file}");
    browser.close().await.unwrap();
    drop(driver);
    assert_eq!(server.stop(), Some(0));
}
