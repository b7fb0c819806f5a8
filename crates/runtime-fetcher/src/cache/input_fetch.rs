//! Fetching one input into its new folder.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use runtime_caching::{ConstructionProgress, NewFolder};
use runtime_gc::Reservation;

use super::fingerprint::Fingerprint;
use super::layout::{CONTENT, InputLayout};
use crate::context::FetchContext;
use crate::error::FetchError;
use crate::progress::{FetchProgress, FetchStage};
use crate::reference::Reference;
use crate::target::{Target, TargetError};
use crate::targets::FileTarget;

/// Smaller inputs are not reserved: a reservation reads the disk statistics, and the free space that the
/// collector always keeps covers them.
const MIN_RESERVED_BYTES: u64 = 1 << 20;

// Texts and not a flag: waiters share the cache's progress type, which knows nothing of fetches.
/// The activities of a construction in this cache. The second one is reported when the fetch finished or stopped.
const FETCHING: &str = "fetching";
const ENDED: &str = "ended";

/// The settings of all fetches of a cache.
#[derive(Debug, Default)]
pub(super) struct FetchOptions {
    /// Records a [`Fingerprint`] of each input.
    pub(super) fingerprint: bool,
    #[cfg(feature = "unpack")]
    pub(super) unpack_limits: crate::unpack::UnpackLimits,
}

/// The fetch of one input, which owns all it needs: it may outlive the caller that began it.
pub(super) struct InputFetch {
    folder: NewFolder,
    context: FetchContext,
    reference: Arc<dyn Reference>,
    layout: InputLayout,
    options: Arc<FetchOptions>,
}

impl InputFetch {
    pub(super) fn new(
        folder: NewFolder,
        context: &FetchContext,
        reference: &Arc<dyn Reference>,
        layout: InputLayout,
        options: &Arc<FetchOptions>,
    ) -> Self {
        let (waiters, starter) = (folder.clone(), context.listener());
        let listener = move |progress: &FetchProgress| {
            let activity = match progress.stage {
                FetchStage::Started | FetchStage::Running => FETCHING,
                FetchStage::Finished | FetchStage::Stopped => ENDED,
                // Only to the caller that began the fetch: the channel to the waiters holds the latest position, not
                // a queue of events.
                FetchStage::Retrying { .. } => return starter(progress),
            };
            waiters.progress(progress.bytes, progress.total, activity);
        };
        Self {
            folder,
            context: context.clone().with_listener(listener),
            reference: Arc::clone(reference),
            layout,
            options: Arc::clone(options),
        }
    }

    /// Fetches the bytes, unpacks them if requested, and records their fingerprint if configured.
    pub(super) async fn run(self) -> Result<(), FetchError> {
        let content = self.folder.path().join(CONTENT);
        match self.layout {
            InputLayout::File => self.fetch_into(FileTarget::new(content)).await?,
            #[cfg(feature = "unpack")]
            InputLayout::Directory(format) => {
                let target = crate::targets::DirectoryTarget::new(content)
                    .with_format(format)
                    .with_limits(self.options.unpack_limits.clone());
                self.fetch_into(target).await?;
            }
        }
        // Over the unpacked entries, not the archive: they are what may change on disk later.
        if !self.options.fingerprint {
            return Ok(());
        }
        let recorded = Fingerprint::record(self.folder.path().to_owned()).await;
        recorded.map_err(|source| FetchError::Target {
            subject: self.reference.subject(),
            source,
        })
    }

    async fn fetch_into(&self, target: impl Target) -> Result<(), FetchError> {
        let mut target = ReservingTarget {
            target,
            folder: &self.folder,
            reservation: None,
        };
        self.reference.fetch(&self.context, &mut target).await?;
        // Dropping the target releases the rest of its reservation.
        Ok(())
    }
}

/// Returns whether a fetch reports no more progress after this.
pub(super) fn is_last(progress: &ConstructionProgress) -> bool {
    progress.activity == ENDED
}

/// A target that reserves disk space with the collector before the bytes arrive.
///
/// Only an announced length is reserved. For an archive that is the size of the archive: the size of its entries
/// is unknown.
struct ReservingTarget<'a, T> {
    target: T,
    folder: &'a NewFolder,
    reservation: Option<Reservation>,
}

#[async_trait]
impl<T: Target> Target for ReservingTarget<'_, T> {
    async fn expect(&mut self, bytes: u64) -> Result<(), TargetError> {
        // A reservation may start a collection, which costs more than a small input takes.
        if bytes >= MIN_RESERVED_BYTES {
            self.reservation = Some(self.folder.reserve(bytes).await?);
        }
        self.target.expect(bytes).await
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), TargetError> {
        let length = bytes.len() as u64;
        self.target.write(bytes).await?;
        // Written bytes show in the statistics of the disk, so they must not be reserved as well.
        if let Some(reservation) = &mut self.reservation {
            reservation.record_written(length);
        }
        Ok(())
    }

    async fn reset(&mut self) -> Result<(), TargetError> {
        // Released first: it would count against the reservation of the next pass.
        self.reservation = None;
        self.target.reset().await
    }

    async fn commit(&mut self) -> Result<(), TargetError> {
        self.target.commit().await
    }
}
