//! How far an experiment is: the block that asks again and again, and the same as a stream of events.

use std::convert::Infallible;
use std::time::Duration;

use askama::Template as _;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::response::Sse;
use axum::response::sse::Event;
use axum::response::sse::KeepAlive;
use futures_util::Stream;
use tokio_util::sync::CancellationToken;

use crate::experiment::service::Experiments;
use crate::model::ids::ExperimentId;
use crate::model::user::Viewer;
use crate::store;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::fragment::Hx;
use crate::web::pages::progress::ProgressView;
use crate::web::state::AppState;
use crate::web::urls;

/// GET /results/{id}/status, and /experiment/status/{id}: the progress block, which stops asking when there is nothing more
/// to tell.
pub(super) async fn status(
    State(experiments): State<Experiments>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<ExperimentId>,
) -> PageResult<Response> {
    hx.require_fragment_of(&urls::result(id))?;
    let look = experiments
        .progress(viewer, id)
        .await?
        .ok_or(Error::NotFound("experiment"))?;
    let view = ProgressView::new(&look);
    let is_settled = view.is_settled;
    // 286 tells htmx to stop polling, should the markup without hx-get get lost.
    let status = if is_settled {
        StatusCode::from_u16(286).unwrap_or(StatusCode::OK)
    } else {
        StatusCode::OK
    };
    let mut response = fragment::with_status(status, &view)?;
    if is_settled {
        // The page has more to show now.
        response
            .headers_mut()
            .insert("hx-refresh", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// GET /experiment/stream/{id}: the same block as server-sent events.
pub(super) async fn stream(
    State(state): State<AppState>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ExperimentId>,
) -> PageResult<Response> {
    state
        .experiments
        .progress(viewer, id)
        .await?
        .ok_or(Error::NotFound("experiment"))?;
    Ok(events(state.experiments, viewer, id, state.shutdown).into_response())
}

/// GET /experiment/stream: follows the newest experiment that runs.
pub(super) async fn stream_newest(
    State(state): State<AppState>,
    CurrentUser(viewer): CurrentUser,
) -> PageResult<Response> {
    let mut conn = state.pool.acquire().await?;
    let newest = store::experiments::newest_unsettled(&mut conn, viewer).await?;
    drop(conn);
    let id = newest.ok_or(Error::NotFound("running experiment"))?;
    Ok(events(state.experiments, viewer, id, state.shutdown).into_response())
}

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A snapshot at once, then every change, then `done`, so that a late or returning listener needs no history.
pub(super) fn events(
    experiments: Experiments,
    viewer: Viewer,
    id: ExperimentId,
    shutdown: CancellationToken,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    struct Follow {
        n_sent: u64,
        last: String,
        is_over: bool,
    }
    let start = Follow {
        n_sent: 0,
        last: String::new(),
        is_over: false,
    };
    let stream = futures_util::stream::unfold(start, move |mut follow| {
        let (experiments, shutdown) = (experiments.clone(), shutdown.clone());
        async move {
            if follow.is_over {
                return None;
            }
            loop {
                let looked = experiments.progress(viewer, id).await;
                if matches!(looked, Ok(None)) {
                    // It was deleted, or is shared no more.
                    return None;
                }
                // While the store is away nothing changes; the listener waits.
                if let Ok(Some(look)) = looked {
                    let view = ProgressView::new(&look);
                    let html = view.render().unwrap_or_default();
                    if view.is_settled {
                        follow.is_over = true;
                        return Some((Ok(Event::default().event("done").data(html)), follow));
                    }
                    if html != follow.last {
                        follow.n_sent += 1;
                        let event = Event::default()
                            .event("progress")
                            .id(follow.n_sent.to_string())
                            .data(&html);
                        follow.last = html;
                        return Some((Ok(event), follow));
                    }
                }
                tokio::select! {
                    () = shutdown.cancelled() => return None,
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
            }
        }
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;
    use crate::auth::quota::QuotaKeeper;
    use crate::config::Access;
    use crate::model::filing::Filed;
    use crate::testing::bench::PATIENCE;
    use crate::testing::world::World;

    #[tokio::test]
    async fn who_is_shown_an_experiment_no_longer_hears_no_more_of_it() {
        let world = World::new().await;
        let (id, _) = world.experiment("shop", &["none"]).await;
        let (thing, stranger) = (Filed::Experiment(id), world.stranger().await);
        let share = async |is_shared| {
            let mut conn = world.conn().await;
            let shared = store::links::share(&mut conn, world.viewer, thing, is_shared);
            assert!(shared.await.unwrap());
        };
        share(true).await;
        let experiments = Experiments {
            pool: world.pool.clone(),
            quotas: QuotaKeeper::new(Access::Required),
        };
        let answer = events(experiments, stranger, id, CancellationToken::new()).into_response();
        let mut said = answer.into_body().into_data_stream();
        let first = said.next().await.unwrap().unwrap();
        assert!(first.starts_with(b"event: progress"), "{first:?}");
        share(false).await;
        let next = tokio::time::timeout(PATIENCE, said.next()).await.unwrap();
        assert!(next.is_none(), "{next:?}");
    }
}
