//! Who is inside, and who has to leave when somebody else wants to come in. Knows nothing of sockets.
//!
//! A connection *asks* while a request of it is in hand, and is *silent* otherwise: before its first request is there as
//! a whole, between two, and behind its last. Who asks is never shown out for a newcomer. Of the silent, the one that has
//! been so the longest is: so whoever holds thousands of connections open pushes out their own oldest, while somebody who
//! has something to ask does so within a moment of coming in. Bytes that trickle in are no request and win no time.
//!
//! One client may have so many connections and no more, and a newcomer of theirs takes the place of one of their own. Three
//! kinds of peers are not counted as clients. Proxies that are trusted stand for everybody behind them. So does an address
//! of this machine: a proxy of which nobody has told us speaks from there, and 64 connections for all its users would be
//! the very outage that the bound is against. And a person at this machine may have many tabs, browsers and programs. An
//! attacker who comes from there, through such a proxy or not, meets what everybody meets: the longest silent goes first,
//! heads have ten seconds, bodies and answers have to keep a pace, and streams are counted.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::Notify;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// A head that is not yet whole takes up to 64 KiB, so these hold at most 256 MiB of them.
const MOST: usize = 4096;
/// With less than that a browser or two would shut everybody else out.
const FEWEST: usize = 64;
/// A browser opens six to an address, and some more for what stays open.
const MOST_OF_ONE_CLIENT: usize = 64;

/// How many connections there may be.
#[derive(Clone)]
pub struct Bounds {
    pub most: usize,
    pub most_of_one_client: usize,
    /// Whether many people may come from an address, so that `most_of_one_client` is not meant for it.
    pub is_of_many: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

impl Bounds {
    /// For a process that may have so many files open: half of them are left to everything else.
    pub fn under(n_files: u64, is_trusted_proxy: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        let half = usize::try_from(n_files / 2).unwrap_or(MOST);
        Self {
            most: half.clamp(FEWEST, MOST),
            most_of_one_client: MOST_OF_ONE_CLIENT,
            is_of_many: Arc::new(move |peer| {
                let peer = peer.to_canonical();
                peer.is_loopback() || is_trusted_proxy(peer)
            }),
        }
    }
}

/// All places, taken and free.
pub struct Places {
    bounds: Bounds,
    free: Arc<Semaphore>,
    inside: Mutex<Inside>,
    has_fallen_silent: Notify,
}

#[derive(Default)]
struct Inside {
    n_entered: u64,
    n_silences: u64,
    visitors: HashMap<u64, Visitor>,
    /// Who is silent, the longest first.
    silent: BTreeMap<u64, u64>,
    clients: HashMap<IpAddr, Client>,
}

struct Visitor {
    /// None where it is not counted.
    client: Option<IpAddr>,
    /// The number of its silence, as long as that lasts.
    silence: Option<u64>,
    shown_out: CancellationToken,
}

#[derive(Default)]
struct Client {
    n_connections: usize,
    silences: BTreeSet<u64>,
}

/// The place of one connection, for as long as its socket is open.
pub struct Place {
    conduct: Conduct,
    /// Cancelled when the connection has to leave, which it then does without another word.
    pub shown_out: CancellationToken,
    _taken: OwnedSemaphorePermit,
}

impl Place {
    /// By which it is told what the connection does.
    pub fn conduct(&self) -> &Conduct {
        &self.conduct
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.conduct.places.inside().forget(self.conduct.number);
    }
}

/// What a connection does: it asks, or it is silent.
#[derive(Clone)]
pub struct Conduct {
    places: Arc<Places>,
    number: u64,
}

impl Conduct {
    /// False when it has been shown out meanwhile: the request must not be begun.
    pub fn asks(&self) -> bool {
        self.places.inside().end_silence(self.number)
    }

    /// From now on it may be shown out.
    pub fn is_silent(&self) {
        self.places.inside().begin_silence(self.number);
        self.places.has_fallen_silent.notify_one();
    }
}

impl Places {
    /// None is taken.
    pub fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(bounds.most)),
            bounds,
            inside: Mutex::default(),
            has_fallen_silent: Notify::new(),
        })
    }

    /// A place for somebody who is silent so far. It is waited for while everybody inside asks. None where the client has
    /// as many connections as one may have, and asks on all of them.
    pub async fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let client = (!(self.bounds.is_of_many)(peer)).then(|| one_client(peer));
        if let Some(client) = client
            && !self.inside().make_room_for(client, self.bounds.most_of_one_client)
        {
            return None;
        }
        let taken = self.take_place().await;
        let shown_out = CancellationToken::new();
        let number = self.inside().welcome(client, shown_out.clone());
        Some(Place {
            conduct: Conduct {
                places: Arc::clone(self),
                number,
            },
            shown_out,
            _taken: taken,
        })
    }

    /// Shows out whoever has been silent the longest. False when nobody is.
    pub fn show_one_out(&self) -> bool {
        self.inside().show_one_out()
    }

    async fn take_place(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
                return place;
            }
            // Who is shown out goes at once, and is waited for so that there are never more sockets than places.
            let is_going = self.show_one_out();
            tokio::select! {
                place = Arc::clone(&self.free).acquire_owned() => return place.expect("it is never closed"),
                () = self.has_fallen_silent.notified(), if !is_going => {}
            }
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn welcome(&mut self, client: Option<IpAddr>, shown_out: CancellationToken) -> u64 {
        let number = self.n_entered;
        self.n_entered += 1;
        let visitor = Visitor {
            client,
            silence: None,
            shown_out,
        };
        self.visitors.insert(number, visitor);
        if let Some(client) = client {
            self.clients.entry(client).or_default().n_connections += 1;
        }
        self.begin_silence(number);
        number
    }

    /// Nothing where it is silent already, or not here any more.
    fn begin_silence(&mut self, number: u64) {
        let Some(visitor) = self
            .visitors
            .get_mut(&number)
            .filter(|visitor| visitor.silence.is_none())
        else {
            return;
        };
        let silence = self.n_silences;
        self.n_silences += 1;
        visitor.silence = Some(silence);
        self.silent.insert(silence, number);
        if let Some(client) = visitor.client.and_then(|client| self.clients.get_mut(&client)) {
            client.silences.insert(silence);
        }
    }

    /// False when it is not here any more.
    fn end_silence(&mut self, number: u64) -> bool {
        let Some(visitor) = self.visitors.get_mut(&number) else {
            return false;
        };
        if let Some(silence) = visitor.silence.take() {
            self.silent.remove(&silence);
            if let Some(client) = visitor.client.and_then(|client| self.clients.get_mut(&client)) {
                client.silences.remove(&silence);
            }
        }
        true
    }

    /// None when it is gone already.
    fn forget(&mut self, number: u64) -> Option<Visitor> {
        self.end_silence(number);
        let visitor = self.visitors.remove(&number)?;
        if let Some(client) = visitor.client
            && let Some(of_client) = self.clients.get_mut(&client)
        {
            of_client.n_connections -= 1;
            if of_client.n_connections == 0 {
                self.clients.remove(&client);
            }
        }
        Some(visitor)
    }

    fn show_out(&mut self, silence: u64) -> bool {
        let visitor = self.silent.get(&silence).copied();
        let Some(visitor) = visitor.and_then(|number| self.forget(number)) else {
            return false;
        };
        visitor.shown_out.cancel();
        true
    }

    fn show_one_out(&mut self) -> bool {
        let longest = self.silent.first_key_value().map(|(silence, _)| *silence);
        longest.is_some_and(|silence| self.show_out(silence))
    }

    /// False when the client has as many as it may have and is silent on none of them.
    fn make_room_for(&mut self, client: IpAddr, most: usize) -> bool {
        let Some(of_client) = self.clients.get(&client).filter(|client| client.n_connections >= most) else {
            return true;
        };
        let longest = of_client.silences.first().copied();
        longest.is_some_and(|silence| self.show_out(silence))
    }
}

/// A household or a server has 2^64 addresses of IPv6 for itself, and is one client all the same.
fn one_client(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const HOME: &str = "192.0.2.1";
    const PROXY: &str = "192.0.2.99";

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn places(most: usize, most_of_one_client: usize) -> Arc<Places> {
        Places::new(Bounds {
            most,
            most_of_one_client,
            is_of_many: Arc::new(|peer| peer == address(PROXY)),
        })
    }

    /// Who comes in without waiting.
    fn enter(places: &Arc<Places>, from: &str) -> Place {
        places.enter(address(from)).now_or_never().unwrap().unwrap()
    }

    #[test]
    fn half_of_the_files_are_for_connections() {
        for (n_files, most) in [(100, 64), (1024, 512), (1 << 20, 4096), (u64::MAX, 4096)] {
            assert_eq!(Bounds::under(n_files, |_| false).most, most);
        }
        let bounds = Bounds::under(1024, |peer| peer == address(PROXY));
        for of_many in [
            "127.0.0.1",
            "127.8.9.1",
            "::1",
            "::ffff:127.0.0.1",
            PROXY,
            "::ffff:192.0.2.99",
        ] {
            assert!((bounds.is_of_many)(address(of_many)), "{of_many}");
        }
        assert!(!(bounds.is_of_many)(address(HOME)));
    }

    #[test]
    fn a_client_is_an_address_or_a_network_of_a_household() {
        let same = [
            ("192.0.2.1", "::ffff:192.0.2.1"),
            ("2001:db8:1:2::3", "2001:db8:1:2:ffff::1"),
        ];
        for (one, other) in same {
            assert_eq!(one_client(address(one)), one_client(address(other)));
        }
        assert_ne!(one_client(address("192.0.2.1")), one_client(address("192.0.2.2")));
        assert_ne!(one_client(address("2001:db8::")), one_client(address("2001:db8:0:1::")));
    }

    #[tokio::test]
    async fn the_longest_silent_makes_room_and_nobody_who_asks() {
        let places = places(3, 3);
        let (first, second, third) = (enter(&places, PROXY), enter(&places, PROXY), enter(&places, PROXY));
        assert!(first.conduct().asks());
        let newcomer = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.enter(address(HOME)).await }
        });
        second.shown_out.cancelled().await;
        assert!(!first.shown_out.is_cancelled() && !third.shown_out.is_cancelled());
        assert!(!second.conduct().asks(), "its request comes too late");
        assert!(!newcomer.is_finished(), "there is no place before its socket is closed");
        drop(second);
        let newcomer = newcomer.await.unwrap().unwrap();

        // Everybody asks: the next one waits for who falls silent first.
        assert!(third.conduct().asks() && newcomer.conduct().asks());
        let last = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.enter(address(HOME)).await }
        });
        tokio::task::yield_now().await;
        assert!(!last.is_finished());
        third.conduct().is_silent();
        third.shown_out.cancelled().await;
        drop(third);
        assert!(last.await.unwrap().is_some());
        assert!(!first.shown_out.is_cancelled() && !newcomer.shown_out.is_cancelled());
    }

    #[tokio::test]
    async fn whoever_asked_last_is_shown_out_last() {
        let places = places(2, 2);
        let (first, second) = (enter(&places, PROXY), enter(&places, PROXY));
        assert!(first.conduct().asks());
        first.conduct().is_silent();
        // Again is no news.
        second.conduct().is_silent();
        assert!(places.show_one_out());
        assert!(second.shown_out.is_cancelled() && !first.shown_out.is_cancelled());
        assert!(places.show_one_out());
        assert!(first.shown_out.is_cancelled());
        assert!(!places.show_one_out());
    }

    #[tokio::test]
    async fn a_client_has_so_many_and_a_newcomer_of_it_takes_the_place_of_its_own() {
        let places = places(10, 2);
        let other = enter(&places, "192.0.2.7");
        let (first, second) = (enter(&places, HOME), enter(&places, HOME));
        let third = enter(&places, "::ffff:192.0.2.1");
        assert!(first.shown_out.is_cancelled() && !second.shown_out.is_cancelled());
        assert!(second.conduct().asks() && third.conduct().asks());
        assert!(places.enter(address(HOME)).await.is_none(), "it asks on both");
        assert!(!other.shown_out.is_cancelled());
        drop(second);
        let _again = enter(&places, HOME);
        let of_many: Vec<Place> = (0..5).map(|_| enter(&places, PROXY)).collect();
        assert!(of_many.iter().all(|place| !place.shown_out.is_cancelled()));
    }

    #[tokio::test]
    async fn nothing_is_remembered_of_who_has_left() {
        let places = places(2, 2);
        for n in 0..100 {
            let place = enter(&places, &format!("192.0.2.{n}"));
            assert!(n % 2 == 0 || place.conduct().asks());
        }
        let inside = places.inside();
        assert!(inside.visitors.is_empty() && inside.silent.is_empty() && inside.clients.is_empty());
        assert_eq!(places.free.available_permits(), 2);
    }
}
