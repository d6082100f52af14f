//! Who is let in, and with what TLS.

use std::net::SocketAddr;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use super::ask;
use super::dial;
use crate::model::destination::Destinations;
use crate::target::secret::Password;
use crate::target::wire::ConnectError;
use crate::target::wire::Dial;
use crate::target::wire::Wire;
use crate::testing::foreign::PASSWORD;
use crate::testing::foreign::foreign;

/// What a person reads who is not let in; for the server's refusals its SQLSTATE, too.
fn refusal(connected: Result<Wire, ConnectError>) -> String {
    let sentence = match connected {
        Ok(_) => panic!("it was let in"),
        Err(ConnectError::Refused(error)) => format!("{} {error}", error.sqlstate),
        Err(error) => error.to_string(),
    };
    assert!(
        !sentence.contains(PASSWORD) && !sentence.contains("wrong one"),
        "{sentence}"
    );
    sentence
}

#[tokio::test]
async fn passwords_are_proved_in_every_way_that_servers_ask_for() {
    for role in ["truster", "scrammer", "hasher", "teller"] {
        for tls in ["sslmode=disable", "sslmode=require"] {
            let mut dial = dial(role, tls);
            let mut wire = Wire::connect(&dial).await.unwrap();
            assert_eq!(ask(&mut wire, "select current_user").await, role);
            if role == "truster" {
                continue;
            }
            dial.password = Password::from("wrong one");
            assert!(refusal(Wire::connect(&dial).await).starts_with("28P01"), "{role}");
            dial.password = Password::None;
            let sentence = refusal(Wire::connect(&dial).await);
            assert!(sentence.contains("asks for the password of"), "{sentence}");
        }
    }
}

#[tokio::test]
async fn the_server_s_refusals_come_with_their_sqlstate() {
    let single = dial("single", "");
    let held = Wire::connect(&single).await.unwrap();
    assert!(refusal(Wire::connect(&single).await).starts_with("53300"));
    held.close().await;

    let mut dial = dial("truster", "");
    dial.database = "nowhere".to_owned();
    assert!(refusal(Wire::connect(&dial).await).starts_with("3D000"));
    dial.database = "postgres".to_owned();
    dial.settings.push(("work_mem".to_owned(), "a lot".to_owned()));
    assert!(refusal(Wire::connect(&dial).await).starts_with("22023"));
    dial.settings[0].1 = "\0".to_owned();
    assert!(refusal(Wire::connect(&dial).await).contains("number 0"));
}

#[tokio::test]
async fn nobody_there_is_said_with_the_place() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let dial = Dial::from_url(&format!("postgres://a@127.0.0.1:{nobody}/b")).unwrap();
    let sentence = refusal(Wire::connect(&dial).await);
    assert!(
        sentence.starts_with(&format!("127.0.0.1:{nobody} cannot be reached")),
        "{sentence}"
    );
    let dial = Dial::from_url("postgres://a@/b?host=/nowhere/at/all").unwrap();
    let sentence = refusal(Wire::connect(&dial).await);
    assert!(
        sentence.starts_with("/nowhere/at/all/.s.PGSQL.5432 cannot be reached"),
        "{sentence}"
    );
}

/// Whether a connection came about, and whether with TLS.
async fn tls_of(role: &str, params: &str) -> &'static str {
    match Wire::connect(&dial(role, params)).await {
        Ok(mut wire) => {
            let sql = "select case when ssl then 'tls' else 'plain' end from pg_stat_ssl where pid = pg_backend_pid()";
            match ask(&mut wire, sql).await.as_str() {
                "tls" => "tls",
                _ => "plain",
            }
        }
        Err(ConnectError::Refused(error)) if error.sqlstate == "28000" => "refused",
        Err(ConnectError::Unmet(_)) => "unmet",
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn tls_is_used_as_libpq_uses_it() {
    let foreign = foreign();
    let (authority, stranger, own) = (&foreign.authority, &foreign.stranger, &foreign.certificate);
    let root = |mode: &str, path: &std::path::Path| format!("sslmode={mode}&sslrootcert={}", path.display());
    for (params, guarded, open, truster) in [
        ("sslmode=disable".to_owned(), "refused", "plain", "plain"),
        ("sslmode=allow".to_owned(), "tls", "plain", "plain"),
        ("sslmode=prefer".to_owned(), "tls", "plain", "tls"),
        (String::new(), "tls", "plain", "tls"),
        ("sslmode=require".to_owned(), "tls", "refused", "tls"),
        (root("verify-ca", authority), "tls", "refused", "tls"),
        (root("verify-full", authority), "tls", "refused", "tls"),
        // A server's own certificate may be what is trusted.
        (root("verify-full", own), "tls", "refused", "tls"),
        // Where there are root certificates they are looked at in every mode.
        (root("require", authority), "tls", "refused", "tls"),
        (root("require", stranger), "unmet", "unmet", "unmet"),
        (root("verify-ca", stranger), "unmet", "unmet", "unmet"),
        (root("verify-full", stranger), "unmet", "unmet", "unmet"),
        (root("prefer", stranger), "refused", "plain", "plain"),
        (root("allow", stranger), "refused", "plain", "plain"),
        // The certificate names another host; who signed it is all right.
        (
            format!("{}&host=127.0.0.1", root("verify-full", authority)),
            "unmet",
            "unmet",
            "unmet",
        ),
        (
            format!("{}&host=127.0.0.1", root("verify-ca", authority)),
            "tls",
            "refused",
            "tls",
        ),
        ("sslmode=verify-full".to_owned(), "unmet", "unmet", "unmet"),
        (
            root("verify-full", std::path::Path::new("/nowhere.pem")),
            "unmet",
            "unmet",
            "unmet",
        ),
    ] {
        let found = (
            tls_of("guarded", &params).await,
            tls_of("open", &params).await,
            tls_of("truster", &params).await,
        );
        assert_eq!(found, (guarded, open, truster), "{params}");
    }
}

#[tokio::test]
async fn a_password_is_bound_to_the_certificate_where_that_is_asked_for() {
    assert_eq!(
        tls_of("scrammer", "sslmode=require&channel_binding=require").await,
        "tls"
    );
    assert_eq!(
        tls_of("scrammer", "sslmode=require&channel_binding=disable").await,
        "tls"
    );
    for (role, mode) in [
        ("scrammer", "disable"),
        ("truster", "require"),
        ("teller", "require"),
        ("hasher", "require"),
    ] {
        let params = format!("sslmode={mode}&channel_binding=require");
        assert_eq!(tls_of(role, &params).await, "unmet", "{role} {params}");
    }
}

/// In front of the server something that has no TLS. Returns where it listens.
async fn without_tls() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(("127.0.0.1", foreign().port)).await.unwrap();
            tokio::spawn(async move {
                let mut request = [0; 8];
                client.read_exact(&mut request).await.unwrap();
                // The code of a request for TLS.
                if request[4..] == 80_877_103_u32.to_be_bytes() {
                    client.write_all(b"N").await.unwrap();
                } else {
                    server.write_all(&request).await.unwrap();
                }
                // Ends when either does.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    place
}

#[tokio::test]
async fn a_server_without_tls_is_enough_unless_tls_is_asked_for() {
    let port = without_tls().await.port();
    for (mode, is_enough) in [
        ("disable", true),
        ("allow", true),
        ("prefer", true),
        ("require", false),
        ("verify-full", false),
    ] {
        let connected = Wire::connect(&dial("scrammer", &format!("sslmode={mode}&port={port}"))).await;
        assert_eq!(connected.is_ok(), is_enough, "{mode}");
        if !is_enough {
            let sentence = refusal(connected);
            assert!(sentence.contains("does not offer TLS"), "{sentence}");
        }
    }
    // What the server said is worth more than that there is no TLS.
    let sentence = refusal(Wire::connect(&dial("guarded", &format!("sslmode=allow&port={port}"))).await);
    assert!(sentence.starts_with("28000"), "{sentence}");
}

#[tokio::test]
async fn nothing_is_reached_that_is_not_listed_whatever_a_name_leads_to() {
    let port = foreign().port;
    let own = format!("127.0.0.0/8:{port},[::1]:{port}");
    let name = format!("localhost:{port}");
    for (listed, is_reached) in [
        (&*own, true),
        // It leads to this machine, which is not of the internet at large.
        (&name, false),
        ("127.0.0.0/8,::1", false),
        ("10.0.0.0/8", false),
    ] {
        let listed: Vec<&str> = listed.split(',').collect();
        let mut by_name = dial("scrammer", "");
        by_name.destinations = Destinations::parse(&listed).unwrap();
        let checked = Wire::check(&by_name).await;
        assert_eq!(checked.is_ok(), is_reached, "{listed:?}");
        match Wire::connect(&by_name).await {
            Ok(_) => assert!(is_reached, "{listed:?}"),
            Err(error) => {
                let said = error.to_string();
                assert!(
                    !is_reached && said.contains("PGASSAY_SERVER_HOSTS"),
                    "{listed:?}: {said}"
                );
            }
        }
        let mut by_socket = dial("truster", &format!("host={}", foreign().socket_dir.display()));
        by_socket.destinations = by_name.destinations;
        let refused = refusal(Wire::connect(&by_socket).await);
        assert!(
            refused.contains("PGASSAY_SERVER_HOSTS"),
            "a socket leads to whatever runs here: {refused}"
        );
    }
    // A listed name that has no address just now may be registered.
    let mut away = Dial::from_url("postgres://a@nowhere.invalid/d").unwrap();
    away.destinations = Destinations::parse(&["nowhere.invalid"]).unwrap();
    assert!(Wire::check(&away).await.is_ok());
    away.destinations = Destinations::parse(&["elsewhere.invalid"]).unwrap();
    assert!(Wire::check(&away).await.is_err());
}
