//! The processor time that making load takes.

use std::time::Duration;

use nix::time::ClockId;
use nix::time::clock_gettime;

/// Of the thread that asks, since it was started; nothing where the system does not say.
pub fn of_this_thread() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_processor_time_and_waiting_does_not() {
        let before = of_this_thread();
        let (send, receive) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            let began = of_this_thread();
            while of_this_thread() < began + Duration::from_millis(5) {}
            drop(send);
        });
        // Nothing is ever sent: this waits for the work of the other thread.
        receive.recv().unwrap_err();
        assert!(of_this_thread() < before + Duration::from_millis(5));
    }
}
