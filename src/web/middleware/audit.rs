//! Writes down who asked for what to be changed, from where, and how that was answered. What nobody is let in for is not
//! written here: it never gets so far.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::MatchedPath;
use axum::extract::Request;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::Response;
use sqlx::PgPool;
use tracing::error;

use crate::auth::address::Net;
use crate::auth::deeds;
use crate::auth::limit::Ask;
use crate::auth::limit::LimitError;
use crate::model::user::Viewer;
use crate::store;
use crate::store::audit::NewEntry;
use crate::web::middleware::identity::Asker;

/// An answer waits no longer for its line in the log.
const WITHIN: Duration = Duration::from_secs(2);

/// More of an address tells nobody anything.
const MOST_CHARS: usize = 200;

/// What proxies write into their logs where there was nobody left to be answered.
const HUNG_UP: u16 = 499;

/// Said by an answer to somebody who was not known before it, and is now: who that is.
#[derive(Clone, Copy, Debug)]
pub struct CameIn(pub Viewer);

/// Lets a request be answered, and writes the deed down if it was one.
pub async fn note(State(pool): State<PgPool>, request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let pattern = extensions.get::<MatchedPath>();
    let deed = pattern.and_then(|pattern| deeds::deed(request.method().as_str(), pattern.as_str()));
    let (Some(deed), Some(asker)) = (deed, extensions.get::<Asker>().cloned()) else {
        return next.run(request).await;
    };
    let mut line = Line {
        pool,
        deed,
        path: request.uri().path().chars().take(MOST_CHARS).collect(),
        address: asker.client.address,
        viewer: asker.viewer,
        is_written: false,
    };
    let response = next.run(request).await;
    if let Some(came_in) = response.extensions().get::<CameIn>() {
        line.viewer = came_in.0;
    }
    line.write(response.status().as_u16()).await;
    line.is_written = true;
    response
}

/// What is to be written down of one request.
struct Line {
    pool: PgPool,
    deed: &'static str,
    path: String,
    address: IpAddr,
    viewer: Viewer,
    is_written: bool,
}

impl Line {
    async fn write(&self, status: u16) {
        let deed = self.deed;
        match tokio::time::timeout(WITHIN, self.insert(status)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!("The audit log misses a line, somebody {deed}: {error}"),
            Err(_) => error!("The audit log misses a line, somebody {deed}: the store does not answer"),
        }
    }

    async fn insert(&self, status: u16) -> store::Result<()> {
        let mut conn = self.pool.acquire().await?;
        if !self.viewer.is_account() {
            match Ask::line_of_stranger(Net::of(self.address)).take(&mut conn).await {
                Ok(()) => {}
                Err(LimitError::TooOften(_)) => return Ok(()),
                Err(LimitError::Store(error)) => return Err(error),
            }
        }
        let new = NewEntry {
            user_id: self.viewer.is_account().then_some(self.viewer.user_id),
            otherwise: "somebody",
            address: &self.address.to_string(),
            deed: self.deed,
            path: &self.path,
            status,
        };
        store::audit::insert(&mut conn, &new).await
    }
}

impl Drop for Line {
    /// Whoever hangs up may have had something done all the same.
    fn drop(&mut self) {
        if self.is_written {
            return;
        }
        let line = Self {
            pool: self.pool.clone(),
            path: std::mem::take(&mut self.path),
            is_written: true,
            ..*self
        };
        tokio::spawn(async move { line.write(HUNG_UP).await });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::collections::BTreeSet;
    use std::path::Path;

    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::http::header;
    use axum::routing::MethodRouter;
    use axum::routing::post;
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt as _;

    use super::*;
    use crate::auth::accounts::Client;
    use crate::config::WebConfig;
    use crate::store::audit::Entry;
    use crate::testing::bench::Bench;
    use crate::testing::bench::PATIENCE;
    use crate::testing::world::World;
    use crate::web;
    use crate::web::state::AppState;

    /// Every Rust file below a directory.
    fn files(dir: &Path) -> Vec<String> {
        let mut texts = Vec::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                texts.extend(files(&path));
            } else {
                texts.push(std::fs::read_to_string(path).unwrap());
            }
        }
        texts
    }

    /// The patterns of all addresses, as the sources say them.
    fn patterns() -> BTreeSet<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
        let urls = std::fs::read_to_string(root.join("urls.rs")).unwrap();
        let constants: BTreeMap<&str, &str> = urls
            .lines()
            .filter_map(|line| line.strip_prefix("pub const ")?.split_once(": &str = "))
            .map(|(name, value)| (name, value.trim_end_matches(';').trim_matches('"')))
            .collect();
        let mut patterns = BTreeSet::new();
        for text in files(&root) {
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
            // Where several kinds of things have the same routes, they are made by a function of that name.
            let of_kinds: Vec<&str> = text
                .split("(of(\"")
                .skip(1)
                .map(|said| said.split('"').next().unwrap())
                .collect();
            for route in text.split(".route(").skip(1) {
                let said = route.trim_start();
                let quoted = |said: &str| said.split('"').nth(1).unwrap().to_owned();
                if said.starts_with("path,") {
                    patterns.extend(of_kinds.iter().map(|&path| path.to_owned()));
                } else if said.starts_with("&format!(") {
                    let rest = quoted(said).replace("{{", "{").replace("}}", "}");
                    let rest = rest
                        .strip_prefix("{path}")
                        .expect("a part of what is there of each kind");
                    patterns.extend(of_kinds.iter().map(|path| format!("{path}{rest}")));
                } else if let Some(constant) = said.strip_prefix("urls::") {
                    patterns.insert(constants[constant.split(',').next().unwrap()].to_owned());
                } else {
                    assert!(said.starts_with('"'), "{said}");
                    patterns.insert(quoted(said));
                }
            }
        }
        patterns
    }

    async fn door() -> (Bench, Router, PgPool) {
        let bench = Bench::open().await;
        let (services, config) = (bench.house.services(), WebConfig::unsaid());
        let pool = services.pool.clone();
        let state = AppState::new(&services, &config, config.listen, CancellationToken::new()).unwrap();
        (bench, web::router(state), pool)
    }

    fn request(method: &str, path: &str) -> Request {
        let request = Request::builder().method(method).uri(path);
        let request = request
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        request.body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn whatever_changes_something_stands_in_the_table_of_deeds() {
        let (_bench, router, _) = door().await;
        let patterns = patterns();
        assert!(
            patterns.len() > 100 && patterns.contains("/datasets/{id}/delete"),
            "{patterns:?}"
        );
        let mut missing = Vec::new();
        for pattern in &patterns {
            let path = address_of(pattern);
            // A method that nobody knows is answered with those that somebody does.
            let answer = router.clone().oneshot(request("BREW", &path)).await.unwrap();
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{pattern}");
            let allowed = answer.headers()[header::ALLOW].to_str().unwrap().to_owned();
            for method in allowed.split(',').filter(|method| !["GET", "HEAD"].contains(method)) {
                if !deeds::is_known(method, pattern) {
                    missing.push(format!("{method} {pattern}"));
                }
            }
        }
        assert!(missing.is_empty(), "no line in auth/deeds.rs: {missing:#?}");
    }

    /// An address of a pattern.
    fn address_of(pattern: &str) -> String {
        let segments = pattern
            .split('/')
            .map(|segment| if segment.starts_with('{') { "1" } else { segment });
        segments.collect::<Vec<&str>>().join("/")
    }

    #[tokio::test]
    async fn a_deed_is_written_down_with_its_end_and_looking_is_none() {
        let (_bench, router, pool) = door().await;
        for (method, path, status) in [
            ("GET", "/datasets", StatusCode::OK),
            ("POST", "/experiment/check", StatusCode::OK),
            ("POST", "/datasets/4711/delete", StatusCode::NOT_FOUND),
            ("POST", "/nowhere", StatusCode::NOT_FOUND),
        ] {
            let answer = router.clone().oneshot(request(method, path)).await.unwrap();
            assert_eq!(answer.status(), status, "{method} {path}");
        }
        let entries = store::audit::list(&mut pool.acquire().await.unwrap(), None, 10)
            .await
            .unwrap();
        let [entry] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!(
            (&*entry.user_name, &*entry.deed, entry.status),
            ("local", "deletes a dataset", 404)
        );
        assert_eq!((&*entry.path, &*entry.address), ("/datasets/4711/delete", "127.0.0.1"));
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_written_fails_no_answer() {
        let (_bench, router, pool) = door().await;
        sqlx::query("alter table audit_log rename to gone")
            .execute(&pool)
            .await
            .unwrap();
        let answer = router.oneshot(request("POST", "/datasets/4711/delete")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }

    /// The sign-in, answered by somebody else, with all that is written down of it.
    fn sign_in(pool: &PgPool, answer: MethodRouter) -> Router {
        let note = axum::middleware::from_fn_with_state(pool.clone(), note);
        Router::new().route("/login", answer).layer(note)
    }

    /// Somebody who signs in.
    fn asked(address: &str, viewer: Viewer) -> Request {
        let client = Client {
            address: address.parse().unwrap(),
            agent: String::new(),
        };
        let asker = Asker {
            viewer,
            name: None,
            session: None,
            scope: None,
            client,
        };
        let request = Request::post("/login").extension(asker);
        request.body(Body::empty()).unwrap()
    }

    async fn written(pool: &PgPool) -> Vec<Entry> {
        store::audit::list(&mut pool.acquire().await.unwrap(), None, 100)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn strangers_write_down_so_much_from_one_network_and_people_who_are_known_everything() {
        let world = World::new().await;
        let viewer = world.viewer;
        let refusing = sign_in(&world.pool, post(async || StatusCode::UNPROCESSABLE_ENTITY));
        let ask = async |router: &Router, address: &str, viewer| {
            let answer = router.clone().oneshot(asked(address, viewer)).await.unwrap();
            answer.status()
        };
        for n in 0..70 {
            // One customer has all of these addresses.
            let address = format!("2001:db8::{n:x}");
            let status = ask(&refusing, &address, Viewer::nobody()).await;
            assert_eq!(
                status,
                StatusCode::UNPROCESSABLE_ENTITY,
                "whoever writes down refuses nobody"
            );
        }
        let n_lines = written(&world.pool).await.len();
        // One comes back each minute.
        assert!((60..70).contains(&n_lines), "{n_lines}");

        ask(&refusing, "2001:db8:0:1::1", Viewer::nobody()).await;
        ask(&refusing, "2001:db8::1", viewer).await;
        let letting_in = post(async move || axum::Extension(CameIn(viewer)));
        ask(&sign_in(&world.pool, letting_in), "2001:db8::1", Viewer::nobody()).await;
        let lines = written(&world.pool).await;
        let newest: Vec<(&str, &str)> = lines
            .iter()
            .take(lines.len() - n_lines)
            .map(|line| (&*line.user_name, &*line.address))
            .collect();
        let expected = [
            ("local", "2001:db8::1"),
            ("local", "2001:db8::1"),
            ("somebody", "2001:db8:0:1::1"),
        ];
        assert_eq!(newest, expected);
    }

    #[tokio::test]
    async fn whoever_hangs_up_before_the_answer_leaves_a_line_all_the_same() {
        let world = World::new().await;
        let (begin, mut begun) = mpsc::channel(1);
        let never = post(async move || {
            begin.send(()).await.unwrap();
            std::future::pending::<()>().await;
        });
        let answering = sign_in(&world.pool, never).oneshot(asked("192.0.2.1", world.viewer));
        tokio::select! {
            _ = answering => panic!("it is never answered"),
            _ = begun.recv() => {}
        }
        let found = async {
            loop {
                if let Some(line) = written(&world.pool).await.pop() {
                    return line;
                }
            }
        };
        // By a task of its own: there is nobody left who could wait for it.
        let line = tokio::time::timeout(PATIENCE, found).await.unwrap();
        assert_eq!((&*line.user_name, &*line.deed, line.status), ("local", "signs in", 499));
    }
}
