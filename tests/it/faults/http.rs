//! As much of a browser as can stop in the middle of sending.

use std::fmt::Write as _;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

/// Longer than any page takes.
const PATIENCE: Duration = Duration::from_mins(1);
const BOUNDARY: &str = "a-line-that-no-dump-holds";

/// What a server answers: status, head, body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// Where it leads to.
    pub fn location(&self) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix("location: "))
    }
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// None when the server ends without an answer.
fn read(mut stream: TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    // A connection that is reset behind an answer has answered.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some(Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

pub fn get(address: &str, path: &str) -> Option<Answer> {
    get_with(address, path, &[])
}

/// The same with more headers.
pub fn get_with(address: &str, path: &str, headers: &[(&str, &str)]) -> Option<Answer> {
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let mut stream = connect(address);
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n"
    )
    .ok()?;
    read(stream)
}

/// A part of a file on its way: which bytes of how many it says it is, and what it has sent of them.
pub struct Part {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Part {
    /// Sends the first `n_now` of the bytes.
    pub fn begin(address: &str, path: &str, first: usize, bytes: &[u8], total: usize, n_now: usize) -> Self {
        let mut stream = connect(address);
        let last = first + bytes.len() - 1;
        write!(
            stream,
            "PUT {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Range: bytes {first}-{last}/{total}\r\nContent-Length: {}\r\n\r\n",
            bytes.len()
        )
        .unwrap();
        let (now, later) = bytes.split_at(n_now);
        // What is refused is not read to its end.
        let _ = stream.write_all(now);
        Self {
            stream,
            rest: later.to_vec(),
        }
    }

    /// Sends the rest.
    pub fn finish(mut self) -> Option<Answer> {
        // As above.
        let _ = self.stream.write_all(&self.rest);
        read(self.stream)
    }
}

/// Sends a form and does not wait for the answer.
pub fn send_form(address: &str, path: &str, pairs: &[(&str, &str)]) -> TcpStream {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let body = pairs.join("&");
    let mut stream = connect(address);
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    stream
}

pub fn post(address: &str, path: &str, pairs: &[(&str, &str)]) -> Option<Answer> {
    read(send_form(address, path, pairs))
}

/// A file on its way.
pub struct Upload {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Upload {
    /// Sends the first half.
    pub fn begin(address: &str, path: &str, request_id: &str, name: &str, bytes: &[u8]) -> Self {
        let mut body = String::new();
        for (field, value) in [("request_id", request_id), ("name", "")] {
            write!(
                body,
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n"
            )
            .unwrap();
        }
        write!(
            body,
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
        )
        .unwrap();
        let mut first = body.into_bytes();
        let (now, later) = bytes.split_at(bytes.len() / 2);
        let rest = [later, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat();
        first.extend_from_slice(now);
        let mut stream = connect(address);
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {}\r\n\r\n",
            first.len() + rest.len()
        )
        .unwrap();
        // Refused uploads are not read to their end.
        let _ = stream.write_all(&first);
        Self { stream, rest }
    }

    /// Sends the other half.
    pub fn finish(mut self) -> Option<Answer> {
        // As above.
        let _ = self.stream.write_all(&self.rest);
        read(self.stream)
    }
}
