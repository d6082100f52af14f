//! Answering with a picture: how it is asked for, when it need not be sent or drawn again, and its drawing, which runs off
//! the async threads.

use std::collections::HashMap;
use std::time::Instant;

use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use bytes::Bytes;
use sha2::Digest as _;
use sha2::Sha256;

use crate::report::chart::Canvas;
use crate::report::chart::ChartError;
use crate::report::chart::Theme;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::middleware::headers::SERVER_TIMING;
use crate::web::pages::chart_cache::ChartCache;

/// How a picture is to be drawn, whatever it shows: `theme`, `dpr`, `w` and `h` of its address.
#[derive(Clone, Copy, Debug)]
pub struct CanvasWish {
    theme: Theme,
    scale: u32,
    width: Option<u32>,
    height: Option<u32>,
}

impl CanvasWish {
    pub fn read(given: &HashMap<String, String>) -> Self {
        let number = |name: &str| given.get(name)?.parse::<u32>().ok();
        Self {
            theme: match given.get("theme").map(String::as_str) {
                Some("dark") => Theme::Dark,
                _ => Theme::Light,
            },
            scale: number("dpr").unwrap_or(1),
            width: number("w"),
            height: number("h"),
        }
    }

    /// The canvas, as large as the chart is by itself where nothing else was asked for.
    pub fn canvas(self, (width, height): (u32, u32)) -> Canvas {
        Canvas {
            width: self.width.unwrap_or(width),
            height: self.height.unwrap_or(height),
            scale: self.scale,
            theme: self.theme,
        }
    }
}

/// Where the four forms of a picture are: light and dark, for usual screens and fine ones. `address` has its query begun.
pub struct Sources {
    pub light: String,
    pub light_2x: String,
    pub dark: String,
    pub dark_2x: String,
}

impl Sources {
    pub fn new(address: &str) -> Self {
        let of = |theme: &str, dpr: u32| format!("{address}&theme={theme}&dpr={dpr}");
        Self {
            light: of("light", 1),
            light_2x: of("light", 2),
            dark: of("dark", 1),
            dark_2x: of("dark", 2),
        }
    }
}

/// A picture by all that it depends on.
pub struct Picture {
    key: String,
    headers: [(HeaderName, HeaderValue); 2],
    etag: String,
}

impl Picture {
    /// `what` is drawn, and has to change whenever the picture might.
    pub fn new(what: &str, wish: CanvasWish, is_settled: bool) -> PageResult<Self> {
        let key = format!("{what} {wish:?}");
        let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&key)[..12]));
        let caching = if is_settled {
            "private, max-age=31536000, immutable"
        } else {
            "private, no-cache"
        };
        Ok(Self {
            headers: [
                (header::ETAG, HeaderValue::from_str(&etag).map_err(anyhow::Error::new)?),
                (header::CACHE_CONTROL, HeaderValue::from_static(caching)),
            ],
            key,
            etag,
        })
    }

    /// The answer without drawing: the browser has it, or we still do.
    pub fn kept(&self, asked: &HeaderMap, charts: &ChartCache) -> Option<Response> {
        let known = asked.get(header::IF_NONE_MATCH);
        if known.is_some_and(|known| known == self.etag.as_str()) {
            return Some((StatusCode::NOT_MODIFIED, self.headers.clone()).into_response());
        }
        Some(self.answer(charts.get(&self.key)?))
    }

    /// The answer with a fresh drawing, which is kept.
    pub async fn draw(
        self,
        charts: &ChartCache,
        draw: impl FnOnce() -> Result<Vec<u8>, ChartError> + Send + 'static,
    ) -> PageResult<Response> {
        let drawing = tokio::task::spawn_blocking(move || {
            let started = Instant::now();
            (draw(), started.elapsed())
        });
        let (drawn, took) = drawing.await.map_err(anyhow::Error::new)?;
        let png = match drawn {
            Ok(png) => Bytes::from(png),
            Err(error @ ChartError::Size { .. }) => return Err(Error::refused(error.to_string())),
            Err(error) => return Err(Error::Fault(error.into())),
        };
        charts.put(self.key.clone(), png.clone());
        let mut response = self.answer(png);
        if let Ok(value) = HeaderValue::try_from(format!("draw;dur={:.3}", took.as_secs_f64() * 1000.0)) {
            response.headers_mut().append(SERVER_TIMING, value);
        }
        Ok(response)
    }

    fn answer(&self, png: Bytes) -> Response {
        (self.headers.clone(), [(header::CONTENT_TYPE, "image/png")], png).into_response()
    }
}
