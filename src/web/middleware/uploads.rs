//! So many dumps arrive at once: each takes up a connection, a file and a part of the network, for minutes. Who comes beside
//! them is told to come again, before anything is read. Each process counts its own. Queries and statistics files are small,
//! and in nobody's way.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use axum::extract::MatchedPath;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use axum::response::Response;

use crate::config::Access;
use crate::model::ids::UserId;
use crate::web::error::Error;
use crate::web::middleware::identity::Asker;
use crate::web::state::AppState;
use crate::web::urls;

/// In all, and of one account where several people share this pgassay (`reliability.md` 7).
const MOST: usize = 8;
const MOST_OF_ACCOUNT: usize = 2;
/// Where whole dumps are sent to.
const WHOLE: [&str; 2] = [urls::UPLOAD_DUMP, urls::API_DATASETS];
/// Where the parts of one are sent to.
const PARTS: &str = "/api/datasets/uploads/{key}";
/// When to come again: nobody knows how long an upload takes, and asking costs little.
const RETRY_AFTER_S: u64 = 10;

/// The uploads that arrive at this process. Copies count together.
#[derive(Clone, Default)]
pub struct Arrivals {
    /// How many requests there are for each.
    now: Arc<Mutex<HashMap<Arrival, u32>>>,
    next_number: Arc<AtomicU64>,
}

/// An upload, of an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Arrival {
    account: UserId,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum What {
    /// A file that comes whole is an upload of its own.
    Whole(u64),
    /// Requests for the parts of one file, by its address, are one upload: who lost a connection goes on by another, and the
    /// first may not know yet that it is dead.
    Parts(String),
}

/// The place of a request among those that arrive, until it is dropped.
struct Place {
    arrivals: Arrivals,
    arrival: Arrival,
}

/// Why there is no place. A sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Full {
    #[error(
        "{MOST_OF_ACCOUNT} dumps of your account arrive just now, and no more are taken at once. Send this when one of them is here."
    )]
    OfAccount,
    #[error("{MOST} dumps arrive just now, and no more are taken at once. Send this in a moment.")]
    OfAll,
}

/// How many there may be, for the help.
pub fn sentence() -> String {
    format!("At most {MOST_OF_ACCOUNT} dumps of one account arrive at once, and {MOST} in all.")
}

impl Arrivals {
    /// A place for one more request, unless all are taken that there are for its account.
    fn take(&self, arrival: Arrival, access: Access) -> Result<Place, Full> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if !now.contains_key(&arrival) {
            let of_account = now.keys().filter(|other| other.account == arrival.account);
            // Where nobody signs in there is nobody to keep from others.
            if access == Access::Required && of_account.count() >= MOST_OF_ACCOUNT {
                return Err(Full::OfAccount);
            }
            if now.len() >= MOST {
                return Err(Full::OfAll);
            }
        }
        *now.entry(arrival.clone()).or_default() += 1;
        Ok(Place {
            arrivals: self.clone(),
            arrival,
        })
    }

    /// How many arrive just now.
    #[cfg(test)]
    pub fn n_now(&self) -> usize {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn next_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = self.arrivals.now.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(n_requests) = now.get_mut(&self.arrival) {
            *n_requests -= 1;
            if *n_requests == 0 {
                now.remove(&self.arrival);
            }
        }
    }
}

/// Lets an upload in where there is a place for it, which it has until it is answered or its client is gone.
pub async fn keep(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let Some(arrival) = arrival(&state.arrivals, &request) else {
        return next.run(request).await;
    };
    let place = match state.arrivals.take(arrival, state.gate.access) {
        Ok(place) => place,
        Err(full) => return refused(full),
    };
    let response = next.run(request).await;
    drop(place);
    response
}

fn refused(full: Full) -> Response {
    let mut response = Error::Refused {
        status: StatusCode::TOO_MANY_REQUESTS,
        message: full.to_string(),
    }
    .into_response();
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
    // Its body stays unread.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// What a request uploads; none where it uploads nothing.
fn arrival(arrivals: &Arrivals, request: &Request) -> Option<Arrival> {
    let account = request.extensions().get::<Asker>()?.viewer.user_id;
    let route = request.extensions().get::<MatchedPath>()?.as_str();
    let what = if request.method() == Method::PUT && route == PARTS {
        What::Parts(request.uri().path().to_owned())
    } else if request.method() == Method::POST && WHOLE.contains(&route) {
        What::Whole(arrivals.next_number())
    } else {
        return None;
    };
    Some(Arrival { account, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(arrivals: &Arrivals, account: i64) -> Arrival {
        Arrival {
            account: UserId(account),
            what: What::Whole(arrivals.next_number()),
        }
    }

    fn parts(key: &str) -> Arrival {
        Arrival {
            account: UserId(1),
            what: What::Parts(key.to_owned()),
        }
    }

    #[test]
    fn an_account_has_two_places_of_eight_until_it_gives_them_back() {
        let arrivals = Arrivals::default();
        let take = |account| arrivals.take(whole(&arrivals, account), Access::Required);
        let mut places: Vec<Place> = (1..=4)
            .flat_map(|account| [account; 2])
            .map(|n| take(n).unwrap())
            .collect();
        assert_eq!(take(1).err(), Some(Full::OfAccount));
        assert_eq!(take(5).err(), Some(Full::OfAll));
        places.remove(0);
        assert_eq!(take(2).err(), Some(Full::OfAccount));
        let place = take(1).unwrap();
        assert_eq!(take(5).err(), Some(Full::OfAll));
        drop((place, places));
        assert_eq!(arrivals.n_now(), 0);
    }

    #[test]
    fn where_nobody_signs_in_the_one_person_has_all_places() {
        let arrivals = Arrivals::default();
        let take = || arrivals.take(whole(&arrivals, 1), Access::Local);
        let _places: Vec<Place> = (0..8).map(|_| take().unwrap()).collect();
        assert_eq!(take().err(), Some(Full::OfAll));
    }

    #[test]
    fn a_request_goes_on_with_an_upload_in_its_place_and_leaves_that_to_others() {
        let arrivals = Arrivals::default();
        let take = |key| arrivals.take(parts(key), Access::Required);
        let (dead, other) = (take("a").unwrap(), take("b").unwrap());
        let next = take("a").unwrap();
        assert_eq!(take("c").err(), Some(Full::OfAccount));
        drop(dead);
        assert_eq!(take("c").err(), Some(Full::OfAccount), "the upload still arrives");
        drop(next);
        let third = take("c").unwrap();
        drop((other, third));
        assert_eq!(arrivals.n_now(), 0);
    }
}
