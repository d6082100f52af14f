//! A server that speaks just enough of PostgreSQL's protocol for psql to hand it a script. It executes nothing: it writes
//! down what it is sent, and takes the data of every COPY.

use std::fs;
use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;

use crate::testing::scratch;

use super::blank;

/// What psql sends for a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    Query(String),
    /// All the data of one COPY, without the end mark.
    Data(String),
}

/// Between two scripts psql sends this.
const NEXT: &str = "next";

const STARTUP: u32 = 3 << 16;

pub struct Oracle {
    dir: PathBuf,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Oracle {
    pub fn start() -> Self {
        let dir = scratch::dir();
        let listener = UnixListener::bind(dir.join(".s.PGSQL.5432")).unwrap();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let oracle = Self {
            dir,
            sent: Arc::clone(&sent),
        };
        std::thread::spawn(move || {
            // A `\connect` opens the new connection before it closes the old one.
            for stream in listener.incoming() {
                let sent = Arc::clone(&sent);
                std::thread::spawn(move || serve(&mut stream.unwrap(), &sent));
            }
        });
        oracle
    }

    /// What psql says of its version.
    pub fn version() -> String {
        let output = Command::new("psql").arg("--version").output();
        String::from_utf8(output.expect("psql, which .ci/setup --test installs").stdout).unwrap()
    }

    /// What one psql sends for each of the scripts.
    pub fn ask(&self, scripts: &[String]) -> Vec<Vec<Sent>> {
        let mut psql = Command::new("psql");
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--username=someone",
            "--dbname=some",
            "--host",
        ])
        .arg(&self.dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("PGCLIENTENCODING", "UTF8")
        .current_dir(&self.dir)
        .stdin(Stdio::null());
        for (idx, script) in scripts.iter().enumerate() {
            let path = self.dir.join(format!("{idx}.sql"));
            fs::write(&path, script).unwrap();
            psql.arg("--file").arg(path).args(["--command", NEXT]);
        }
        let output = psql.output().expect("psql, which .ci/setup --test installs");
        let sent = std::mem::take(&mut *self.sent.lock().unwrap());
        let mut parts: Vec<Vec<Sent>> = sent
            .split(|sent| *sent == Sent::Query(NEXT.to_owned()))
            .map(<[Sent]>::to_vec)
            .collect();
        assert_eq!(parts.pop(), Some(Vec::new()), "{output:?}");
        assert_eq!(parts.len(), scripts.len(), "{output:?}");
        parts
    }
}

/// One connection, until psql leaves.
fn serve(stream: &mut UnixStream, sent: &Mutex<Vec<Sent>>) -> io::Result<()> {
    loop {
        let startup = body(stream)?;
        if startup.starts_with(&STARTUP.to_be_bytes()) {
            break;
        }
        // No encryption of either kind.
        stream.write_all(b"N")?;
    }
    let mut greeting = message(b'R', &0_u32.to_be_bytes());
    for (name, value) in [
        ("server_version", "15.0"),
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
    ] {
        greeting.extend(parameter(name, value));
    }
    greeting.extend(message(b'Z', b"I"));
    stream.write_all(&greeting)?;
    loop {
        let (kind, body) = typed(stream)?;
        match kind {
            b'Q' => {
                let query = text(body.strip_suffix(b"\0").unwrap());
                sent.lock().unwrap().push(Sent::Query(query.clone()));
                answer(stream, &query, sent)?;
            }
            b'X' => return Ok(()),
            other => panic!("psql sent a message of type {other}"),
        }
    }
}

fn answer(stream: &mut UnixStream, query: &str, sent: &Mutex<Vec<Sent>>) -> io::Result<()> {
    let words = words(query);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut reply = Vec::new();
    match words.as_slice() {
        [] => reply.extend(message(b'I', b"")),
        ["copy", table, rest @ ..] if !table.starts_with('(') && reads_from_us(rest) => {
            stream.write_all(&message(b'G', &[0, 0, 0]))?;
            let data = copy_data(stream)?;
            sent.lock().unwrap().push(Sent::Data(data));
            reply.extend(message(b'C', b"COPY 0\0"));
        }
        ["set" | "reset", ..] if words.contains(&"standard_conforming_strings") => {
            let is_off = matches!(words.last(), Some(&("off" | "'off'" | "false" | "no" | "0")));
            reply.extend(parameter(
                "standard_conforming_strings",
                if is_off { "off" } else { "on" },
            ));
            reply.extend(message(b'C', b"SET\0"));
        }
        [NEXT] => {
            reply.extend(parameter("standard_conforming_strings", "on"));
            reply.extend(message(b'C', b"OK\0"));
        }
        _ => reply.extend(message(b'C', b"OK\0")),
    }
    reply.extend(message(b'Z', b"I"));
    stream.write_all(&reply)
}

/// `stdout` means the same.
fn reads_from_us(words: &[&str]) -> bool {
    words
        .windows(2)
        .any(|pair| pair[0] == "from" && matches!(pair[1], "stdin" | "stdout"))
}

fn copy_data(stream: &mut UnixStream) -> io::Result<String> {
    let mut data = Vec::new();
    loop {
        match typed(stream)? {
            (b'd', body) => data.extend(body),
            (b'c' | b'f', _) => break,
            (other, _) => panic!("psql sent a message of type {other} in the data of a COPY"),
        }
    }
    let data = text(&data);
    // Before version 18 psql sends the end mark along, and leaves it to the server where a file ends behind it.
    let without_mark = ["\\.\n", "\\.\r\n", "\\.", "\\.\r"].iter().find_map(|mark| {
        let rest = data.strip_suffix(mark)?;
        (rest.is_empty() || rest.ends_with('\n')).then_some(rest)
    });
    Ok(without_mark.unwrap_or(&data).to_owned())
}

/// The words of a simple statement in lower case, without comments and without its semicolon.
fn words(query: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = blank::skip(query);
    while !rest.is_empty() {
        let len = rest
            .find([' ', '\t', '\n', '\r', ';', '/'])
            .unwrap_or(rest.len())
            .max(1);
        words.push(rest[..len].to_ascii_lowercase());
        rest = blank::skip(&rest[len..]);
    }
    words
}

fn typed(stream: &mut UnixStream) -> io::Result<(u8, Vec<u8>)> {
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    Ok((kind[0], body(stream)?))
}

fn body(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let mut body = vec![0; u32::from_be_bytes(len) as usize - len.len()];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 4).unwrap();
    [&[kind], len.to_be_bytes().as_slice(), body].concat()
}

fn parameter(name: &str, value: &str) -> Vec<u8> {
    message(b'S', format!("{name}\0{value}\0").as_bytes())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
