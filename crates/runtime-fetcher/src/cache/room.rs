//! Room on disk for an input that comes.

use async_trait::async_trait;
use bytes::Bytes;
use runtime_caching::NewFolder;
use runtime_gc::Reservation;

use crate::{Target, TargetError};

/// What is smaller is not worth a look at the disk: the collector's floors are there for it.
const WORTH: u64 = 1 << 20;

/// Has the collector keep room for what will come, as far as the server says how much that is.
///
/// Of an archive that is unpacked, that is the archive: nobody knows how much is in it.
pub(super) struct Reserving<T> {
    target: T,
    draft: NewFolder,
    reservation: Option<Reservation>,
}

impl<T> Reserving<T> {
    pub(super) fn new(target: T, draft: &NewFolder) -> Self {
        Self {
            target,
            draft: draft.clone(),
            reservation: None,
        }
    }
}

#[async_trait]
impl<T: Target> Target for Reserving<T> {
    async fn expect(&mut self, bytes: u64) -> Result<(), TargetError> {
        if bytes >= WORTH {
            self.reservation = Some(self.draft.reserve(bytes).await?);
        }
        self.target.expect(bytes).await
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), TargetError> {
        let length = bytes.len() as u64;
        self.target.write(bytes).await?;
        if let Some(reservation) = &mut self.reservation {
            reservation.written(length);
        }
        Ok(())
    }

    async fn reset(&mut self) -> Result<(), TargetError> {
        // It would count against the next pass.
        self.reservation = None;
        self.target.reset().await
    }

    async fn commit(&mut self) -> Result<(), TargetError> {
        self.target.commit().await
    }
}
