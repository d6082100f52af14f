//! Refuses names that are not ours: a foreign page that rebinds its name to this address gets nothing.

use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use axum::response::Response;

use crate::web::error::Error;
use crate::web::state::AllowedHosts;

/// Lets requests through that name us in `Host`.
pub async fn check(State(hosts): State<AllowedHosts>, request: Request, next: Next) -> Response {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let named = named.or_else(|| request.uri().authority().map(axum::http::uri::Authority::as_str));
    match named {
        Some(host) if is_allowed(&hosts.0, host) => next.run(request).await,
        _ => Error::Refused {
            status: StatusCode::MISDIRECTED_REQUEST,
            message: "This pgassay does not answer to that name. PGASSAY_ALLOWED_HOSTS lists further names.".to_owned(),
        }
        .into_response(),
    }
}

fn is_allowed(hosts: &[String], named: &str) -> bool {
    let name = match named.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => named,
    };
    hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_answered_whatever_the_port() {
        let hosts = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned);
        for (named, allowed) in [
            ("localhost", true),
            ("LOCALHOST:8000", true),
            ("127.0.0.1:8000", true),
            ("[::1]:8000", true),
            ("[::1]", true),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:8000", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(&hosts, named), allowed, "{named}");
        }
    }
}
