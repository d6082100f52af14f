//! A browser of somebody who is signed in: one connection that is kept open from page to page, and pictures that are asked for
//! once, because pgassay says that they never change. What cannot change at all (style, scripts) it has already.

use std::collections::HashSet;
use std::io;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use crate::http::Site;

pub struct Browser {
    /// With the reader's own cookie.
    site: Site,
    /// What a proxy would say of whom it asks for.
    from: String,
    connection: Option<BufReader<TcpStream>>,
    pictures: HashSet<String>,
}

/// What looking at one address took, from asking to the last byte.
pub struct Look {
    pub took: Duration,
    pub body: Vec<u8>,
    /// What was asked for is in it.
    pub is_good: bool,
}

impl Browser {
    pub fn new(site: Site, from: String) -> Self {
        Self {
            site,
            from,
            connection: None,
            pictures: HashSet::new(),
        }
    }

    /// Asks for something that is there: whoever gets anything else has been turned away.
    pub fn get(&mut self, path: &str) -> Look {
        let started = Instant::now();
        // A connection that was idle for long may be closed by now; nobody notices before it is used.
        let kept = self.connection.take().and_then(|kept| self.ask(kept, path).ok());
        let answer = kept.or_else(|| {
            let stream = TcpStream::connect(&self.site.address).ok()?;
            stream.set_nodelay(true).ok()?;
            self.ask(BufReader::new(stream), path).ok()
        });
        let (is_good, body) = answer.unwrap_or_default();
        Look {
            took: started.elapsed(),
            body,
            is_good,
        }
    }

    /// The address of a page's picture, where this browser has not seen it yet.
    pub fn new_picture(&mut self, page: &Look) -> Option<String> {
        let page = String::from_utf8_lossy(&page.body);
        let (_, behind) = page.split_once("<img src=\"/results/")?;
        let address = format!("/results/{}", behind.split('"').next()?);
        let address = address.replace("&#38;", "&").replace("&amp;", "&");
        self.pictures.insert(address.clone()).then_some(address)
    }

    fn ask(&mut self, mut connection: BufReader<TcpStream>, path: &str) -> io::Result<(bool, Vec<u8>)> {
        let (address, cookie) = (&self.site.address, self.site.cookie.as_deref().unwrap_or_default());
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nX-Forwarded-For: {}\r\nCookie: {cookie}\r\n\r\n",
            self.from
        );
        connection.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        connection.read_line(&mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let is_good = line.contains(" 200 ");
        let (mut n_bytes, mut is_kept) = (None, true);
        loop {
            line.clear();
            connection.read_line(&mut line)?;
            let head = line.trim().to_ascii_lowercase();
            if head.is_empty() {
                break;
            }
            if let Some(length) = head.strip_prefix("content-length:") {
                n_bytes = length.trim().parse().ok();
            }
            is_kept &= head != "connection: close";
        }
        let mut body = vec![0; n_bytes.unwrap_or_else(|| panic!("{path} does not say how long it is"))];
        connection.read_exact(&mut body)?;
        self.connection = is_kept.then_some(connection);
        Ok((is_good, body))
    }
}
