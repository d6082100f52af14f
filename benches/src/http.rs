//! Just enough HTTP/1.1 for pages and forms: one connection a request, bodies by `Content-Length` or until the end.

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;

/// Where pgassay answers, and as whom it is asked there.
#[derive(Clone)]
pub struct Site {
    pub address: String,
    /// The session of somebody who is signed in, as browsers send it; none where nobody signs in.
    pub cookie: Option<String>,
}

impl Site {
    /// The first lines of a request on a connection of its own.
    fn head(&self, method: &str, path: &str) -> String {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
            self.address
        );
        if let Some(cookie) = &self.cookie {
            head.extend(["Cookie: ", cookie, "\r\n"]);
        }
        head
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).expect("pgassay listens")
    }
}

/// An answer with the headers that are looked at here.
pub struct Answer {
    pub status: u16,
    head: String,
    pub n_bytes: usize,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.head.lines().filter_map(move |line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// A part of `Server-Timing`, in milliseconds.
    pub fn timing_ms(&self, part: &str) -> Option<f64> {
        self.headers("server-timing")
            .flat_map(|value| value.split(','))
            .find_map(|entry| entry.trim().strip_prefix(part)?.strip_prefix(";dur=")?.parse().ok())
    }
}

pub fn get(site: &Site, path: &str) -> Answer {
    let mut stream = site.connect();
    write!(stream, "{}\r\n", site.head("GET", path)).expect("sending");
    read(stream)
}

/// The body of an answer that must be good.
pub fn text(site: &Site, path: &str) -> String {
    let mut stream = site.connect();
    write!(stream, "{}\r\n", site.head("GET", path)).expect("sending");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("reading an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    assert!(head.contains(" 200 "), "{path}: {head}");
    body.to_owned()
}

/// Posts a form and returns where it leads.
pub fn post(site: &Site, path: &str, pairs: &[(&str, &str)]) -> String {
    led_to(path, &send(site, path, "", pairs))
}

/// Posts a form by which somebody comes in, from an address that a proxy names, and returns the cookie of the session.
pub fn enter(site: &Site, path: &str, from: &str, pairs: &[(&str, &str)]) -> String {
    let answer = send(site, path, &format!("X-Forwarded-For: {from}\r\n"), pairs);
    led_to(path, &answer);
    let given = answer.header("set-cookie").expect("who comes in gets a session");
    given.split(';').next().unwrap_or_default().to_owned()
}

fn send(site: &Site, path: &str, headers: &str, pairs: &[(&str, &str)]) -> Answer {
    let body: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
        .collect();
    let body = body.join("&");
    let mut stream = site.connect();
    write!(
        stream,
        "{}{headers}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        site.head("POST", path),
        body.len()
    )
    .expect("sending");
    read(stream)
}

/// Sends a file as a browser's form does, streaming it, and returns where it leads.
pub fn upload(site: &Site, path: &str, name: &str, file: &Path) -> String {
    const BOUNDARY: &str = "pgassay-bench-boundary";
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let tail = format!("\r\n--{BOUNDARY}--\r\n");
    let mut source = std::fs::File::open(file).expect("the file to upload");
    let n_bytes = source.metadata().expect("its size").len() + (head.len() + tail.len()) as u64;
    let mut stream = site.connect();
    write!(
        stream,
        "{}Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {n_bytes}\r\n\r\n{head}",
        site.head("POST", path)
    )
    .expect("sending");
    std::io::copy(&mut source, &mut stream).expect("sending a file");
    stream.write_all(tail.as_bytes()).expect("sending");
    led_to(path, &read(stream))
}

fn led_to(path: &str, answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{path} was refused: {}", answer.head);
    answer
        .header("location")
        .expect("a redirect leads somewhere")
        .to_owned()
}

fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("reading an answer");
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("an answer has a head");
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    Answer {
        status: status.expect("an answer has a status"),
        head,
        n_bytes: bytes.len() - end - 4,
    }
}

fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
