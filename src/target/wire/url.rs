//! Addresses of servers as libpq reads them, `postgresql://user:password@host:port/database?name=value`: the parts that
//! matter to load. What is wrong with one is said without showing any of it, as its password could be anywhere.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::model::destination::Destinations;
use crate::target::secret::Password;
use crate::target::wire::dial::Dial;
use crate::target::wire::dial::Place;
use crate::target::wire::tls::Binding;
use crate::target::wire::tls::Roots;
use crate::target::wire::tls::Tls;
use crate::target::wire::tls::TlsMode;

const DEFAULT_PORT: u16 = 5432;
/// A server that says nothing for so long is away. libpq would wait for ever.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const APPLICATION_NAME: &str = "pgassay";

/// What libpq's users write for what is so here anyway: taken, and without effect.
const WITHOUT_EFFECT: [(&str, &[&str]); 3] = [
    ("gssencmode", &["disable", "prefer"]),
    ("target_session_attrs", &["any"]),
    ("client_encoding", &["UTF8", "utf8", "UTF-8", "utf-8", "auto"]),
];

/// What is wrong with an address: a sentence that shows nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UrlError(String);

/// The parts of an address, decoded. What is empty counts as not given.
#[derive(Default)]
struct Parts {
    user: Option<String>,
    password: Option<String>,
    host: Option<String>,
    port: Option<String>,
    database: Option<String>,
    tls_mode: Option<TlsMode>,
    binding: Option<Binding>,
    roots: Option<Roots>,
    application_name: Option<String>,
    options: Option<String>,
    connect_timeout: Option<Duration>,
}

impl Dial {
    /// Reads an address. Without a database it is the one of the user's name; without `sslmode` it is `prefer`.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let rest = ["postgresql://", "postgres://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme));
        let rest = rest.ok_or_else(|| {
            UrlError(
                "An address looks like postgresql://user:password@host:5432/database; this one begins otherwise."
                    .into(),
            )
        })?;
        let mut parts = Parts::default();
        let behind_credentials = parts.read_credentials(rest)?;
        let (before, query) = behind_credentials
            .split_once('?')
            .map_or((behind_credentials, ""), |(before, query)| (before, query));
        let (server, database) = before.split_once('/').unwrap_or((before, ""));
        if before.contains('@') {
            return wrong("In a user or a password the characters @ : / and ? are written %40 %3A %2F and %3F.");
        }
        parts.read_server(server)?;
        parts.database = given(database)?;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            parts.read_parameter(pair)?;
        }
        parts.dial()
    }
}

impl Parts {
    /// Reads what stands before an `@`, if there is one before the first slash, and returns the rest.
    fn read_credentials<'a>(&mut self, rest: &'a str) -> Result<&'a str, UrlError> {
        let Some(at) = rest.find(['@', '/']).filter(|at| rest[*at..].starts_with('@')) else {
            return Ok(rest);
        };
        let (user, password) = rest[..at].split_once(':').unwrap_or((&rest[..at], ""));
        self.user = given(user)?;
        self.password = given(password)?;
        Ok(&rest[at + 1..])
    }

    fn read_server(&mut self, server: &str) -> Result<(), UrlError> {
        if server.contains(',') {
            return wrong("The address names several hosts; please name one.");
        }
        let (host, port) = if let Some(bracketed) = server.strip_prefix('[') {
            let Some((host, behind)) = bracketed.split_once(']') else {
                return wrong("The host's address begins with [ and does not end with ].");
            };
            (host, behind.strip_prefix(':').unwrap_or(behind))
        } else {
            server.split_once(':').unwrap_or((server, ""))
        };
        self.host = given(host)?;
        self.port = given(port)?;
        Ok(())
    }

    fn read_parameter(&mut self, pair: &str) -> Result<(), UrlError> {
        let Some((name, value)) = pair.split_once('=') else {
            return wrong("Behind the ? stand pairs like sslmode=require, and & between them; one of them has no =.");
        };
        let (name, value) = (decode(name)?, given(value)?);
        let Some(value) = value else {
            return Ok(());
        };
        match &*name {
            "user" => self.user = Some(value),
            "password" => self.password = Some(value),
            "host" => self.host = Some(value),
            "port" => self.port = Some(value),
            "dbname" => self.database = Some(value),
            "application_name" => self.application_name = Some(value),
            "options" => self.options = Some(value),
            "sslmode" => self.tls_mode = Some(tls_mode(&value)?),
            "channel_binding" => self.binding = Some(binding(&value)?),
            "sslrootcert" if value == "system" => self.roots = Some(Roots::System),
            "sslrootcert" => self.roots = Some(Roots::File(PathBuf::from(value))),
            "connect_timeout" => self.connect_timeout = Some(timeout(&value)?),
            _ => {
                let is_harmless = |(known, values): &(&str, &[&str])| *known == name && values.contains(&&*value);
                if !WITHOUT_EFFECT.iter().any(is_harmless) {
                    return wrong(
                        "Behind the ? only host, port, user, password, dbname, sslmode, sslrootcert, channel_binding, \
                         application_name, options and connect_timeout are understood.",
                    );
                }
            }
        }
        Ok(())
    }

    fn dial(self) -> Result<Dial, UrlError> {
        let Some(user) = self.user else {
            return wrong("The address names no user: postgresql://user:password@host:5432/database.");
        };
        let Some(host) = self.host else {
            return wrong("The address names no host: postgresql://user:password@host:5432/database.");
        };
        let port = match self.port.as_deref().map(u16::from_str) {
            None => DEFAULT_PORT,
            Some(Ok(port)) if port > 0 => port,
            Some(_) => return wrong("The port is no number from 1 to 65535."),
        };
        let options = self.options.map(|options| ("options".to_owned(), options));
        Ok(Dial {
            place: Place::of(&host, port),
            password: self.password.as_deref().map_or(Password::None, Password::from),
            database: self.database.unwrap_or_else(|| user.clone()),
            user,
            tls: tls(self.tls_mode, self.roots.unwrap_or(Roots::Default), self.binding)?,
            application_name: self.application_name.unwrap_or_else(|| APPLICATION_NAME.to_owned()),
            settings: options.into_iter().collect(),
            connect_timeout: self.connect_timeout.unwrap_or(DEFAULT_CONNECT_TIMEOUT),
            destinations: Destinations::anywhere(),
        })
    }
}

/// As libpq has it, the authorities of a whole machine are too many to trust without a look at the host's name.
fn tls(mode: Option<TlsMode>, roots: Roots, binding: Option<Binding>) -> Result<Tls, UrlError> {
    let mode = match (mode, &roots) {
        (None, Roots::System) => TlsMode::VerifyFull,
        (mode, _) => mode.unwrap_or(TlsMode::Prefer),
    };
    if roots == Roots::System && mode != TlsMode::VerifyFull {
        return wrong("With sslrootcert=system only sslmode=verify-full says that it is the right server.");
    }
    if roots == Roots::Default && mode == TlsMode::VerifyCa {
        return wrong("For sslmode=verify-ca, sslrootcert names the file of the authority's certificate.");
    }
    Ok(Tls::new(mode, roots, binding.unwrap_or(Binding::Preferred)))
}

fn tls_mode(word: &str) -> Result<TlsMode, UrlError> {
    match TlsMode::ALL.into_iter().find(|mode| mode.word() == word) {
        Some(mode) => Ok(mode),
        None => wrong("sslmode is one of disable, allow, prefer, require, verify-ca and verify-full."),
    }
}

fn binding(word: &str) -> Result<Binding, UrlError> {
    Ok(match word {
        "prefer" => Binding::Preferred,
        "require" => Binding::Required,
        "disable" => Binding::Never,
        _ => return wrong("channel_binding is one of disable, prefer and require."),
    })
}

/// Whole seconds; libpq's 0 means for ever, which nobody waits.
fn timeout(seconds: &str) -> Result<Duration, UrlError> {
    match seconds.parse() {
        Ok(0) => Ok(DEFAULT_CONNECT_TIMEOUT),
        Ok(seconds) => Ok(Duration::from_secs(u64::from(u32::min(seconds, 3600)))),
        Err(_) => wrong("connect_timeout is a whole number of seconds."),
    }
}

/// The decoded text, if there is any.
fn given(text: &str) -> Result<Option<String>, UrlError> {
    Ok(Some(decode(text)?).filter(|text| !text.is_empty()))
}

/// Replaces `%40` and the like.
fn decode(text: &str) -> Result<String, UrlError> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part
            .get(..2)
            .filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match code.map(|code| u8::from_str_radix(code, 16)) {
            Some(Ok(byte @ 1..)) => bytes.push(byte),
            _ => return wrong("Two hexadecimal digits, and not 00, stand behind each %; a % itself is written %25."),
        }
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).or_else(|_| wrong("What is written with % is no text in UTF-8."))
}

fn wrong<T>(sentence: &str) -> Result<T, UrlError> {
    Err(UrlError(sentence.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial(url: &str) -> Dial {
        Dial::from_url(url).unwrap()
    }

    fn given(dial: &Dial) -> Option<&str> {
        match &dial.password {
            Password::Given(password) => Some(password),
            Password::None | Password::Secret(_) => None,
        }
    }

    fn tcp(host: &str, port: u16) -> Place {
        Place::Tcp {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn an_address_is_read_as_libpq_reads_it() {
        let dial = dial(
            "postgresql://m%40x:p%3Aw%2F%C3%BC:x@db.example.org:6543/my%20db?sslmode=disable&application_name=load&\
             options=-c%20a%3Db&connect_timeout=3",
        );
        assert_eq!(dial.place, tcp("db.example.org", 6543));
        assert_eq!((&*dial.user, given(&dial)), ("m@x", Some("p:w/ü:x")));
        assert_eq!((&*dial.database, &*dial.application_name), ("my db", "load"));
        assert_eq!(dial.settings, [("options".to_owned(), "-c a=b".to_owned())]);
        assert_eq!(
            (dial.connect_timeout, dial.tls.mode),
            (Duration::from_secs(3), TlsMode::Disable)
        );
    }

    #[test]
    fn what_an_address_leaves_out_is_as_with_libpq() {
        let dial = dial("postgres://me@host");
        assert_eq!(
            (&dial.place, &*dial.database, given(&dial)),
            (&tcp("host", 5432), "me", None)
        );
        assert_eq!((dial.tls.mode, dial.tls.binding), (TlsMode::Prefer, Binding::Preferred));
    }

    #[test]
    fn a_host_is_a_name_an_address_or_a_directory() {
        let unix = |dir: &str, port| Place::Unix {
            dir: PathBuf::from(dir),
            port,
        };
        for (url, place) in [
            ("postgres://me@[::1]/db", tcp("::1", 5432)),
            ("postgres://me@[fe80::1]:7/db", tcp("fe80::1", 7)),
            ("postgres://me@%2Fvar%2Frun:7/db", unix("/var/run", 7)),
            ("postgres://me@localhost:7/db?host=/var/run", unix("/var/run", 7)),
            ("postgres:///db?host=h&port=8&user=me", tcp("h", 8)),
        ] {
            assert_eq!(dial(url).place, place, "{url}");
        }
        assert_eq!(dial("postgres:///?host=h&user=me&password=pw&dbname=d").database, "d");
        assert_eq!(tcp("::1", 5).to_string(), "[::1]:5");
    }

    #[test]
    fn certificates_are_checked_as_libpq_would() {
        let tls = |params: &str| Dial::from_url(&format!("postgres://me@h/d?{params}")).map(|dial| dial.tls.mode);
        assert_eq!(tls("sslrootcert=system"), Ok(TlsMode::VerifyFull));
        assert_eq!(tls("sslmode=verify-full"), Ok(TlsMode::VerifyFull));
        assert_eq!(tls("sslmode=verify-ca&sslrootcert=/a.pem"), Ok(TlsMode::VerifyCa));
        assert!(tls("sslmode=verify-ca").is_err());
        assert!(tls("sslmode=require&sslrootcert=system").is_err());
    }

    #[test]
    fn refusals_say_what_to_do_and_show_nothing_of_the_address() {
        let secret = "s3cret";
        for (url, says) in [
            ("s3cret", "begins otherwise"),
            ("mysql://me:s3cret@h/d", "begins otherwise"),
            ("postgres://me:s3cret@/d", "names no host"),
            ("postgres://:s3cret@h/d", "names no user"),
            ("postgres://h/s3cret", "names no user"),
            ("postgres://me:s3/s3cret@h/d", "%2F"),
            ("postgres://me:5/s3cret@h/d", "%2F"),
            ("postgres://me@h:s3cret/d", "port"),
            ("postgres://me@h:0/d?password=s3cret", "port"),
            ("postgres://me@h:65536/d?password=s3cret", "port"),
            ("postgres://me:s3cret@a,b/d", "several hosts"),
            ("postgres://me:s3cret%@h/d", "%25"),
            ("postgres://me:s3cret%0@h/d", "%25"),
            ("postgres://me:s3cret%00@h/d", "00"),
            ("postgres://me:s3cret%+1@h/d", "%25"),
            ("postgres://me:s3cret%aü@h/d", "%25"),
            ("postgres://me:s3cret%ff@h/d", "UTF-8"),
            ("postgres://me:s3cret@[::1/d", "]"),
            ("postgres://me@h/d?s3cret", "no ="),
            ("postgres://me@h/d?s3cret=1", "understood"),
            ("postgres://me@h/d?gssencmode=s3cret", "understood"),
            ("postgres://me@h/d?sslmode=s3cret", "verify-full"),
            ("postgres://me@h/d?channel_binding=s3cret", "channel_binding"),
            ("postgres://me@h/d?connect_timeout=s3cret", "seconds"),
        ] {
            let refusal = Dial::from_url(url).unwrap_err().to_string();
            assert!(refusal.contains(says), "{url}: {refusal}");
            assert!(!refusal.contains(secret), "{url}: {refusal}");
        }
    }

    #[test]
    fn the_password_is_not_in_what_is_written_for_debugging() {
        let dial = dial("postgres://me:s3cret@h/d");
        let written = format!("{dial:?}");
        assert!(written.contains("\"me\"") && !written.contains("s3cret"), "{written}");
    }
}
