//! How a browser wants its pages: in which theme, and with which percentiles where an address names none. The browser keeps
//! that itself, in a cookie, so it holds before somebody signs in, too, and for nobody else.

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;

use crate::report::benchmark::Percentiles;
use crate::report::chart::Theme;
use crate::web::cookies;

/// What one browser prefers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preferences {
    /// None for that of the system.
    pub theme: Option<Theme>,
    pub percentiles: Percentiles,
}

tokio::task_local! {
    static CURRENT: Preferences;
}

impl Preferences {
    /// Of the request that is being answered; the usual ones outside of any.
    pub fn current() -> Self {
        CURRENT.try_with(Self::clone).unwrap_or_default()
    }

    /// As the cookie has them. It may say anything, and what it says wrongly is as usual.
    fn read(headers: &HeaderMap) -> Self {
        let mut read = Self::default();
        for (name, value) in form_urlencoded::parse(cookies::preferences(headers).unwrap_or_default().as_bytes()) {
            match &*name {
                "theme" => read.theme = theme(&value),
                "percentiles" => read.percentiles = Percentiles::parse(&value).unwrap_or_default(),
                _ => {}
            }
        }
        read
    }

    /// For the cookie.
    pub fn to_text(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .append_pair("theme", self.theme_word())
            .append_pair("percentiles", &self.percentiles.to_text())
            .finish()
    }

    /// The word of the theme, as the frame of every page has it; empty for that of the system.
    pub fn theme_word(&self) -> &'static str {
        match self.theme {
            None => "",
            Some(Theme::Light) => "light",
            Some(Theme::Dark) => "dark",
        }
    }

    /// The themes that pages may be shown in, as browsers are told before they have read the style.
    pub fn color_scheme(&self) -> &'static str {
        match self.theme {
            None => "light dark",
            Some(_) => self.theme_word(),
        }
    }

    /// The condition under which a page shows the dark one of two pictures.
    pub fn dark_media(&self) -> &'static str {
        match self.theme {
            None => "(prefers-color-scheme: dark)",
            Some(Theme::Light) => "not all",
            Some(Theme::Dark) => "all",
        }
    }
}

/// The theme of that word; that of the system for any other.
pub fn theme(word: &str) -> Option<Theme> {
    match word {
        "light" => Some(Theme::Light),
        "dark" => Some(Theme::Dark),
        _ => None,
    }
}

/// Lets whatever answers a request know what the browser prefers.
pub async fn know(request: Request, next: Next) -> Response {
    let preferences = Preferences::read(request.headers());
    CURRENT.scope(preferences, next.run(request)).await
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use axum::http::header;

    use super::*;

    fn sent(cookie: &str) -> Preferences {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_str(cookie).unwrap());
        Preferences::read(&headers)
    }

    #[test]
    fn what_a_browser_prefers_comes_back_and_nonsense_is_as_usual() {
        let odd = Preferences {
            theme: Some(Theme::Dark),
            percentiles: Percentiles::parse("50, 99.9").unwrap(),
        };
        for preferences in [Preferences::default(), odd] {
            let text = preferences.to_text();
            assert!(
                !text.contains([',', ';', ' ', '"', '\\']),
                "RFC 6265 allows none of them: {text}"
            );
            assert_eq!(sent(&format!("a=b; preferences={text}")), preferences);
        }
        for nonsense in [
            "a=b",
            "preferences=",
            "preferences=theme=pink&percentiles=many",
            "preferences=%ff",
        ] {
            assert_eq!(sent(nonsense), Preferences::default(), "{nonsense}");
        }
    }
}
