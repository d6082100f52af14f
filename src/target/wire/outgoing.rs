//! What goes to the server: the messages of one statement, put together so that they leave in one write.
//!
//! Text that cannot be sent (a zero byte, more than PostgreSQL takes) is refused here, in a server's words.

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use crate::target::ServerError;
use crate::target::wire::params::Params;

/// More than a Bind message can count.
const TOO_MANY_PARAMETERS: &str = "54023";
const PROGRAM_LIMIT_EXCEEDED: &str = "54000";
/// What PostgreSQL answers to text that it cannot hold.
const CHARACTER_NOT_IN_REPERTOIRE: &str = "22021";
/// No message to the server may be longer; `PQ_LARGE_MESSAGE_LIMIT` of PostgreSQL is a byte less than 1 GB.
const LONGEST_BYTES: usize = (1 << 30) - 1;

/// Messages in a buffer that is used again.
pub struct Outgoing(BytesMut);

impl Outgoing {
    pub fn new() -> Self {
        Self(BytesMut::with_capacity(1 << 10))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The buffer, empty, for whatever else is to be sent.
    pub fn start(&mut self) -> &mut BytesMut {
        self.0.clear();
        &mut self.0
    }

    /// One or several statements by the simple protocol.
    pub fn simple(&mut self, sql: &str) -> Result<(), ServerError> {
        check_text(sql)?;
        let out = self.start();
        put(out, b'Q', |out| put_text(out, sql));
        Ok(())
    }

    /// Parses a statement under a name, which is given free first: a server that stops a Parse when it has done it (it counts
    /// the Sync behind it as part of the statement) keeps what it says has failed.
    pub fn prepare(&mut self, name: &str, sql: &str) -> Result<(), ServerError> {
        check_text(name)?;
        check_text(sql)?;
        let out = self.start();
        put(out, b'C', |out| {
            out.extend_from_slice(b"S");
            put_text(out, name);
        });
        put_parse(out, name, sql);
        frontend::sync(out);
        Ok(())
    }

    /// Parses and runs a statement.
    pub fn extended(&mut self, sql: &str, params: &Params, describe: bool) -> Result<(), ServerError> {
        check_text(sql)?;
        let count = check_params(params)?;
        let out = self.start();
        put_parse(out, "", sql);
        put_run(out, "", params, count, describe);
        Ok(())
    }

    /// Runs a statement that was parsed before.
    pub fn prepared(&mut self, name: &str, params: &Params, describe: bool) -> Result<(), ServerError> {
        check_text(name)?;
        let count = check_params(params)?;
        put_run(self.start(), name, params, count, describe);
        Ok(())
    }

    /// All rows that a server waits for, and their end.
    pub fn copy(&mut self, rows: &[u8]) {
        let out = self.start();
        for rows in rows.chunks(LONGEST_BYTES / 2) {
            put(out, b'd', |out| out.extend_from_slice(rows));
        }
        put(out, b'c', |_| {});
    }

    /// What a server that waits for rows gets in their place. By the extended protocol it has dropped the Sync that it
    /// found among them.
    pub fn no_copy(&mut self, is_extended: bool) {
        let out = self.start();
        put(out, b'f', |out| put_text(out, "pgassay has no rows to copy"));
        if is_extended {
            frontend::sync(out);
        }
    }
}

fn put_parse(out: &mut BytesMut, name: &str, sql: &str) {
    put(out, b'P', |out| {
        put_text(out, name);
        put_text(out, sql);
        // No type of a parameter is given: the server infers them.
        out.extend_from_slice(&0_u16.to_be_bytes());
    });
}

/// Bind, Execute and Sync, with Describe where the names of the columns are wanted. Everything is text, both ways.
fn put_run(out: &mut BytesMut, name: &str, params: &Params, count: u16, describe: bool) {
    put(out, b'B', |out| {
        // The portal without a name.
        out.extend_from_slice(&[0]);
        put_text(out, name);
        out.extend_from_slice(&0_u16.to_be_bytes());
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(params.encoded());
        out.extend_from_slice(&0_u16.to_be_bytes());
    });
    if describe {
        out.extend_from_slice(b"D\0\0\0\x06P\0");
    }
    // Execute the portal without a name, for all rows; Sync.
    out.extend_from_slice(b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04");
}

/// A message with its length, which counts itself.
fn put(out: &mut BytesMut, tag: u8, body: impl FnOnce(&mut BytesMut)) {
    out.extend_from_slice(&[tag, 0, 0, 0, 0]);
    let start = out.len();
    body(out);
    let length = u32::try_from(out.len() - start + 4).expect("texts and parameters were found short enough");
    out[start - 4..start].copy_from_slice(&length.to_be_bytes());
}

fn put_text(out: &mut BytesMut, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(&[0]);
}

fn check_text(text: &str) -> Result<(), ServerError> {
    if text.len() > LONGEST_BYTES / 2 {
        return Err(refused(PROGRAM_LIMIT_EXCEEDED, "a statement has at most 512 MB"));
    }
    if text.as_bytes().contains(&0) {
        return Err(refused(
            CHARACTER_NOT_IN_REPERTOIRE,
            "a statement cannot hold the character with the number 0",
        ));
    }
    Ok(())
}

fn check_params(params: &Params) -> Result<u16, ServerError> {
    if params.encoded().len() > LONGEST_BYTES / 2 {
        return Err(refused(
            PROGRAM_LIMIT_EXCEEDED,
            "the parameters of a statement have at most 512 MB together",
        ));
    }
    u16::try_from(params.count()).map_err(|_| refused(TOO_MANY_PARAMETERS, "a statement has at most 65,535 parameters"))
}

fn refused(sqlstate: &str, message: &str) -> ServerError {
    ServerError {
        sqlstate: sqlstate.to_owned(),
        message: message.to_owned(),
        position: None,
        is_fatal: false,
    }
}
