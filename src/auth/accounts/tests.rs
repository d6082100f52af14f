//! Which ways into an account end when its password is set anew, and by whose hand.

use std::num::NonZeroUsize;

use super::*;
use crate::auth::administration;
use crate::model::user::TokenScope;
use crate::store::tokens::NewToken;
use crate::testing::world::World;

const PASSWORD: &str = "seven purple kettles sing";
const OTHER: &str = "eleven quiet lamps hum";

fn client() -> Client {
    Client {
        address: "192.0.2.1".parse().unwrap(),
        agent: "a browser".to_owned(),
    }
}

/// An account with one of every way in that there is beside its password.
struct Person {
    name: &'static str,
    id: UserId,
    session: Token,
    api_token: Token,
    /// A link by which whoever has it chooses another password.
    link: TokenText,
}

/// The desk of a store in which there are Ada, who is the first admin, and Eve.
struct Desk {
    world: World,
    accounts: Accounts,
    client: Client,
    ada: Person,
    eve: Person,
}

impl Desk {
    async fn open() -> Self {
        let world = World::new().await;
        let accounts = Accounts::new(world.pool.clone(), Hasher::new(NonZeroUsize::MIN));
        let ada = person(&world, &accounts, "ada").await;
        let eve = person(&world, &accounts, "eve").await;
        Self {
            world,
            accounts,
            client: client(),
            ada,
            eve,
        }
    }

    /// Whether the session, the API token and the link of somebody are still good.
    async fn ways_in(&self, person: &Person) -> [bool; 3] {
        let mut conn = self.world.conn().await;
        let session = store::sessions::find(&mut conn, person.session.hashed());
        let session = session.await.unwrap().is_some();
        let api_token = store::tokens::find(&mut conn, person.api_token.hashed());
        let api_token = api_token.await.unwrap().is_some();
        let link = self.accounts.invitation(person.link.expose()).await.unwrap();
        [session, api_token, link.is_some()]
    }

    /// The password of an account is the other one, and nobody else is let in or out for that.
    async fn assert_set(&self, person: &Person) {
        let by = async |password| self.accounts.sign_in(person.name, password, &self.client).await;
        assert!(matches!(by(PASSWORD).await, Err(AccountError::Wrong)));
        assert_eq!(by(OTHER).await.unwrap().viewer.user_id, person.id);
        assert_eq!(self.ways_in(&self.ada).await, [true; 3]);
    }

    /// Who has just come in is in.
    async fn assert_in(&self, entered: &Entered) {
        let session = Token::parse(TokenKind::Session, entered.session.expose()).unwrap();
        let found = store::sessions::find(&mut *self.world.conn().await, session.hashed()).await;
        assert_eq!(found.unwrap().unwrap().viewer, entered.viewer);
    }
}

async fn person(world: &World, accounts: &Accounts, name: &'static str) -> Person {
    let id = accounts.make_admin(name, PASSWORD).await.unwrap().user_id;
    let session = accounts.sign_in(name, PASSWORD, &client()).await.unwrap().session;
    let api_token = Token::random(TokenKind::Api).unwrap();
    let new = NewToken {
        token: api_token.hashed(),
        name: "nightly",
        prefix: &api_token.shown_prefix(),
        scope: TokenScope::Read,
        lifetime: Duration::from_hours(1),
        is_by_password: false,
    };
    store::tokens::insert(&mut *world.conn().await, id, &new).await.unwrap();
    let link = administration::link_for_new_password(&world.pool, id, id).await;
    Person {
        name,
        id,
        session: Token::parse(TokenKind::Session, session.expose()).unwrap(),
        api_token,
        link: link.unwrap(),
    }
}

#[tokio::test]
async fn a_password_chosen_by_a_link_ends_every_way_in_and_all_other_links() {
    let desk = Desk::open().await;
    assert_eq!(desk.ways_in(&desk.eve).await, [true; 3]);
    let second = administration::link_for_new_password(&desk.world.pool, desk.ada.id, desk.eve.id);
    let second = second.await.unwrap();
    let chosen = desk
        .accounts
        .choose_password_again(second.expose(), OTHER, &desk.client);
    let entered = chosen.await.unwrap();
    assert_eq!(desk.ways_in(&desk.eve).await, [false; 3]);
    desk.assert_in(&entered).await;
    desk.assert_set(&desk.eve).await;
}

#[tokio::test]
async fn a_password_set_from_the_command_line_ends_every_way_in() {
    let desk = Desk::open().await;
    let set = desk.accounts.set_password(" EVE ", OTHER).await.unwrap();
    assert_eq!(set.unwrap().user_id, desk.eve.id);
    assert_eq!(desk.ways_in(&desk.eve).await, [false; 3]);
    desk.assert_set(&desk.eve).await;
}

#[tokio::test]
async fn who_changes_their_own_password_is_let_in_anew_and_keeps_their_programs() {
    let desk = Desk::open().await;
    let changed = desk
        .accounts
        .change_password(desk.eve.id, PASSWORD, OTHER, &desk.client);
    let entered = changed.await.unwrap();
    assert_eq!(desk.ways_in(&desk.eve).await, [false, true, false]);
    desk.assert_in(&entered).await;
    desk.assert_set(&desk.eve).await;
}
