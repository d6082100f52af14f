//! What runs is followed and stopped.

use axum::http::StatusCode;
use axum::http::header;
use futures_util::StreamExt as _;

use crate::model::benchmark::LevelStatus;
use crate::model::ids::BenchmarkId;
use crate::store;
use crate::testing::benchmarks::form;
use crate::web::pages::benchmarks::tests::Door;
use crate::web::pages::benchmarks::tests::read;

#[tokio::test]
async fn what_runs_is_one_block_on_its_page_polled_and_streamed() {
    let door = Door::open().await;
    let world = &door.world;
    let id = world.benchmark(&form("r")).await;
    let waiting = door.page(&format!("/benchmarks/{id}")).await;
    assert!(
        waiting.contains("It begins in a moment.") && waiting.contains("id=\"stop\""),
        "{waiting}"
    );

    let lease = world.claim("a").await.unwrap().lease;
    let mut conn = world.conn().await;
    let benchmark = store::benchmarks::get(&mut conn, world.viewer, id)
        .await
        .unwrap()
        .unwrap();
    let levels = benchmark.spec.levels();
    let first = world.begin_level(&lease, id, levels[0]).await;
    world.second(&lease, first, 0, 500).await;
    world.end_level(&lease, first, LevelStatus::Finished, 5000, 10).await;
    let second = world.begin_level(&lease, id, levels[1]).await;
    for second_idx in -1..3 {
        world.second(&lease, second, second_idx, 800).await;
    }
    // Whoever comes now sees everything so far.
    door.looked_again(id).await;
    let page = door.page(&format!("/benchmarks/{id}")).await;
    assert!(page.contains("<title>running, level 2 of 2: 4 clients, "), "{page}");
    assert!(page.contains("<dt>Throughput</dt><dd>800 <span"), "{page}");
    assert!(
        page.contains("Over the last 3 seconds of the level that runs."),
        "{page}"
    );
    assert!(
        page.contains("<th scope=\"row\">2 clients</th>"),
        "the level before: {page}"
    );
    assert!(page.contains("4, warm-up"), "{page}");
    assert!(page.contains("<polyline class=\"l1\""), "{page}");

    let (_, polled) = read(door.fragment(&format!("/benchmarks/{id}/live")).await).await;
    let block = polled.split_once('\n').unwrap().1;
    assert!(polled.starts_with("<title>running, level 2"), "{polled}");
    assert!(page.contains(block.trim()), "a fragment is a block of its page");
    let stream = door.fragment(&format!("/benchmarks/{id}/stream")).await;
    assert_eq!(stream.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut events = stream.into_body().into_data_stream();
    let event = String::from_utf8(events.next().await.unwrap().unwrap().to_vec()).unwrap();
    let data: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert!(event.starts_with("event: live\n") && event.ends_with("\n\n"), "{event}");
    assert!(data.join("\n").contains("<dt>Throughput</dt><dd>800 <span"), "{event}");

    let opened = door.get(&format!("/benchmarks/{id}/live")).await;
    assert_eq!(opened.0, StatusCode::SEE_OTHER, "opened directly it leads to its page");
    world.end_level(&lease, second, LevelStatus::Finished, 8000, 10).await;
    let settled = store::queue::settle(&mut conn, &lease, crate::model::job::JobStatus::Completed, None).await;
    assert!(settled.unwrap());
    let mut last = String::new();
    while let Some(event) = events.next().await {
        last = String::from_utf8(event.unwrap().to_vec()).unwrap();
    }
    assert!(last.starts_with("event: done\n"), "the stream ends with it: {last}");
    let polled = door.fragment(&format!("/benchmarks/{id}/live")).await;
    assert_eq!(polled.headers()["hx-refresh"], "true");
}

#[tokio::test]
async fn however_many_look_one_publisher_reads_the_store() {
    let door = Door::open().await;
    let world = &door.world;
    let id = world.benchmark(&form("r")).await;
    let watches = door.state.watches.clone();
    let frames: Vec<_> = (0..50).map(|_| Box::pin(watches.frames(world.viewer, id))).collect();
    let mut newest = Vec::new();
    for mut frames in frames {
        newest.push(frames.next().await.unwrap());
    }
    assert!(
        newest.iter().all(|frame| std::sync::Arc::ptr_eq(frame, &newest[0])),
        "all get the very same"
    );
    let stranger = world.stranger().await;
    assert!(watches.frame(stranger, id).await.is_none(), "and strangers get none");
    assert!(watches.frame(world.viewer, BenchmarkId(99)).await.is_none());
    door.state.shutdown.cancel();
    let mut rest = Box::pin(watches.frames(world.viewer, id));
    while rest.next().await.is_some() {}
}

#[tokio::test]
async fn what_runs_is_stopped_and_what_is_over_can_be_deleted() {
    let door = Door::open().await;
    let world = &door.world;
    let id = world.benchmark(&form("r")).await;
    let refused = door.post(&format!("/benchmarks/{id}/delete"), &[], false).await;
    let (status, said) = read(refused).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(said.contains("Benchmark 1 still waits. Stop it first."), "{said}");
    let stopped = door.post(&format!("/benchmarks/{id}/stop"), &[], false).await;
    assert_eq!(stopped.headers()[header::LOCATION], "/benchmarks/1");
    let page = door.page(&format!("/benchmarks/{id}")).await;
    assert!(
        page.contains("<span class=\"mark stopped\">stopped</span>") && !page.contains("id=\"stop\""),
        "{page}"
    );
    assert!(page.contains("Stopped before it began."), "{page}");
    assert!(
        door.page(&format!("/benchmarks/{id}/delete"))
            .await
            .contains("Delete it")
    );
    let deleted = door.post(&format!("/benchmarks/{id}/delete"), &[], false).await;
    assert_eq!(deleted.headers()[header::LOCATION], "/benchmarks");
    for path in ["", "/live", "/stream", "/delete", "/chart.png"] {
        let answer = door.fragment(&format!("/benchmarks/{id}{path}")).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
}
