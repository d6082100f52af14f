//! What the server sends, as messages that are read where they lie. Memory is bounded whatever arrives.
//!
//! A message is its tag, its length with itself, its body (PostgreSQL's documentation, "Message Formats").

use std::io;

use crate::target::wire::Lost;
use crate::target::wire::stream::Stream;

/// What a connection reads at once, and what most answers fit into.
const BUFFER_BYTES: usize = 16 << 10;
/// The most that is kept of a message, of which more is wanted than its length.
pub const MOST_KEPT_BYTES: usize = 1 << 20;
/// Only messages of a few kinds may be longer; libpq believes the same length to be the sign of lost synchronisation.
const LONGEST_BYTES: usize = 30_000;
/// No value of PostgreSQL is longer than 1 GB, and no row.
const LONGEST_LONG_BYTES: usize = 1 << 30;
const HEADER_BYTES: usize = 5;

/// One message.
pub struct Message<'a> {
    pub tag: u8,
    /// Its body; the beginning of that, or nothing, where it is not whole.
    pub body: &'a [u8],
    pub is_whole: bool,
}

/// The bytes that have arrived and not been looked at.
pub struct Incoming {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// How much of a message that was passed on is still to come.
    n_to_skip: usize,
    /// How much has to lie there, from `start`, before the next message can be passed on.
    n_needed: usize,
}

impl Incoming {
    pub fn new() -> Self {
        Self {
            bytes: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            n_to_skip: 0,
            n_needed: HEADER_BYTES,
        }
    }

    /// The next message, or none before more has arrived. One that is longer than the buffer is passed on without its
    /// body as soon as it begins, unless it is an error or, with `keep_rows`, about rows: these are waited for.
    pub fn next(&mut self, keep_rows: bool) -> Result<Option<Message<'_>>, Lost> {
        if self.n_to_skip > 0 {
            let n_skipped = self.n_to_skip.min(self.end - self.start);
            self.n_to_skip -= n_skipped;
            self.start += n_skipped;
        }
        let Some((header, arrived)) = self.bytes[self.start..self.end].split_first_chunk::<HEADER_BYTES>() else {
            self.n_needed = HEADER_BYTES;
            return Ok(None);
        };
        let &[tag, a, b, c, d] = header;
        let length = body_bytes(tag, [a, b, c, d])?;
        if length <= arrived.len() {
            let body_start = self.start + HEADER_BYTES;
            self.start = body_start + length;
            return Ok(Some(Message {
                tag,
                body: &self.bytes[body_start..self.start],
                is_whole: true,
            }));
        }
        let n_kept = if is_kept(tag, keep_rows) {
            length.min(MOST_KEPT_BYTES)
        } else {
            0
        };
        if arrived.len() < n_kept {
            self.n_needed = HEADER_BYTES + n_kept;
            return Ok(None);
        }
        self.n_to_skip = length - arrived.len();
        let body_start = self.start + HEADER_BYTES;
        self.start = self.end;
        Ok(Some(Message {
            tag,
            body: &self.bytes[body_start..body_start + n_kept],
            is_whole: false,
        }))
    }

    /// Reads what there is from the server, and waits where there is nothing.
    pub async fn fill(&mut self, stream: &mut Stream) -> Result<(), Lost> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.bytes.len() - self.start < self.n_needed || self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.bytes.len() < self.n_needed {
            self.bytes.resize(self.n_needed, 0);
        }
        match stream.receive(&mut self.bytes[self.end..]).await {
            Ok(0) => Err(Lost::Closed),
            Ok(n_bytes) => {
                self.end += n_bytes;
                Ok(())
            }
            // A TLS session that ends without a farewell.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Lost::Closed),
            Err(error) => Err(Lost::Broke(error)),
        }
    }
}

/// How long the body of a message is, if anybody who speaks the protocol would send one like that.
fn body_bytes(tag: u8, length: [u8; 4]) -> Result<usize, Lost> {
    let whole = usize::try_from(i32::from_be_bytes(length)).unwrap_or(0);
    let longest = match tag {
        b'D' | b'T' | b'd' | b'E' | b'N' | b'A' => LONGEST_LONG_BYTES,
        b'1'..=b'3' | b'C' | b'G' | b'H' | b'I' | b'K' | b'R' | b'S' | b'Z' | b'c' | b'n' | b's' | b't' => {
            LONGEST_BYTES
        }
        _ => return Err(Lost::Garbage("it sends messages of no known kind")),
    };
    match whole.checked_sub(length.len()) {
        Some(body) if whole <= longest => Ok(body),
        _ => Err(Lost::Garbage("it sends a message of an impossible length")),
    }
}

/// Whether the body of a message is read, and not only that it came.
fn is_kept(tag: u8, keep_rows: bool) -> bool {
    match tag {
        b'D' | b'T' => keep_rows,
        b'd' | b'N' | b'A' => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use proptest::prelude::*;

    use super::*;

    /// Tag, beginning of the body, whole or not.
    type PassedOn = (u8, Vec<u8>, bool);

    /// What was passed on of bytes that arrive in pieces, and how much memory that took.
    fn passed_on(pieces: &[&[u8]], keep_rows: bool) -> (Vec<PassedOn>, usize, Lost) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let (mut ours, mut theirs) = pair();
            let mut incoming = Incoming::new();
            let mut messages = Vec::new();
            let sending = async move {
                for piece in pieces {
                    if theirs.send(piece).await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            };
            let reading = async {
                let lost = loop {
                    match incoming.next(keep_rows) {
                        Ok(Some(message)) => messages.push((message.tag, message.body.to_vec(), message.is_whole)),
                        Ok(None) => match incoming.fill(&mut ours).await {
                            Ok(()) => {}
                            Err(lost) => break lost,
                        },
                        Err(lost) => break lost,
                    }
                };
                drop(ours);
                lost
            };
            let (lost, ()) = tokio::join!(reading, sending);
            (messages, incoming.bytes.len(), lost)
        })
    }

    fn pair() -> (Stream, Stream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        for socket in [&ours, &theirs] {
            socket.set_nonblocking(true).unwrap();
        }
        (Stream::unix(ours).unwrap(), Stream::unix(theirs).unwrap())
    }

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[tag][..], &length.to_be_bytes(), body].concat()
    }

    #[test]
    fn memory_is_bounded_whatever_the_server_sends() {
        let chunk = vec![7; 64 << 10];
        let header = [&b"D"[..], &(900_u32 << 20).to_be_bytes()].concat();
        let mut pieces: Vec<&[u8]> = vec![&header];
        pieces.extend(std::iter::repeat_n(&chunk[..], 100));
        let (messages, n_bytes, lost) = passed_on(&pieces, false);
        assert_eq!((messages, n_bytes), (vec![(b'D', Vec::new(), false)], BUFFER_BYTES));
        assert!(matches!(lost, Lost::Closed));

        let (messages, n_bytes, _) = passed_on(&pieces, true);
        assert_eq!((messages.len(), messages[0].1.len()), (1, MOST_KEPT_BYTES));
        assert_eq!(n_bytes, MOST_KEPT_BYTES + HEADER_BYTES);
    }

    #[test]
    fn what_stands_behind_a_long_message_is_found() {
        for keep_rows in [false, true] {
            for n_bytes in [BUFFER_BYTES, MOST_KEPT_BYTES - 1, MOST_KEPT_BYTES, MOST_KEPT_BYTES + 1] {
                let sent = [
                    message(b'D', &vec![1; n_bytes]),
                    message(b'C', b"x"),
                    message(b'Z', b"I"),
                ]
                .concat();
                let (messages, _, _) = passed_on(&[&sent], keep_rows);
                let expected = [(b'C', b"x".to_vec(), true), (b'Z', b"I".to_vec(), true)];
                assert_eq!(messages[1..], expected, "{n_bytes}");
                assert_eq!(messages[0].2, keep_rows && n_bytes <= MOST_KEPT_BYTES, "{n_bytes}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn messages_are_the_same_however_the_bytes_arrive(
            sent in prop::collection::vec((prop::sample::select(&b"DTCZE2Nd"[..]), 0..30_000_usize), 1..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let long = b"DTENd";
            let length = |tag: &u8, n_bytes: usize| if long.contains(tag) { n_bytes } else { n_bytes % 100 };
            let messages = sent.iter().map(|(tag, n_bytes)| message(*tag, &vec![*tag; length(tag, *n_bytes)]));
            let bytes = messages.collect::<Vec<_>>().concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let (whole, _, _) = passed_on(&[&bytes], true);
            let (cut, _, _) = passed_on(&pieces, true);
            prop_assert_eq!(whole.len(), sent.len());
            prop_assert_eq!(whole.len(), cut.len());
            for (whole, cut) in whole.iter().zip(&cut) {
                // Of these only that they came is known for sure.
                prop_assert!(whole == cut || (b"Nd".contains(&whole.0) && whole.0 == cut.0));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), keep_rows: bool) {
            let (_, n_bytes, _) = passed_on(&[&bytes], keep_rows);
            prop_assert!(n_bytes <= MOST_KEPT_BYTES + HEADER_BYTES);
        }
    }
}
