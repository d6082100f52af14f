//! What can be reached from pgassay by registering a server: what whoever runs it has listed, and nothing else.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use reqwest::StatusCode;

use crate::accounts::Person;
use crate::server;
use crate::server::Server;
use crate::support::Cluster;
use crate::support::ask_store;

/// Something in the network of pgassay that is nobody's business, and counts who comes.
struct Bystander {
    port: u16,
    n_came: Arc<AtomicU32>,
}

impl Bystander {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let n_came = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&n_came);
        // It ends with the process.
        std::thread::spawn(move || {
            for _ in listener.incoming() {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, n_came }
    }

    fn n_came(&self) -> u32 {
        self.n_came.load(Ordering::SeqCst)
    }
}

fn start(dir: &std::path::Path, listed: Option<&str>) -> Server {
    let mut options = vec!["--access", "required"];
    options.extend(listed.into_iter().flat_map(|listed| ["--server-hosts", listed]));
    Server::start_with(dir, &options)
}

async fn register(admin: &mut Person<'_>, name: &str, address: &str) -> (StatusCode, String) {
    let form = [("name", name), ("address", address), ("secret", "")];
    let answer = admin.post("/servers", &form).await;
    (answer.status, answer.text)
}

const NOT_LISTED: &str = "is not among the servers that may be reached from here";

/// W11, S6, and 88 of the bad inputs.
#[tokio::test]
async fn an_admin_of_pages_reaches_nothing_that_is_not_listed() {
    let theirs = Cluster::with_passwords();
    let bystander = Bystander::open();
    let dir = server::data_dir();
    let port = bystander.port;
    // A name is not enough for what is not of the internet at large: whoever answers for it can have it lead here.
    let listed = format!("{},localhost:{port},db.example.org", theirs.address());
    let server = start(dir.path(), Some(&listed));
    let mut ada = Person::first(&server).await;
    let store = dir.path().join("store");
    let socket_dir = std::fs::read_to_string(store.join("postmaster.pid")).unwrap();
    let socket_dir = socket_dir.lines().nth(4).unwrap().replace('/', "%2F");
    for host in [
        "169.254.169.254",
        "localhost",
        "127.0.0.1",
        "10.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "127.1",
        "0.0.0.0",
        "%2Fvar%2Frun%2Fpostgresql",
        "evil.example",
        "db.example.org.evil.example",
        &socket_dir,
    ] {
        for port in [port, 5432, 80] {
            let (status, page) = register(
                &mut ada,
                "inside",
                &format!("postgresql://postgres@{host}:{port}/postgres"),
            )
            .await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{host}:{port}: {page}");
            assert!(page.contains(NOT_LISTED), "{host}:{port}: {page}");
        }
    }
    // By a parameter, too.
    let (status, page) = register(
        &mut ada,
        "inside",
        &format!("postgresql://a@8.8.8.8/d?host=127.0.0.1&port={port}"),
    )
    .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
    let none = ask_store(dir.path(), "select count(*) from servers");
    assert_eq!(none.as_deref(), Some("0"));

    let (status, page) = register(&mut ada, "theirs", &theirs.url()).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{page}");
    let page = ada.post("/servers/1/test", &[]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    let page = ada.get("/servers/1").await.text;
    assert!(page.contains("Round trip"), "{page}");
    let elsewhere = [
        ("name", "theirs"),
        ("address", &*format!("postgresql://a@127.0.0.1:{port}/d")),
        ("secret", ""),
    ];
    let changed = ada.post("/servers/1", &elsewhere).await;
    assert_eq!(changed.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", changed.text);
    assert_eq!(bystander.n_came(), 0, "nobody was asked anything");
}

#[tokio::test]
async fn what_is_listed_no_more_is_not_reached_any_more_although_it_is_registered() {
    let bystander = Bystander::open();
    let dir = server::data_dir();
    let listed = format!("127.0.0.1:{}", bystander.port);
    let server = start(dir.path(), Some(&listed));
    let mut ada = Person::first(&server).await;
    let address = format!(
        "postgresql://a@127.0.0.1:{}/d?connect_timeout=1&sslmode=disable",
        bystander.port
    );
    let (status, page) = register(&mut ada, "once", &address).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{page}");
    ada.post("/servers/1/test", &[]).await;
    assert_eq!(bystander.n_came(), 1, "it is reached while it is listed");
    drop(server);

    // Nothing is said, and so nothing may be reached where people sign in.
    let server = start(dir.path(), None);
    let mut ada = Person::of(&server);
    let signed_in = ada.sign_in("ada", crate::accounts::PASSWORD).await;
    assert_eq!(signed_in.status, StatusCode::SEE_OTHER);
    ada.post("/servers/1/test", &[]).await;
    let page = ada.get("/servers/1").await.text;
    assert!(
        page.contains(NOT_LISTED) && page.contains("PGASSAY_SERVER_HOSTS"),
        "{page}"
    );
    let (status, page) = register(&mut ada, "again", &address).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
    assert!(page.contains(NOT_LISTED), "{page}");
    assert_eq!(bystander.n_came(), 1);
}

/// 89 of the bad inputs: what an address may say beside where and who.
#[tokio::test]
async fn an_address_names_one_host_and_no_file_of_this_machine() {
    let dir = server::data_dir();
    let server = start(dir.path(), Some("db.example.org,8.8.8.8"));
    let mut ada = Person::first(&server).await;
    for (address, said) in [
        ("postgresql://a@8.8.8.8/d?service=prod", "are understood"),
        ("postgresql://a@8.8.8.8/d?passfile=/root/.pgpass", "are understood"),
        ("postgresql://a@8.8.8.8/d?sslkey=/etc/passwd", "are understood"),
        ("postgresql://a@8.8.8.8/d?sslcert=/etc/passwd", "are understood"),
        ("postgresql://a@8.8.8.8/d?hostaddr=127.0.0.1", "are understood"),
        ("postgresql://a@8.8.8.8,127.0.0.1/d", "several hosts"),
        ("postgresql://a@8.8.8.8/d?host=8.8.8.8,127.0.0.1", NOT_LISTED),
        ("host=8.8.8.8 user=a", "begins otherwise"),
        ("http://8.8.8.8/", "begins otherwise"),
        ("file:///etc/passwd", "begins otherwise"),
    ] {
        let (status, page) = register(&mut ada, "bad", address).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{address}: {page}");
        assert!(page.contains(said), "{address}: {page}");
    }
    let none = ask_store(dir.path(), "select count(*) from servers");
    assert_eq!(none.as_deref(), Some("0"));
}
