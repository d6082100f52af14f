//! The cookies: of a browser that is signed in, of one that was shown something by a link, and what a browser prefers.

use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header;

use crate::auth::token::Token;
use crate::auth::token::TokenKind;
use crate::auth::token::TokenText;
use crate::store::sessions;

/// Browsers refuse this prefix without `Secure` (RFC 6265bis, section 4.1.3.2), and let no subdomain set such a cookie.
const SECURE_SESSION: &str = "__Host-session";
const SESSION: &str = "session";
const LINK: &str = "link";
const PREFERENCES: &str = "preferences";
/// Browsers keep no cookie for longer than 400 days (RFC 6265bis, section 5.5).
const PREFERENCES_AGE_S: u64 = 400 * 24 * 60 * 60;

fn session_name(is_https: bool) -> &'static str {
    if is_https { SECURE_SESSION } else { SESSION }
}

/// The token of the session that a browser says it has.
pub fn session(headers: &HeaderMap, is_https: bool) -> Option<Token> {
    Token::parse(TokenKind::Session, named(headers, session_name(is_https))?).ok()
}

/// The token of the link by which a browser came to what it asks for.
pub fn link(headers: &HeaderMap) -> Option<Token> {
    Token::parse(TokenKind::Link, named(headers, LINK)?).ok()
}

/// Gives a browser its session.
pub fn give_session(text: &TokenText, is_https: bool) -> anyhow::Result<HeaderValue> {
    let age_s = sessions::MOST.as_secs();
    cookie(session_name(is_https), text.expose(), "/", age_s, is_https)
}

/// Takes a browser's session away.
pub fn take_session(is_https: bool) -> anyhow::Result<HeaderValue> {
    cookie(session_name(is_https), "", "/", 0, is_https)
}

/// Gives a browser a link, for the thing at this path and what lies below it.
pub fn give_link(text: &TokenText, path: &str, is_https: bool) -> anyhow::Result<HeaderValue> {
    let age_s = sessions::MOST.as_secs();
    cookie(LINK, text.expose(), path, age_s, is_https)
}

/// What a browser says that it prefers.
pub fn preferences(headers: &HeaderMap) -> Option<&str> {
    named(headers, PREFERENCES)
}

/// Has a browser keep what it prefers.
pub fn give_preferences(text: &str, is_https: bool) -> anyhow::Result<HeaderValue> {
    cookie(PREFERENCES, text, "/", PREFERENCES_AGE_S, is_https)
}

fn cookie(name: &str, value: &str, path: &str, age_s: u64, is_https: bool) -> anyhow::Result<HeaderValue> {
    let secure = if is_https { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path={path}; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}");
    let mut value = HeaderValue::try_from(text)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The first cookie of that name: browsers send the one with the longest path first.
fn named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let sent = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut pairs = sent
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.split_once('='));
    pairs.find(|(own, _)| own.trim() == name).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_comes_back_under_the_name_it_was_given() {
        for is_https in [false, true] {
            let token = Token::random(TokenKind::Session).unwrap();
            let given = give_session(&token.text(), is_https).unwrap();
            let given = given.to_str().unwrap();
            assert_eq!(given.contains("; Secure"), is_https);
            assert_eq!(given.starts_with("__Host-"), is_https);
            assert!(given.contains("; Path=/; ") && given.contains("; HttpOnly; SameSite=Lax"));
            let (pair, _) = given.split_once(';').unwrap();
            let mut headers = HeaderMap::new();
            headers.insert(
                header::COOKIE,
                HeaderValue::from_str(&format!("a=b; {pair}; link=x")).unwrap(),
            );
            let found = session(&headers, is_https).unwrap();
            assert_eq!(found.hashed(), token.hashed());
            assert!(session(&headers, !is_https).is_none(), "the other name does not count");
            assert!(link(&headers).is_none(), "x is no token");
        }
    }

    #[test]
    fn a_link_is_for_its_thing_alone_and_a_session_taken_is_gone_at_once() {
        let token = Token::random(TokenKind::Link).unwrap();
        let given = give_link(&token.text(), "/results/7", true).unwrap();
        assert!(given.to_str().unwrap().contains("; Path=/results/7; "));
        let taken = take_session(true).unwrap();
        assert!(
            taken
                .to_str()
                .unwrap()
                .starts_with("__Host-session=; Path=/; Max-Age=0;")
        );
    }
}
