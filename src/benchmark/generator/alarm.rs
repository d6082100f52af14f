//! Waking clients to the microsecond. The timers of tokio come up to a millisecond late, which is longer than many a
//! transaction takes.

use std::cell::Cell;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::task::Poll;
use std::task::Waker;
use std::time::Instant;

/// The alarm clock of one thread.
pub struct Alarm {
    timer: timer::Timer,
    sleepers: RefCell<BinaryHeap<Reverse<Sleeper>>>,
    n_sleepers: Cell<u64>,
}

/// Compared by time, and by number where that is the same.
struct Sleeper {
    until: Instant,
    number: u64,
    waker: Waker,
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Sleeper {}

impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sleeper {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.until, self.number).cmp(&(other.until, other.number))
    }
}

impl Alarm {
    /// Within the runtime whose tasks it wakes.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            timer: timer::Timer::new()?,
            sleepers: RefCell::default(),
            n_sleepers: Cell::new(0),
        })
    }

    /// Returns at `until`, or at once if that is past. Somebody must be [`ring`](Self::ring)ing.
    pub async fn sleep_until(&self, until: Instant) {
        let mut is_waiting = false;
        std::future::poll_fn(|context| {
            if Instant::now() >= until {
                return Poll::Ready(());
            }
            if !is_waiting {
                is_waiting = true;
                self.add(until, context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Wakes sleepers, for ever.
    pub async fn ring(&self) -> io::Result<std::convert::Infallible> {
        loop {
            self.timer.rung().await?;
            let now = Instant::now();
            let mut sleepers = self.sleepers.borrow_mut();
            while let Some(Reverse(sleeper)) = sleepers.pop() {
                if sleeper.until > now {
                    self.timer.set(sleeper.until - now);
                    sleepers.push(Reverse(sleeper));
                    break;
                }
                sleeper.waker.wake();
            }
        }
    }

    fn add(&self, until: Instant, waker: Waker) {
        let number = self.n_sleepers.get();
        self.n_sleepers.set(number + 1);
        let mut sleepers = self.sleepers.borrow_mut();
        if sleepers.peek().is_none_or(|first| until < first.0.until) {
            self.timer.set(until.saturating_duration_since(Instant::now()));
        }
        sleepers.push(Reverse(Sleeper { until, number, waker }));
    }
}

#[cfg(target_os = "linux")]
mod timer {
    use std::io;
    use std::os::fd::AsFd as _;
    use std::os::fd::AsRawFd;
    use std::os::fd::RawFd;
    use std::time::Duration;

    use nix::sys::time::TimeSpec;
    use nix::sys::timerfd::ClockId;
    use nix::sys::timerfd::Expiration;
    use nix::sys::timerfd::TimerFd;
    use nix::sys::timerfd::TimerFlags;
    use nix::sys::timerfd::TimerSetTimeFlags;
    use tokio::io::unix::AsyncFd;

    struct Descriptor(TimerFd);

    impl AsRawFd for Descriptor {
        fn as_raw_fd(&self) -> RawFd {
            self.0.as_fd().as_raw_fd()
        }
    }

    /// A timer of the kernel, by nanoseconds.
    pub struct Timer(AsyncFd<Descriptor>);

    impl Timer {
        pub fn new() -> io::Result<Self> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
            Ok(Self(AsyncFd::new(Descriptor(timer))?))
        }

        /// Rings once after `time`, and not when it would have before.
        pub fn set(&self, time: Duration) {
            // Nothing at all would switch it off.
            let time = TimeSpec::from_duration(time.max(Duration::from_nanos(1)));
            let set = self
                .0
                .get_ref()
                .0
                .set(Expiration::OneShot(time), TimerSetTimeFlags::empty());
            set.expect("a timer of ours takes any positive time");
        }

        /// Waits until it rings.
        pub async fn rung(&self) -> io::Result<()> {
            // Setting it anew takes back what has not been read, so nothing is read.
            self.0.readable().await?.clear_ready();
            Ok(())
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod timer {
    use std::cell::Cell;
    use std::io;
    use std::time::Duration;
    use std::time::Instant;

    use tokio::sync::Notify;

    /// A timer of tokio, by milliseconds.
    pub struct Timer {
        until: Cell<Option<Instant>>,
        changed: Notify,
    }

    impl Timer {
        pub fn new() -> io::Result<Self> {
            Ok(Self {
                until: Cell::new(None),
                changed: Notify::new(),
            })
        }

        /// Rings once after `time`, and not when it would have before.
        pub fn set(&self, time: Duration) {
            self.until.set(Some(Instant::now() + time));
            self.changed.notify_one();
        }

        /// Waits until it rings.
        pub async fn rung(&self) -> io::Result<()> {
            loop {
                let Some(until) = self.until.get() else {
                    self.changed.notified().await;
                    continue;
                };
                tokio::select! {
                    () = tokio::time::sleep_until(until.into()) => {
                        self.until.set(None);
                        return Ok(());
                    }
                    () = self.changed.notified() => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn sleepers_wake_in_the_order_of_their_times_and_never_early() {
        let alarm = Alarm::new().unwrap();
        let (woken, began) = (RefCell::new(Vec::new()), Instant::now());
        let sleep = async |ms: u64| {
            let until = began + Duration::from_millis(ms);
            alarm.sleep_until(until).await;
            assert!(Instant::now() >= until);
            woken.borrow_mut().push(ms);
        };
        let all = async { tokio::join!(sleep(30), sleep(10), sleep(0), sleep(20), sleep(10)) };
        tokio::select! {
            _ = alarm.ring() => unreachable!("it rings for ever"),
            _ = all => {}
        }
        assert_eq!(*woken.borrow(), [0, 10, 10, 20, 30]);
    }
}
