//! The clients of one thread: a thread of the system with a runtime of its own, so that pages never wait for clients nor
//! clients for pages.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use crate::benchmark::generator::alarm::Alarm;
use crate::benchmark::generator::client::Client;
use crate::benchmark::generator::client::Doing;
use crate::benchmark::generator::client::Seat;
use crate::benchmark::generator::control::Control;
use crate::benchmark::generator::errors;
use crate::benchmark::generator::errors::Errors;
use crate::benchmark::generator::pace::Schedule;
use crate::benchmark::generator::plan::Prepared;
use crate::benchmark::generator::recorder::Recorder;
use crate::benchmark::generator::recorder::ThreadReport;
use crate::benchmark::generator::report::Ended;
use crate::benchmark::generator::report::SecondReport;
use crate::model::benchmark::ConnectionMode;
use crate::model::benchmark::Pace;
use crate::target::wire::Canceller;
use crate::target::wire::ConnectError;
use crate::target::wire::Dial;
use crate::target::wire::Wire;

/// How many connections a thread makes at once.
const MOST_CONNECTING: usize = 8;

/// How long transactions may go on after the end of a level before they are cancelled, and where it was ended early.
const PATIENCE: Duration = Duration::from_secs(1);
const PATIENCE_IF_STOPPED: Duration = Duration::from_millis(250);

/// How long a server may take to cancel them before their connections are dropped.
const PATIENCE_WITH_SERVER: Duration = Duration::from_millis(400);

/// What a crew needs to know.
pub struct Orders {
    pub dial: Arc<Dial>,
    pub prepared: Arc<Prepared>,
    pub control: Arc<Control>,
    /// The numbers of its clients.
    pub client_ids: Range<u32>,
    pub seconds: mpsc::Sender<SecondReport>,
    pub ready: oneshot::Sender<Muster>,
    /// Dropped where the level is not to begin.
    pub begin: oneshot::Receiver<Begin>,
    pub done: oneshot::Sender<ThreadReport>,
}

/// What came of connecting.
#[derive(Debug)]
pub struct Muster {
    pub n_connected: u32,
    pub errors: Errors,
}

/// Word to begin.
#[derive(Clone)]
pub struct Begin {
    pub at: Instant,
    /// This crew's part of the rate, 0 to 1.
    pub share: f64,
    pub stop: CancellationToken,
}

/// What the clients of a thread have in common.
pub struct Crew {
    pub dial: Arc<Dial>,
    pub prepared: Arc<Prepared>,
    pub control: Arc<Control>,
    pub recorder: RefCell<Recorder>,
    /// None in a closed loop.
    pub schedule: Option<RefCell<Schedule>>,
    /// How late a transaction may be.
    pub limit: Option<Duration>,
    /// Whether it is more than one client.
    pub has_others: bool,
    alarm: Alarm,
    began: Instant,
}

impl Crew {
    /// From the beginning of the load.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// When the level ends.
    pub fn end(&self) -> Duration {
        self.control.end()
    }

    pub async fn sleep_until(&self, at: Duration) {
        self.alarm.sleep_until(self.began + at).await;
    }
}

/// A client at work.
struct Member {
    seat: Rc<Seat>,
    task: JoinHandle<()>,
}

/// Does what a thread of the level does. Fails where the system gives it no runtime.
pub fn run(orders: Orders) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let worked = LocalSet::new().block_on(&runtime, work(orders));
    // A name that is still being looked up is nobody's concern any more.
    runtime.shutdown_background();
    worked
}

async fn work(orders: Orders) -> std::io::Result<()> {
    let Orders {
        dial,
        prepared,
        control,
        client_ids,
        seconds,
        ready,
        begin,
        done,
    } = orders;
    let mut recorder = Recorder::new(prepared.timeline, prepared.program_reports(), seconds);
    // Whoever waits for the crew may go away meanwhile; then `begin` is closed, and connecting is not waited for.
    let mut begin = begin;
    let wires = tokio::select! {
        wires = muster(&dial, &prepared, client_ids, &mut recorder) => wires,
        _ = &mut begin => return Ok(()),
    };
    let muster = Muster {
        n_connected: u32::try_from(wires.len()).unwrap_or(u32::MAX),
        errors: recorder.early_errors().clone(),
    };
    let (Ok(()), Ok(begin)) = (ready.send(muster), begin.await) else {
        return Ok(());
    };
    let plan = &prepared.plan;
    let (schedule, limit) = match plan.pace {
        Pace::Closed => (None, None),
        Pace::Rate {
            per_s,
            latency_limit_ms,
        } => {
            let limit = latency_limit_ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1e3).ok());
            let first_client = wires.first().map_or(0, |(client_id, _)| *client_id);
            let schedule = Schedule::new(plan.setup.seed, first_client, per_s * begin.share, limit);
            (Some(RefCell::new(schedule)), limit)
        }
    };
    tokio::select! {
        () = tokio::time::sleep_until(begin.at.into()) => {}
        () = begin.stop.cancelled() => {}
    }
    recorder.begin();
    let crew = Rc::new(Crew {
        dial,
        control,
        recorder: RefCell::new(recorder),
        schedule,
        limit,
        has_others: wires.len() > 1,
        alarm: Alarm::new()?,
        began: begin.at,
        prepared,
    });
    let report = crew.lead(wires, &begin.stop).await?;
    // Nobody listens only where nobody waits for the level any more.
    let _ = done.send(report);
    Ok(())
}

/// Connects the clients; those who are let in, with their numbers.
async fn muster(
    dial: &Dial,
    prepared: &Prepared,
    client_ids: Range<u32>,
    recorder: &mut Recorder,
) -> Vec<(u32, Option<Wire>)> {
    let client_ids: Vec<u32> = client_ids.collect();
    if prepared.plan.connection == ConnectionMode::PerTransaction {
        // One shows whether there is a server that lets us in.
        return match try_connect(dial, recorder).await {
            Err(_) => Vec::new(),
            Ok(wire) => {
                recorder.disconnected();
                wire.close().await;
                client_ids.into_iter().map(|client_id| (client_id, None)).collect()
            }
        };
    }
    let mut wires = Vec::new();
    for some in client_ids.chunks(MOST_CONNECTING) {
        let began = Instant::now();
        let connecting = some
            .iter()
            .map(async |client_id| (*client_id, Wire::connect(dial).await, began.elapsed()));
        let mut is_hopeless = wires.is_empty();
        for (client_id, connected, took) in join_all(connecting).await {
            match note(connected, took, recorder) {
                Ok(wire) => wires.push((client_id, Some(wire))),
                Err(error) => is_hopeless &= !matches!(error, ConnectError::Refused(_)),
            }
        }
        // Where nobody is, the others need not wait for it one after the other.
        if is_hopeless && wires.is_empty() {
            break;
        }
    }
    wires
}

async fn try_connect(dial: &Dial, recorder: &mut Recorder) -> Result<Wire, ConnectError> {
    let began = Instant::now();
    let connected = Wire::connect(dial).await;
    note(connected, began.elapsed(), recorder)
}

fn note(connected: Result<Wire, ConnectError>, took: Duration, recorder: &mut Recorder) -> Result<Wire, ConnectError> {
    match &connected {
        Ok(_) => recorder.connected(took),
        Err(error) => recorder.refused(Duration::ZERO, errors::sqlstate(error), error),
    }
    connected
}

impl Crew {
    /// Has the clients work until the level is over, and says what they did.
    async fn lead(
        self: &Rc<Self>,
        wires: Vec<(u32, Option<Wire>)>,
        stop: &CancellationToken,
    ) -> std::io::Result<ThreadReport> {
        let leading = async {
            let members = wires
                .into_iter()
                .map(|(client_id, wire)| self.enlist(client_id, wire))
                .collect();
            self.keep_time(stop).await;
            self.recorder.borrow_mut().end(self.end());
            self.dismiss(members).await;
        };
        tokio::select! {
            () = leading => Ok(self.recorder.borrow_mut().take_report()),
            // It rings for ever, unless it breaks.
            Err(error) = self.alarm.ring() => Err(error),
        }
    }

    fn enlist(self: &Rc<Self>, client_id: u32, wire: Option<Wire>) -> Member {
        let seat = Rc::new(Seat::new());
        let client = Client::new(Rc::clone(self), Rc::clone(&seat), client_id, wire);
        Member {
            task: tokio::task::spawn_local(client.work()),
            seat,
        }
    }

    /// Hands over the seconds as they pass, until the level is over.
    async fn keep_time(&self, stop: &CancellationToken) {
        loop {
            let next = self.recorder.borrow().next_second().min(self.end());
            tokio::select! {
                // Not by a timer of the runtime: each wait for the server would then set one in the kernel, and take it back.
                () = self.sleep_until(next) => {}
                () = self.control.over() => return,
                () = stop.cancelled() => return self.control.end_now(self.now(), Ended::Stopped),
            }
            let now = self.now();
            if now >= self.end() {
                return;
            }
            self.recorder.borrow_mut().reach(now);
        }
    }

    /// Sends the clients home: those who wait at once, those in a transaction when it is over, and the rest when the server
    /// has cancelled what they do, or does not.
    async fn dismiss(&self, mut members: Vec<Member>) {
        for member in &members {
            if member.seat.doing.get() == Doing::Nothing {
                member.task.abort();
            }
        }
        let patience = match self.control.ended() {
            Ended::Finished => PATIENCE,
            Ended::Stopped | Ended::TooManyErrors | Ended::NoClientLeft => PATIENCE_IF_STOPPED,
        };
        // Those who are not gone then are cancelled.
        let _ = tokio::time::timeout(patience, all_gone(&mut members)).await;
        members.retain(|member| !member.task.is_finished());
        let mut cancelling = Vec::new();
        for member in &members {
            member.seat.doing.set(Doing::Cut);
            cancelling.extend(member.seat.canceller.borrow().clone().map(Canceller::cancel));
        }
        let cancelled = async {
            // Where it cannot be cancelled, its connection is dropped.
            let _ = join_all(cancelling).await;
            all_gone(&mut members).await;
        };
        // Those who are not gone then are dropped.
        let _ = tokio::time::timeout(PATIENCE_WITH_SERVER, cancelled).await;
        for member in members.iter().filter(|member| !member.task.is_finished()) {
            member.task.abort();
            if member.seat.doing.get() == Doing::Cut {
                self.recorder.borrow_mut().cut();
            }
        }
    }
}

async fn all_gone(members: &mut [Member]) {
    join_all(
        members
            .iter_mut()
            .filter(|member| !member.task.is_finished())
            .map(|member| &mut member.task),
    )
    .await;
}
