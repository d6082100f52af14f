//! What only looks like a server: nothing panics, nothing hangs.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::target::wire::ConnectError;
use crate::target::wire::Dial;
use crate::target::wire::Lost;
use crate::target::wire::Params;
use crate::target::wire::Ran;
use crate::target::wire::TlsMode;
use crate::target::wire::Wire;

/// Lets in, gives out a key, is ready.
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x01\0\0\0\x02Z\0\0\0\x05I";

/// What it does behind its last words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Closes,
    Waits,
}

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_mins(1);
/// So that what never works does not take long.
const IMPATIENCE: Duration = Duration::from_millis(200);

/// Something that waits for a message and then says the first of these, and so on. It is reached without TLS.
async fn talker(says: &[&[u8]], then: Then) -> Dial {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let says: Vec<Vec<u8>> = says.iter().map(|bytes| bytes.to_vec()).collect();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        for bytes in says {
            // Nobody who is here sends more than this at once.
            let n_bytes = client.read(&mut [0; 4096]).await.unwrap();
            assert!(n_bytes > 0, "a server hears a client out");
            // The other side may have gone by then.
            let _ = client.write_all(&bytes).await;
        }
        if then == Then::Waits {
            std::future::pending::<()>().await;
        }
    });
    let mut dial = Dial::from_url(&format!("postgres://a:b@127.0.0.1:{port}/c?sslmode=disable")).unwrap();
    dial.connect_timeout = PATIENCE;
    dial
}

fn message(tag: u8, length: u32, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

/// One that says its own length.
fn whole(tag: u8, body: &[u8]) -> Vec<u8> {
    message(tag, u32::try_from(body.len() + 4).unwrap(), body)
}

#[tokio::test]
async fn nonsense_in_place_of_a_greeting_is_refused_at_once() {
    let sentence = |error: ConnectError| error.to_string();
    for says in [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        b"\0\0\0\0\0\0\0\0".to_vec(),
        message(b'R', 0, b""),
        message(b'R', 3, b""),
        message(b'R', u32::MAX, b""),
        message(b'R', 1 << 30, b""),
        message(b'R', 4, b""),
        message(b'R', 8, &[0, 0, 0, 77]),
        message(b'R', 10, &[0, 0, 0, 5, 1, 2]),
        // A proof of a password that was never asked for, the end of one that never began.
        message(b'R', 8, &[0, 0, 0, 11]),
        message(b'R', 8, &[0, 0, 0, 12]),
        message(b'Z', 5, b"I"),
        message(b'K', 12, &[0; 8]),
        message(b'D', 6, &[0, 0]),
        [&message(b'R', 8, &[0; 4])[..], &message(b'Z', 5, b"?")].concat(),
        [&message(b'R', 8, &[0; 4])[..], &message(b'R', 8, &[0; 4])].concat(),
    ] {
        let dial = talker(&[&says], Then::Waits).await;
        let error = Wire::connect(&dial).await.err().unwrap();
        let is_garbage = matches!(
            error,
            ConnectError::Lost {
                lost: Lost::Garbage(_),
                ..
            }
        );
        assert!(is_garbage, "{says:?}: {}", sentence(error));
    }
}

#[tokio::test]
async fn a_proof_of_a_password_that_breaks_off_is_refused() {
    let begin = whole(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    for says in [
        whole(b'R', &[0; 4]),
        whole(b'R', &[0, 0, 0, 3]),
        whole(b'R', &[0, 0, 0, 11]),
        whole(b'R', b"\0\0\0\x0br=nonce,s=AAAA,i=4096"),
        whole(b'R', &[0, 0, 0, 12]),
    ] {
        let dial = talker(&[&begin, &says], Then::Waits).await;
        let error = Wire::connect(&dial).await.err().unwrap();
        assert!(error.to_string().contains("breaks off"), "{says:?}: {error}");
    }
    let unknown = whole(b'R', b"\0\0\0\x0aSECRET\0\0");
    let dial = talker(&[&unknown], Then::Waits).await;
    let error = Wire::connect(&dial).await.err().unwrap();
    assert!(error.to_string().contains("in no way that pgassay knows"), "{error}");
}

#[tokio::test]
async fn silence_ends_with_the_time_that_connecting_may_take() {
    let long_error = message(b'E', 1 << 29, b"SFATAL\0");
    for says in [&b""[..], b"R", &message(b'R', 8, &[0; 4]), &long_error] {
        let mut dial = talker(&[says], Then::Waits).await;
        dial.connect_timeout = IMPATIENCE;
        let error = Wire::connect(&dial).await.err().unwrap();
        assert!(
            error.to_string().contains("no answer within 0.2 s"),
            "{says:?}: {error}"
        );
        let error = Wire::connect(&talker(&[says], Then::Closes).await).await.err().unwrap();
        assert!(
            matches!(error, ConnectError::Lost { lost: Lost::Closed, .. }),
            "{says:?}: {error}"
        );
    }
}

#[tokio::test]
async fn what_answers_a_request_for_tls_with_nonsense_is_refused() {
    for (says, then, sentence) in [
        (&b""[..], Then::Waits, "no answer within 0.2 s"),
        (b"E\0\0\0\x08FATAL", Then::Closes, "neither yes nor no"),
        (b"Sthis is no handshake", Then::Closes, "no TLS session with 127.0.0.1"),
    ] {
        let mut dial = talker(&[says], then).await;
        dial.tls.mode = TlsMode::Require;
        if then == Then::Waits {
            dial.connect_timeout = IMPATIENCE;
        }
        let error = Wire::connect(&dial).await.err().unwrap();
        assert!(error.to_string().contains(sentence), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_none_loses_the_connection() {
    let row = message(b'D', 11, b"\0\x01\0\0\0\x01x");
    for (says, then) in [
        (row[..6].to_vec(), Then::Closes),
        (row.clone(), Then::Closes),
        (message(b'D', 1 << 29, &vec![7; 100_000]), Then::Closes),
        (Vec::new(), Then::Closes),
        (message(b'D', u32::MAX, b""), Then::Waits),
        (message(b'D', 1 << 31, b""), Then::Waits),
        (message(b'C', 1 << 20, b""), Then::Waits),
        (message(b'R', 8, &[0; 4]), Then::Waits),
        (message(b'!', 4, b""), Then::Waits),
        (message(b'Z', 5, b"!"), Then::Waits),
        // Rows that are kept have to be rows.
        (message(b'D', 6, b"\0\x01"), Then::Waits),
        (message(b'D', 4, b""), Then::Waits),
        (message(b'D', 11, b"\0\x01\0\0\0\x09x"), Then::Waits),
        (message(b'T', 9, b"\0\x01a\0?"), Then::Waits),
    ] {
        let mut wire = Wire::connect(&talker(&[WELCOME, &says], then).await).await.unwrap();
        wire.keep_rows(true);
        let lost = wire.extended("select 1", &Params::new()).await.unwrap_err();
        match then {
            Then::Closes => assert!(matches!(lost, Lost::Closed), "{says:?}: {lost}"),
            Then::Waits => assert!(matches!(lost, Lost::Garbage(_)), "{says:?}: {lost}"),
        }
        assert!(matches!(wire.simple("select 1").await, Err(Lost::GivenUp)));
    }
}

#[tokio::test]
async fn an_error_without_its_fields_is_an_error() {
    for (body, is_fatal) in [
        (&b""[..], false),
        (b"\0", false),
        (b"SFATAL", true),
        (b"\xff\xff\0M\0\0", false),
    ] {
        let says = [&whole(b'E', body)[..], &whole(b'Z', b"I")].concat();
        let mut wire = Wire::connect(&talker(&[WELCOME, &says], Then::Waits).await)
            .await
            .unwrap();
        let Ran::Failed(error) = wire.simple("select 1").await.unwrap() else {
            panic!("it failed");
        };
        assert_eq!((error.is_fatal, error.message.as_str()), (is_fatal, ""));
    }
}
