//! The pages of benchmarks, asked for through the router.

mod forms;
mod live;
mod results;

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Response;
use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::router;
use crate::config::WebConfig;
use crate::model::ids::BenchmarkId;
use crate::testing::bench::Bench;
use crate::testing::world::World;
use crate::web::middleware::identity;
use crate::web::middleware::preferences;
use crate::web::state::AppState;

/// The web door of a house, and stories about what is stored in it.
struct Door {
    state: AppState,
    world: World,
    /// Holds the data directory.
    _bench: Bench,
}

impl Door {
    async fn open() -> Self {
        let bench = Bench::open().await;
        let services = bench.house.services();
        let config = WebConfig::unsaid();
        Self {
            state: AppState::new(&services, &config, config.listen, CancellationToken::new()).unwrap(),
            world: World {
                pool: services.pool,
                viewer: services.viewer,
            },
            _bench: bench,
        }
    }

    async fn ask(&self, request: Request<Body>) -> Response {
        let identity = axum::middleware::from_fn_with_state(self.state.clone(), identity::know);
        let preferences = axum::middleware::from_fn(preferences::know);
        let router = router()
            .layer(identity)
            .layer(preferences)
            .with_state(self.state.clone());
        router.oneshot(request).await.unwrap()
    }

    /// Returns when whoever watches a benchmark sees what is stored by now.
    async fn looked_again(&self, id: BenchmarkId) {
        let mut frames = Box::pin(self.state.watches.frames(self.world.viewer, id));
        // The one at hand, one that was perhaps under way, and one that was begun later.
        for _ in 0..3 {
            frames.next().await.unwrap();
        }
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        read(self.ask(Request::get(path).body(Body::empty()).unwrap()).await).await
    }

    async fn page(&self, path: &str) -> String {
        let (status, page) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {page}");
        page
    }

    /// As htmx asks.
    async fn fragment(&self, path: &str) -> Response {
        let request = Request::get(path).header("hx-request", "true");
        self.ask(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, pairs: &[(&str, &str)], is_htmx: bool) -> Response {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if is_htmx {
            request = request.header("hx-request", "true");
        }
        self.ask(request.body(Body::from(body)).unwrap()).await
    }
}

/// A form as a browser sends it that has files: each field, and each file under the same name.
fn parts(pairs: &[(&str, &str)], files: &[(&str, &str)]) -> Request<Body> {
    let fields = pairs
        .iter()
        .map(|(name, value)| format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    let files = files.iter().map(|(name, text)| {
        format!("--x\r\nContent-Disposition: form-data; name=\"program_files\"; filename=\"{name}\"\r\n\r\n{text}\r\n")
    });
    let body: String = fields.chain(files).chain(["--x--\r\n".to_owned()]).collect();
    Request::post("/benchmarks")
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=x")
        .body(Body::from(body))
        .unwrap()
}

async fn read(response: Response) -> (StatusCode, String) {
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}
