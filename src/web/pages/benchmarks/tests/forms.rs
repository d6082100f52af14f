//! The form: checked, launched, and given back with what was typed.

use axum::http::StatusCode;
use axum::http::header;

use crate::web::pages::benchmarks::tests::Door;
use crate::web::pages::benchmarks::tests::parts;
use crate::web::pages::benchmarks::tests::read;

/// What a person sends who changes the first fields only.
const WISH: [(&str, &str); 8] = [
    ("request_id", "r"),
    ("target", "generated"),
    ("operation", "point_read"),
    ("thread_counts", "2, 4"),
    ("test_duration", "10s"),
    ("warm_up", "1s"),
    ("table_rows", "10000"),
    ("batch_size", "1000"),
];

fn changed<'a>(field: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let others = WISH.into_iter().filter(|(name, _)| *name != field);
    others.chain([(field, value)]).collect()
}

#[tokio::test]
async fn a_form_is_checked_as_it_is_typed_and_every_message_stands_at_its_field() {
    let door = Door::open().await;
    let page = door.page("/benchmarks/new").await;
    for field in ["target", "operation", "thread_counts", "test_duration"] {
        let (at, more) = (page.find(&format!("id=\"{field}\"")), page.find("id=\"more\""));
        assert!(at.is_some() && at < more, "{field} is not hidden");
    }
    assert!(page.contains("<details id=\"more\">"), "{page}");
    let (status, good) = read(door.post("/benchmarks/check", &WISH, true).await).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        good.contains("for 2 levels: 6 clients in all, at most 4 at once"),
        "{good}"
    );
    assert!(
        good.contains("id=\"thread_counts-error\" hx-swap-oob=\"true\"></p>"),
        "{good}"
    );
    assert!(!good.contains("<form"), "the form stays as it is: {good}");
    let (_, bad) = read(door.post("/benchmarks/check", &changed("warm_up", "soon"), true).await).await;
    assert!(
        bad.contains("id=\"warm_up-error\" hx-swap-oob=\"true\">A duration like"),
        "{bad}"
    );
    assert!(bad.contains("<a href=\"#warm_up\">"), "{bad}");
    // Without htmx the same comes as the page, with what is wrong in sight.
    let (status, page) = read(door.post("/benchmarks/check", &changed("warm_up", "soon"), false).await).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        page.contains("<details id=\"more\" open>") && page.contains("value=\"soon\""),
        "{page}"
    );
    assert!(
        page.contains("<p class=\"field-error\" id=\"warm_up-error\">A duration like"),
        "{page}"
    );
}

#[tokio::test]
async fn a_form_launches_once_and_a_wrong_one_comes_back_with_what_was_typed() {
    let door = Door::open().await;
    let wrong = changed("test_duration", "3s");
    let (status, page) = read(door.post("/benchmarks", &wrong, false).await).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("name=\"test_duration\" value=\"3s\""), "{page}");
    assert!(page.contains("aria-invalid=\"true\""), "{page}");
    let mut quick = wrong;
    quick.push(("quick", "1"));
    for _ in 0..2 {
        let launched = door.post("/benchmarks", &quick, false).await;
        assert_eq!(launched.status(), StatusCode::SEE_OTHER);
        assert_eq!(launched.headers()[header::LOCATION], "/benchmarks/1");
    }
    assert!(door.page("/benchmarks/1").await.contains("a quick look"));
    assert!(door.page("/benchmarks").await.contains("1 benchmark"));
}

#[tokio::test]
async fn programs_come_one_by_one_and_stay_when_another_is_added() {
    let door = Door::open().await;
    let mut wish = changed("operation", "programs");
    wish.extend([
        ("program_name", "reads"),
        ("program_weight", "9"),
        ("program_text", "select '<&>';"),
    ]);
    let (status, page) = read(door.post("/benchmarks/program", &wish, false).await).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("select &#39;&#60;&#38;&#62;&#39;;"), "{page}");
    assert_eq!(page.matches("name=\"program_text\"").count(), 2, "{page}");
    // Nothing in the new one: it is passed over.
    wish.extend([("program_name", ""), ("program_weight", ""), ("program_text", "")]);
    let launched = door.post("/benchmarks", &wish, false).await;
    assert_eq!(launched.status(), StatusCode::SEE_OTHER);
    let page = door.page("/benchmarks/new?like=1").await;
    assert!(page.contains("name=\"program_name\" value=\"reads\""), "{page}");
    assert!(page.contains("<option value=\"programs\" selected>"), "{page}");
    let (status, _) = door.get("/benchmarks/new?like=99").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn programs_that_come_as_files_are_typed_in_when_the_form_comes_back() {
    let door = Door::open().await;
    let mut wish = changed("operation", "programs");
    wish.retain(|(name, _)| *name != "test_duration");
    wish.extend([("test_duration", "soon"), ("file_weights", "7"), ("program_text", "")]);
    let files = [("reads.sql", "select 11;"), ("writes.sql", "select 12;"), ("", "")];
    let (status, page) = read(door.ask(parts(&wish, &files)).await).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    for typed in [
        "value=\"reads\"",
        "value=\"7\"",
        ">select 11;</textarea>",
        "value=\"writes\"",
        ">select 12;</textarea>",
    ] {
        assert!(page.contains(typed), "{typed}: {page}");
    }
    assert_eq!(page.matches("name=\"program_text\"").count(), 2, "{page}");
    wish.retain(|(name, _)| *name != "test_duration");
    wish.push(("test_duration", "10s"));
    let launched = door.ask(parts(&wish, &files)).await;
    assert_eq!(launched.status(), StatusCode::SEE_OTHER);
    let like = door.page("/benchmarks/new?like=1").await;
    assert!(
        like.contains("value=\"reads\"") && like.contains(">select 12;</textarea>"),
        "{like}"
    );
}

#[tokio::test]
async fn an_address_begins_a_form_on_a_dataset_with_a_workload() {
    let door = Door::open().await;
    let world = &door.world;
    let (dataset, _) = world.dataset("shop").await;
    let workload = world.workload("orders", "select 1").await;
    let page = door
        .page(&format!("/benchmarks/new?dataset={dataset}&workload={workload}"))
        .await;
    for chosen in [
        "<option value=\"dataset\" selected>".to_owned(),
        "<option value=\"workload\" selected>".to_owned(),
        format!("<option value=\"{dataset}\" selected>shop"),
        format!("<option value=\"{workload}\" selected>orders (1 query)"),
    ] {
        assert!(page.contains(&chosen), "{chosen} in {page}");
    }
    assert!(page.contains("name=\"stats_source\" value=\"none\""), "{page}");
}
