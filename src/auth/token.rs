//! Tokens: 256 bits of chance by which a browser, a program or a person is known again, and what is stored of them.
//!
//! The store has the SHA-256 of a token and nothing else. A slow hash, as passwords need it, would guard what nobody can
//! guess.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rand::TryRng as _;
use sha2::Digest as _;
use sha2::Sha256;

use crate::model::hashed::Hashed;

const TOKEN_BYTES: usize = 32;
/// Of those bytes in base64url (RFC 4648, section 5), without padding.
const BODY_CHARS: usize = 43;
/// What every API token begins with, so that whoever searches files for forgotten tokens knows one when he sees one.
pub const API_PREFIX: &str = "pgassay_";
const CHECKSUM_CHARS: usize = 6;
/// Of the body, shown beside an API token in lists: 36 of its 256 bits.
const SHOWN_CHARS: usize = 6;

/// The text of a token, which only one reader shall have. It cannot be printed by accident: it has no `Display`, and its
/// `Debug` is mute.
pub struct TokenText(String);

impl TokenText {
    /// The text itself, for the one place that hands it over.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(not shown)")
    }
}

/// What a token is good for. It goes into the hash, so that one kind never stands in for another, whatever table it is
/// looked up in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// In a cookie: a browser that is signed in.
    Session,
    /// In a header: a program.
    Api,
    /// In an address: whoever has it may make one account.
    Invitation,
    /// In an address: whoever has it may read one thing.
    Link,
    /// Printed at start: whoever has it makes the first admin.
    Setup,
}

impl TokenKind {
    /// Goes into stored hashes, so it never changes.
    fn word(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Api => "api",
            Self::Invitation => "invitation",
            Self::Link => "link",
            Self::Setup => "setup",
        }
    }
}

/// The system has no random numbers: a fault, and nothing is made from worse ones.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoChance;

/// A text that is no token of the kind asked for. Says nothing about whether such a token exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("This is not a token of pgassay.")]
    NotOne,
    /// Only of API tokens, which have a checksum: nobody who guesses would send this.
    #[error("This token is incomplete or mistyped: its last characters do not fit the others.")]
    Mistyped,
}

/// A token in memory: just made, or read from what a client sent. Whether it is good, the store knows.
#[derive(Clone, Copy)]
pub struct Token {
    kind: TokenKind,
    bytes: [u8; TOKEN_BYTES],
}

impl Token {
    /// A new one from the system's generator.
    pub fn random(kind: TokenKind) -> Result<Self, NoChance> {
        let mut bytes = [0; TOKEN_BYTES];
        rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|_| NoChance)?;
        Ok(Self { kind, bytes })
    }

    /// Reads what a client sent as a token of this kind.
    pub fn parse(kind: TokenKind, text: &str) -> Result<Self, TokenError> {
        let body = match kind {
            TokenKind::Api => api_body(text)?,
            TokenKind::Session | TokenKind::Invitation | TokenKind::Link | TokenKind::Setup => text,
        };
        if body.len() != BODY_CHARS {
            return Err(TokenError::NotOne);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(body).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        Ok(Self {
            kind,
            bytes: bytes.ok_or(TokenError::NotOne)?,
        })
    }

    /// The text to hand over, once.
    pub fn text(&self) -> TokenText {
        let body = self.body();
        TokenText(match self.kind {
            TokenKind::Api => {
                let text = format!("{API_PREFIX}{body}");
                let checksum = checksum(&text);
                text + &checksum
            }
            TokenKind::Session | TokenKind::Invitation | TokenKind::Link | TokenKind::Setup => body,
        })
    }

    /// What the store has of it.
    pub fn hashed(&self) -> Hashed {
        let mut hash = Sha256::new();
        hash.update(self.kind.word());
        // No word has one, so no two kinds and bytes give one text.
        hash.update([0]);
        hash.update(self.bytes);
        Hashed(hash.finalize().into())
    }

    /// What is shown of an API token in lists, for its owner to tell it from others.
    pub fn shown_prefix(&self) -> String {
        format!("{API_PREFIX}{}", &self.body()[..SHOWN_CHARS])
    }

    fn body(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.bytes)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:?}, not shown)", self.kind)
    }
}

/// The part of an API token between its prefix and its checksum, which fits.
fn api_body(text: &str) -> Result<&str, TokenError> {
    let behind = text.strip_prefix(API_PREFIX).ok_or(TokenError::NotOne)?;
    let (Some(body), Some(given)) = (behind.get(..BODY_CHARS), behind.get(BODY_CHARS..)) else {
        return Err(TokenError::Mistyped);
    };
    if checksum(&text[..API_PREFIX.len() + BODY_CHARS]) != given {
        return Err(TokenError::Mistyped);
    }
    Ok(body)
}

/// The first 36 bits of the SHA-256 of what stands before it. It guards against errors, not against people.
fn checksum(text: &str) -> String {
    let hash = Sha256::digest(text);
    let mut checksum = BASE64_URL_SAFE_NO_PAD.encode(&hash[..CHECKSUM_CHARS]);
    checksum.truncate(CHECKSUM_CHARS);
    checksum
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [TokenKind; 5] = [
        TokenKind::Session,
        TokenKind::Api,
        TokenKind::Invitation,
        TokenKind::Link,
        TokenKind::Setup,
    ];

    #[test]
    fn a_token_that_is_handed_over_comes_back_as_itself_and_as_no_other_kind() {
        for kind in KINDS {
            let token = Token::random(kind).unwrap();
            let text = token.text();
            let again = Token::parse(kind, text.expose()).unwrap();
            assert_eq!(again.hashed(), token.hashed(), "{kind:?}");
            assert_ne!(Token::random(kind).unwrap().hashed(), token.hashed(), "{kind:?}");
            for other in KINDS.into_iter().filter(|other| *other != kind) {
                let taken = Token::parse(other, text.expose()).map(|taken| taken.hashed());
                assert_ne!(taken, Ok(token.hashed()), "{kind:?} as {other:?}");
            }
        }
    }

    #[test]
    fn what_is_stored_and_handed_over_stays_as_it_is_today() {
        let token = |kind| Token { kind, bytes: [7; 32] };
        // Computed with Python's hashlib and base64.
        assert_eq!(hex::encode(token(TokenKind::Session).hashed().0), SESSION_OF_SEVENS);
        let body = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
        assert_eq!(token(TokenKind::Link).text().expose(), body);
        let api = format!("pgassay_{body}{CHECKSUM_OF_SEVENS}");
        assert_eq!(token(TokenKind::Api).text().expose(), api);
        assert_eq!(token(TokenKind::Api).shown_prefix(), "pgassay_BwcHBw");
    }

    const SESSION_OF_SEVENS: &str = "3a6122cb6c8b862f4aa73210f20c7542e34cb483188a76a55f31cc849e10e2f0";
    const CHECKSUM_OF_SEVENS: &str = "cMUxYY";

    #[test]
    fn a_typing_error_in_an_api_token_is_told_from_a_foreign_text() {
        let text = Token::random(TokenKind::Api).unwrap().text();
        let text = text.expose();
        let parse = |text: &str| Token::parse(TokenKind::Api, text).err();
        for idx in API_PREFIX.len()..text.len() {
            let mut typed = text.as_bytes().to_vec();
            typed[idx] = if typed[idx] == b'x' { b'y' } else { b'x' };
            let typed = String::from_utf8(typed).unwrap();
            assert_eq!(parse(&typed), Some(TokenError::Mistyped), "{idx}");
        }
        for typed in [&text[..text.len() - 1], &text[..20], API_PREFIX, &format!("{text}x")] {
            assert_eq!(parse(typed), Some(TokenError::Mistyped), "{typed}");
        }
        for foreign in ["", "ghp_0123456789", &text[API_PREFIX.len()..], &text.to_uppercase()] {
            assert_eq!(parse(foreign), Some(TokenError::NotOne), "{foreign}");
        }
        let umlauts = format!("{API_PREFIX}{}", "ä".repeat(40));
        assert_eq!(parse(&umlauts), Some(TokenError::Mistyped));
    }

    #[test]
    fn no_two_texts_are_one_token() {
        let body = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
        // The last character has two bits too many; only one of four stands for them.
        for last in ["d", "e", "f"] {
            let text = format!("{}{last}", &body[..42]);
            assert_eq!(Token::parse(TokenKind::Session, &text).err(), Some(TokenError::NotOne));
        }
        for text in [
            format!("{body}="),
            format!(" {body}"),
            body.replace('w', "+"),
            body[..42].to_owned(),
        ] {
            assert_eq!(
                Token::parse(TokenKind::Session, &text).err(),
                Some(TokenError::NotOne),
                "{text}"
            );
        }
    }

    #[test]
    fn nothing_of_a_token_is_printed_by_accident() {
        let token = Token::random(TokenKind::Api).unwrap();
        let text = token.text();
        let body = &text.expose()[API_PREFIX.len()..];
        for printed in [format!("{token:?}"), format!("{text:?}"), format!("{:#?}", Some(&text))] {
            assert!(
                !body
                    .as_bytes()
                    .windows(6)
                    .any(|part| printed.contains(std::str::from_utf8(part).unwrap())),
                "{printed}"
            );
        }
        let hashed = format!("{:?}", token.hashed());
        assert_eq!(hashed.len(), "Hashed(01234567…)".len(), "{hashed}");
    }
}
