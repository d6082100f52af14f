//! Finding things again and doing them again: tags, filters by address, and forms filled in like an earlier run. All by plain
//! links and forms.

use reqwest::StatusCode;
use serde_json::Value;

use crate::pages::Plain;
use crate::server::Server;
use crate::server::data_dir;
use crate::server::wait_for;

const DUMP: &str = "
create table things (id integer primary key, kind integer);
insert into things select g, (g % 2) * g from generate_series(1, 500) g;
";
const QUERIES: &str = "
-- name: all
select count(*) from things;
-- name: none
select count(*) from things where id < 0;
-- name: half
select count(*) from things where kind = 0;
";

/// What a browser without JavaScript sends of the form whose tag begins with `mark`, left as it is.
fn form(page: &str, mark: &str) -> Vec<(String, String)> {
    let begun = page.find(mark).unwrap_or_else(|| panic!("{mark} in {page}"));
    let form = &page[begun..][..page[begun..].find("</form>").unwrap()];
    let mut pairs = Vec::new();
    // Of the select that is open: its name, its first option and the chosen one.
    let mut select: Option<(String, Option<String>, Option<String>)> = None;
    for piece in form.split('<').skip(2) {
        let (tag, text) = piece.split_once('>').unwrap();
        let name = attribute(tag, "name");
        if tag.split_ascii_whitespace().any(|word| word == "disabled") {
            continue;
        }
        let is_ticked = tag
            .split_ascii_whitespace()
            .any(|word| word == "checked" || word == "selected");
        match tag.split_ascii_whitespace().next().unwrap() {
            "input" => {
                let is_tick = matches!(attribute(tag, "type").as_deref(), Some("checkbox" | "radio"));
                if let Some(name) = name.filter(|_| !is_tick || is_ticked) {
                    pairs.push((name, attribute(tag, "value").unwrap_or_default()));
                }
            }
            "textarea" => pairs.push((name.unwrap(), read(text))),
            "select" => select = name.map(|name| (name, None, None)),
            "option" => {
                // Those of a datalist are only suggested.
                let Some((_, first, chosen)) = select.as_mut() else {
                    continue;
                };
                let value = attribute(tag, "value").unwrap_or_else(|| read(text.trim()));
                if is_ticked {
                    *chosen = Some(value.clone());
                }
                first.get_or_insert(value);
            }
            "/select" => {
                let (name, first, chosen) = select.take().unwrap();
                pairs.extend(chosen.or(first).map(|value| (name, value)));
            }
            _ => {}
        }
    }
    pairs
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, behind) = tag.split_once(&format!(" {name}=\""))?;
    Some(read(&behind[..behind.find('"').unwrap()]))
}

/// Text as a browser reads it.
fn read(text: &str) -> String {
    let signs = [
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#38;", "&"),
    ];
    signs
        .iter()
        .fold(text.to_owned(), |text, (written, sign)| text.replace(written, sign))
}

async fn post(plain: &Plain, path: &str, pairs: &[(String, String)]) -> (StatusCode, String) {
    let pairs: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    plain.post(path, &pairs).await
}

async fn json(plain: &Plain, path: &str) -> Value {
    serde_json::from_str(&plain.page(path).await).unwrap()
}

#[tokio::test]
async fn things_are_found_again_by_tags_and_done_again_by_forms_that_are_filled_in() {
    let dir = data_dir();
    let server = Server::start(dir.path());
    let plain = Plain::of(&server);
    for (path, name, text) in [
        ("/upload/dump", "50% of shop_1.sql", DUMP),
        ("/upload/queries", "queries.sql", QUERIES),
    ] {
        let (status, _) = plain.upload(path, path, name, text.as_bytes().to_vec()).await;
        assert_eq!(status, StatusCode::SEE_OTHER);
    }
    wait_for("the restore", async || {
        plain.page("/datasets/1").await.contains("ready</span>").then_some(())
    })
    .await;
    an_experiment_is_launched_again_by_its_form_left_as_it_is(&plain).await;
    so_is_an_instrument(&plain).await;
    tags_are_given_and_refused_beside_the_thing(&plain).await;
    a_list_is_narrowed_by_its_address(&plain).await;
    a_form_says_at_each_field_what_is_gone(&plain).await;
    assert_eq!(server.stop(), Some(0));
}

async fn an_experiment_is_launched_again_by_its_form_left_as_it_is(plain: &Plain) {
    let unusual = [
        ("request_id", "r1"),
        ("dataset", "1"),
        ("workload", "1"),
        ("queries_listed", "1"),
        ("query", "0"),
        ("query", "2"),
        ("stats_source", "none"),
        ("stats_source", "draws:k=2,target=7"),
        ("stats_source", "random_targets:seed=1,high=10"),
        ("stats_source", "random_targets:seed=2,scale=uniform"),
        ("stats_source", "built_in"),
        ("control", "1"),
        ("observer", "1"),
        ("iterations", "2"),
        ("warm_up", "0"),
        ("seed", "18446744073709551615"),
        ("clock", "client"),
        ("timeout", "1m 500ms"),
        ("order", "sequential"),
        ("settings", "work_mem = 8MB\r\nsearch_path = public, \"x&<y>\""),
    ];
    // Ticks and fields that the form has for it.
    let usual = [
        ("request_id", "r2"),
        ("dataset", "1"),
        ("workload", "1"),
        ("stats_source", "built_in"),
        ("stats_source", "random_targets"),
        ("random_targets.seed", "3, 4"),
        ("stats_source", "perturbed"),
        ("perturbed.kinds", "mcv_drop"),
        ("perturbed.kinds", "row_counts"),
        ("iterations", "1"),
    ];
    for (n, wish) in [(1, &unusual[..]), (3, &usual[..])] {
        let (first, again) = (format!("/results/{n}"), format!("/results/{}", n + 1));
        assert_eq!(
            plain.post("/experiment", wish).await,
            (StatusCode::SEE_OTHER, first.clone())
        );
        // Whether it still waits, runs or has ended.
        let link = format!("href=\"/experiment?like={n}\"");
        assert!(plain.page(&first).await.contains(&link));
        let page = plain.page(&format!("/experiment?like={n}")).await;
        let left = form(&page, "<form id=\"experiment\"");
        assert_eq!(
            post(plain, "/experiment", &left).await,
            (StatusCode::SEE_OTHER, again.clone()),
            "{left:?}"
        );
        for result in [&first, &again] {
            wait_for("the experiment", async || {
                plain
                    .page(result)
                    .await
                    .contains("Times by query and source")
                    .then_some(())
            })
            .await;
        }
        let spec =
            async |result: &str| json(plain, &format!("{result}/export.json")).await["experiment"]["spec"].clone();
        let (asked, spec) = (spec(&first).await, spec(&again).await);
        assert_eq!(asked, spec);
        assert_eq!(spec["sources"].as_array().unwrap().len(), if n == 1 { 7 } else { 4 });
    }
    assert_eq!(plain.get("/experiment?like=99").await.0, StatusCode::NOT_FOUND);
    assert_eq!(plain.get("/experiment?like=x").await.0, StatusCode::NOT_FOUND);
}

async fn so_is_an_instrument(plain: &Plain) {
    let wish = [
        ("request_id", "i1"),
        ("kind", "lottery"),
        ("dataset", "1"),
        ("workload", "1"),
        ("targets", "1, 10"),
        ("draws", "2"),
        ("timeout", "1500ms"),
    ];
    assert_eq!(plain.post("/instruments", &wish).await.1, "/instruments/1");
    assert!(
        plain
            .page("/instruments/1")
            .await
            .contains("href=\"/instruments/new?like=1\"")
    );
    let page = plain.page("/instruments/new?like=1").await;
    let left = form(&page, "<form action=\"/instruments\"");
    for (name, value) in &wish[1..] {
        let pair = ((*name).to_owned(), (*value).to_owned());
        assert!(left.contains(&pair), "{name}: {left:?}");
    }
    assert_eq!(post(plain, "/instruments", &left).await.1, "/instruments/2");
    wait_for("the lotteries", async || {
        let page = plain.page("/instruments/2").await;
        page.contains("Flip probability").then_some(())
    })
    .await;
    let spec = async |n: u32| json(plain, &format!("/instruments/{n}/export.json")).await["spec"].clone();
    assert_eq!(spec(1).await, spec(2).await);
    assert!(spec(1).await.is_object());
}

async fn tags_are_given_and_refused_beside_the_thing(plain: &Plain) {
    for thing in ["/results/1", "/instruments/1", "/datasets/1", "/workloads/1"] {
        let filing = format!("{thing}/filing");
        assert!(
            plain.page(thing).await.contains(&format!("href=\"{filing}\"")),
            "{thing}"
        );
        let mut left = form(&plain.page(&filing).await, &format!("<form action=\"{filing}\""));
        assert_eq!(
            left,
            [("tags".to_owned(), String::new()), ("memo".to_owned(), String::new())]
        );
        left[0].1.push_str("Nightly größe");
        left[1].1.push_str("before <b> & 50%\r\nthe index");
        assert_eq!(
            post(plain, &filing, &left).await,
            (StatusCode::SEE_OTHER, thing.to_owned())
        );
        let page = plain.page(thing).await;
        let list = &thing[..thing.len() - 2];
        assert!(
            page.contains(&format!("href=\"{list}?tag=gr%C3%B6%C3%9Fe\">größe</a>")),
            "{page}"
        );
        assert!(page.contains("before &#60;b&#62; &#38; 50%\nthe index"), "{page}");
        let (status, refused) = plain.post(&filing, &[("tags", "good #bad"), ("memo", "kept")]).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(
            refused.contains("has &#39;#&#39; in it") && refused.contains("value=\"good #bad\""),
            "{refused}"
        );
        assert!(refused.contains(">kept</textarea>"), "{refused}");
    }
    for nowhere in ["/results/99/filing", "/datasets/0/filing", "/workloads/x/filing"] {
        assert_eq!(plain.get(nowhere).await.0, StatusCode::NOT_FOUND, "{nowhere}");
        assert_eq!(
            plain.post(nowhere, &[("tags", "a")]).await.0,
            StatusCode::NOT_FOUND,
            "{nowhere}"
        );
    }
    let report = plain.page("/results/1/report.html").await;
    assert!(
        report.contains("Tags: größe, nightly") && report.contains("before &#60;b&#62;"),
        "{report}"
    );
    let beside = plain.page("/compare?base=1.0&run=2.0").await;
    assert!(beside.contains("href=\"/results?tag=nightly\">nightly</a>"), "{beside}");
}

async fn a_list_is_narrowed_by_its_address(plain: &Plain) {
    let row = |n: u32| format!("<th scope=\"row\"><a href=\"/results/{n}\">{n}</a></th>");
    for (query, shown, counted) in [
        ("", vec![4, 3, 2, 1], "4 experiments"),
        ("?tag=nightly", vec![1], "1 of 4 experiments shown"),
        ("?tag=nightly+absent", vec![], "0 of 4 experiments shown"),
        (
            "?state=finished&sort=oldest",
            vec![1, 2, 3, 4],
            "4 of 4 experiments shown",
        ),
        ("?state=failed", vec![], "0 of 4 experiments shown"),
        (
            "?dataset=50%25+of+shop_1.sql&q=THE+INDEX",
            vec![1],
            "1 of 4 experiments shown",
        ),
        ("?q=50%25", vec![4, 3, 2, 1], "4 of 4 experiments shown"),
        ("?q=%25", vec![4, 3, 2, 1], "4 of 4 experiments shown"),
        ("?q=shop%25", vec![], "0 of 4 experiments shown"),
        ("?workload=absent", vec![], "0 of 4 experiments shown"),
        ("?state=cancelled", vec![], "&#34;cancelled&#34; is no state."),
        ("?tag=a%25", vec![], "A tag is made of letters"),
        ("?q=a%00b", vec![], "0 of 4 experiments shown"),
        ("?sort=colour", vec![4, 3, 2, 1], "here the newest come first"),
        ("?page=7", vec![], "This page of the list is empty."),
        (
            "?q=%27%3B+drop+table+experiments%3B+--",
            vec![],
            "0 of 4 experiments shown",
        ),
    ] {
        let page = plain.page(&format!("/results{query}")).await;
        assert!(page.contains(counted), "{query}: {page}");
        let places: Vec<Option<usize>> = shown.iter().map(|n| page.find(&row(*n))).collect();
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted(),
            "{query}: {page}"
        );
        assert_eq!(page.matches("<th scope=\"row\">").count(), shown.len(), "{query}");
        let is_narrowed = query.contains('=') && !query.starts_with("?sort") && !query.starts_with("?page");
        assert_eq!(
            page.contains("<a class=\"button\" href=\"/results\">Clear"),
            is_narrowed,
            "{query}"
        );
    }
    let page = plain.page("/results?state=finished").await;
    let asked = form(&page, "<form class=\"filter\"");
    assert!(
        asked.contains(&("state".to_owned(), "finished".to_owned())),
        "{asked:?}"
    );
    assert!(
        page.contains("href=\"/results?tag=nightly&#38;state=finished\""),
        "a tag adds to the filter"
    );
    for (address, shown, not) in [
        ("/instruments?tag=nightly", "/instruments/1\"", "/instruments/2\""),
        ("/instruments?kind=bisect", "0 of 2 runs shown", "/instruments/1\""),
        (
            "/instruments?kind=oracle",
            "There is no instrument &#34;oracle&#34;",
            "/instruments/1\"",
        ),
        (
            "/datasets?tag=nightly&state=ready&q=shop_1",
            "/datasets/1\"",
            "None of the datasets fits",
        ),
        ("/datasets?tag=absent", "None of the datasets fits", "/datasets/1\""),
        (
            "/workloads?tag=nightly&sort=name",
            "/workloads/1\"",
            "None of the workloads fits",
        ),
        ("/workloads?q=_", "None of the workloads fits", "/workloads/1\""),
    ] {
        let page = plain.page(address).await;
        assert!(
            page.contains(shown) && !page.contains(&format!("<a href=\"{not}")),
            "{address}: {page}"
        );
    }
}

async fn a_form_says_at_each_field_what_is_gone(plain: &Plain) {
    for thing in ["/datasets/1", "/workloads/1"] {
        let (status, _) = plain.post(&format!("{thing}/delete"), &[]).await;
        assert_eq!(status, StatusCode::SEE_OTHER);
    }
    let other = "create table others (id integer);";
    plain
        .upload("/upload/dump", "d2", "other.sql", other.as_bytes().to_vec())
        .await;
    plain
        .upload("/upload/queries", "q2", "other.sql", b"select 1;".to_vec())
        .await;
    wait_for("the other restore", async || {
        let ready = plain.page("/datasets?state=ready").await;
        ready.contains("href=\"/datasets/2\"").then_some(())
    })
    .await;
    let page = plain.page("/experiment?like=1").await;
    for said in [
        "was deleted, and none comes from the same dump. Choose another.",
        "was deleted, and none holds the same queries. Choose another; it ran all, half.",
    ] {
        assert_eq!(
            page.matches(said).count(),
            2,
            "at its field and in the list of what is to be put right: {page}"
        );
    }
    let left = form(&page, "<form id=\"experiment\"");
    assert!(
        left.contains(&("dataset".to_owned(), String::new())),
        "not another in its place: {left:?}"
    );
    assert!(left.contains(&("seed".to_owned(), u64::MAX.to_string())));
    assert_eq!(
        left.iter().filter(|(name, _)| name == "stats_source").count(),
        5,
        "{left:?}"
    );
    let page = plain.page("/instruments/new?like=1").await;
    assert!(
        page.contains("is not there any more. Choose another.") && page.contains("value=\"1, 10\""),
        "{page}"
    );
}
