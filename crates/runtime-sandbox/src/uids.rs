//! User ids for commands that run at the same time.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};

use crate::error::SpawnError;

/// The user ids that commands of this process use.
static IN_USE: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// A user id that no other command of this process has. When the lease is dropped, the id is released.
///
/// For several commands that share files, see [`Isolation::lease_user`](crate::Isolation::lease_user).
#[derive(Debug)]
pub struct UserLease(u32);

impl UserLease {
    /// Takes the lowest free id of a range.
    pub(crate) fn take(range: &RangeInclusive<u32>) -> Result<Self, SpawnError> {
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        let free = range.clone().find(|user| !in_use.contains(user));
        let count = range.end().saturating_sub(*range.start()).saturating_add(1);
        let user = free.ok_or(SpawnError::NoFreeUser { count })?;
        in_use.insert(user);
        Ok(Self(user))
    }

    /// Returns the id of the user, and of its group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0
    }
}

impl Drop for UserLease {
    fn drop(&mut self) {
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.remove(&self.0);
    }
}
