//! Registered servers on a real one.

use super::*;
use crate::testing::foreign::foreign;
use crate::testing::scratch;
use crate::testing::world::World;

struct Desk {
    world: World,
    servers: Servers,
}

impl Desk {
    async fn open() -> Self {
        let world = World::new().await;
        let dir = scratch::dir();
        let servers = Servers {
            pool: world.pool.clone(),
            vault: Arc::new(Vault::open(&dir.join("key")).unwrap()),
            secrets: dir,
            home: "home".to_owned(),
            listed: None,
            is_shared: false,
            statement_limit: registered::STATEMENT_LIMIT,
        };
        Self { world, servers }
    }

    async fn add(&self, address: &str, secret: &str) -> ServerId {
        let added = self
            .servers
            .add(self.world.viewer, &form("prod", address, secret))
            .await;
        added.unwrap()
    }

    async fn test(&self, id: ServerId) -> TestOutcome {
        self.servers.test(self.world.viewer, id).await.unwrap().outcome
    }
}

fn form(name: &str, address: &str, secret: &str) -> ServerForm {
    ServerForm {
        name: name.to_owned(),
        address: address.to_owned(),
        secret: secret.to_owned(),
    }
}

/// An address of the test server without a password.
fn without_password(role: &str) -> String {
    format!("postgresql://{role}@localhost:{}/postgres", foreign().port)
}

#[tokio::test]
async fn a_test_is_noted_until_the_server_is_another() {
    let desk = Desk::open().await;
    let viewer = desk.world.viewer;
    let id = desk.add(&foreign().url("scrammer", "sslmode=require"), "").await;
    let TestOutcome::Reached(report) = desk.test(id).await else {
        panic!("it was not reached")
    };
    assert!(
        report.uses_tls && report.version.starts_with("PostgreSQL 1"),
        "{report:?}"
    );
    let stored = desk.servers.get(viewer, id).await.unwrap().unwrap();
    assert_eq!(stored.last_test.unwrap().outcome, TestOutcome::Reached(report));

    desk.servers.change(viewer, id, &form("renamed", "", "")).await.unwrap();
    let stored = desk.servers.get(viewer, id).await.unwrap().unwrap();
    assert_eq!((&*stored.name, &stored.last_test), ("renamed", &None));
    assert!(
        matches!(desk.test(id).await, TestOutcome::Reached(_)),
        "the address stayed"
    );

    desk.servers.delete(viewer, id).await.unwrap();
    assert!(matches!(
        desk.servers.test(viewer, id).await,
        Err(ServersError::NotFound)
    ));
}

#[tokio::test]
async fn a_password_from_a_file_is_read_again_for_the_next_connection() {
    let desk = Desk::open().await;
    let id = desk.add(&without_password("scrammer"), "token").await;
    let file = desk.servers.secrets.join("token");
    let registered = desk.servers.registered(desk.world.viewer, id).await.unwrap();
    for (password, is_let_in) in [
        ("old", false),
        (crate::testing::foreign::PASSWORD, true),
        ("old", false),
    ] {
        std::fs::write(&file, format!("{password}\n")).unwrap();
        let connected = registered.session().await;
        assert_eq!(connected.is_ok(), is_let_in, "{password}");
    }
    let TestOutcome::Failed { message } = desk.test(id).await else {
        panic!("it was let in by an old password")
    };
    assert!(message.contains("the secret that it comes from"), "{message}");
}

#[tokio::test]
async fn what_is_stored_is_of_no_use_without_the_key() {
    let desk = Desk::open().await;
    let id = desk.add(&foreign().url("scrammer", ""), "").await;
    let row: String = sqlx::query_scalar("select s::text from servers s")
        .fetch_one(&desk.world.pool)
        .await
        .unwrap();
    assert!(!row.contains("ssword") && row.contains("scrammer"), "{row}");
    let other = Servers {
        vault: Arc::new(Vault::open(&scratch::dir().join("key")).unwrap()),
        ..desk.servers.clone()
    };
    let error = other.test(desk.world.viewer, id).await.unwrap_err();
    assert!(error.to_string().contains("another key"), "{error}");
    let error = other
        .change(desk.world.viewer, id, &form("prod", "", ""))
        .await
        .unwrap_err();
    assert!(matches!(error, ServersError::Vault(VaultError::OtherKey)), "{error}");

    // It can be entered anew, or forgotten.
    let anew = form("prod", &foreign().url("scrammer", ""), "");
    other.change(desk.world.viewer, id, &anew).await.unwrap();
    let tested = other.test(desk.world.viewer, id).await.unwrap();
    assert!(matches!(tested.outcome, TestOutcome::Reached(_)), "{tested:?}");
    desk.servers.delete(desk.world.viewer, id).await.unwrap();
}

#[tokio::test]
async fn names_are_taken_once() {
    let desk = Desk::open().await;
    desk.add("postgres://me@h/d", "").await;
    let again = desk
        .servers
        .add(desk.world.viewer, &form("prod", "postgres://me@h/d", ""))
        .await;
    let Err(ServersError::Refused(errors)) = again else {
        panic!("two servers of one name")
    };
    assert_eq!(errors[0].field, "name");
}
