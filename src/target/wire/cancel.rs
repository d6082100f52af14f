//! Stopping a statement from outside: by a connection of its own, as the protocol wants it.

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use crate::target::wire::connect::ConnectError;
use crate::target::wire::connect::Means;
use crate::target::wire::connect::reach;
use crate::target::wire::dial::Dial;
use crate::target::wire::stream::Spot;

/// What the server gave a session to be cancelled by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub process_id: i32,
    pub secret: i32,
}

/// Stops the statement that a session is at. Knows nothing of which statement that is: a cancel that arrives late stops
/// the next one, or nothing.
#[derive(Clone, Debug)]
pub struct Canceller {
    pub(super) dial: Dial,
    pub(super) spot: Spot,
    pub(super) means: Means,
    pub(super) key: Option<Key>,
}

impl Canceller {
    /// Returns when the server has passed the request on, which says nothing about whether the statement obeys.
    pub async fn cancel(self) -> Result<(), ConnectError> {
        let Some(key) = self.key else {
            let sentence = format!("{} gives out no keys to cancel statements by", self.dial.place);
            return Err(ConnectError::Unmet(sentence));
        };
        let asking = async {
            let mut stream = reach(&self.dial, &self.spot, self.means).await?;
            let mut request = BytesMut::new();
            frontend::cancel_request(key.process_id, key.secret, &mut request);
            let away = |error| ConnectError::away(&self.dial, error);
            stream.send(&request).await.map_err(away)?;
            // The server answers by closing, when it has sent the signal; some close hard.
            let _ = stream.receive(&mut [0]).await;
            Ok(())
        };
        match tokio::time::timeout(self.dial.connect_timeout, asking).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::too_slow(&self.dial)),
        }
    }
}
