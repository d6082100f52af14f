//! Who is asking.

use crate::model::ids::UserId;

/// The account on whose behalf the store is asked. What belongs to others does not exist for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewer {
    pub user_id: UserId,
}
