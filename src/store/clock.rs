//! The store's clock as this process can follow it without asking again.
//!
//! As in NTP (RFC 5905, section 8) the server's time is taken for that of the middle of a round trip, which is wrong by at
//! most half of it; of several round trips the shortest says most.

use std::time::Duration;
use std::time::Instant;

use chrono::DateTime;
use chrono::Utc;
use nix::time::ClockId;
use nix::time::clock_gettime;
use sqlx::PgConnection;

use crate::model::worker::ClockOffset;
use crate::store;
use crate::store::Result;

/// Round trips of one reading.
const N_TRIPS: usize = 8;

/// What the store's clock said at one instant of ours.
#[derive(Clone, Copy, Debug)]
pub struct StoreClock {
    at: Instant,
    now: DateTime<Utc>,
    /// Half of the round trip.
    error: Duration,
    /// What the machine's own clock said; not where it does not tell.
    own: Option<DateTime<Utc>>,
}

impl StoreClock {
    /// Asks the store some times.
    pub async fn read(conn: &mut PgConnection) -> Result<Self> {
        let mut best = Self::trip(&mut *conn).await?;
        for _ in 1..N_TRIPS {
            let trip = Self::trip(&mut *conn).await?;
            if trip.error < best.error {
                best = trip;
            }
        }
        Ok(best)
    }

    async fn trip(conn: &mut PgConnection) -> Result<Self> {
        let (asked, own) = (Instant::now(), own_clock());
        let now = store::now(conn).await?;
        let error = asked.elapsed() / 2;
        Ok(Self {
            at: asked + error,
            now,
            error,
            own: own.map(|own| own + error),
        })
    }

    /// Our instant of a moment of the store's clock. One that has long passed is that of the reading.
    pub fn instant(&self, moment: DateTime<Utc>) -> Instant {
        let later = moment.signed_duration_since(self.now);
        match later.to_std() {
            Ok(later) => self.at + later,
            Err(_) => (-later)
                .to_std()
                .ok()
                .and_then(|ago| self.at.checked_sub(ago))
                .unwrap_or(self.at),
        }
    }

    /// How the clock of this machine stands to the store's.
    pub fn offset(&self) -> ClockOffset {
        let ahead = self.own.map(|own| own.signed_duration_since(self.now));
        #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
        let offset_ms = ahead.and_then(|ahead| ahead.num_microseconds()).unwrap_or(0) as f64 / 1e3;
        ClockOffset {
            offset_ms,
            error_ms: self.error.as_secs_f64() * 1e3,
        }
    }
}

/// What the machine's clock says, which is compared and never stored as a time.
fn own_clock() -> Option<DateTime<Utc>> {
    let since = clock_gettime(ClockId::CLOCK_REALTIME).ok()?;
    DateTime::from_timestamp(since.tv_sec(), u32::try_from(since.tv_nsec()).ok()?)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn two_readings_agree_on_a_moment_within_what_they_say_of_themselves() {
        let pool = testing::database().await;
        let mut conn = pool.acquire().await.unwrap();
        let one = StoreClock::read(&mut conn).await.unwrap();
        let other = StoreClock::read(&mut conn).await.unwrap();
        let moment = store::now(&mut conn).await.unwrap() + TimeDelta::seconds(2);
        let (by_one, by_other) = (one.instant(moment), other.instant(moment));
        let apart = by_one.max(by_other) - by_one.min(by_other);
        // The database's clock has microseconds.
        assert!(
            apart <= one.error + other.error + Duration::from_micros(2),
            "{apart:?} {one:?} {other:?}"
        );
        assert!(by_one > Instant::now());
        let before = moment - TimeDelta::seconds(4);
        assert_eq!(by_one - one.instant(before), Duration::from_secs(4));
        let ClockOffset { offset_ms, error_ms } = one.offset();
        assert!(
            offset_ms.abs() <= error_ms + 0.01,
            "one machine has one clock: {offset_ms} {error_ms}"
        );
    }
}
