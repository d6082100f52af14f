//! Just enough HTTP/1.1 for pages and forms: one connection a request, bodies by `Content-Length` or until the end.

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;

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

pub fn get(address: &str, path: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("pgassay listens");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .expect("sending");
    read(stream)
}

/// The body of an answer that must be good.
pub fn text(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("pgassay listens");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .expect("sending");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("reading an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    assert!(head.contains(" 200 "), "{path}: {head}");
    body.to_owned()
}

/// Posts a form and returns where it leads.
pub fn post(address: &str, path: &str, pairs: &[(&str, &str)]) -> String {
    let body: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
        .collect();
    let body = body.join("&");
    let mut stream = TcpStream::connect(address).expect("pgassay listens");
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("sending");
    led_to(path, &read(stream))
}

/// Sends a file as a browser's form does, streaming it, and returns where it leads.
pub fn upload(address: &str, path: &str, name: &str, file: &Path) -> String {
    const BOUNDARY: &str = "pgassay-bench-boundary";
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let tail = format!("\r\n--{BOUNDARY}--\r\n");
    let mut source = std::fs::File::open(file).expect("the file to upload");
    let size = source.metadata().expect("its size").len() + (head.len() + tail.len()) as u64;
    let mut stream = TcpStream::connect(address).expect("pgassay listens");
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {size}\r\n\r\n{head}"
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
