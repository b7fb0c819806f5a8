//! References that hold their bytes.

use std::fmt;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;

use crate::progress::Meter;
use crate::{
    FetchContext, FetchError, Fetched, HashKey, Reference, RequiredScopes, Target, TargetError,
};

/// Bytes that stand in the reference itself.
pub(super) struct InlineReference {
    pub(super) bytes: Bytes,
}

#[async_trait]
impl Reference for InlineReference {
    fn subject(&self) -> String {
        format!("{} inline bytes", self.bytes.len())
    }

    fn hash_key(&self) -> HashKey {
        HashKey::of_bytes("inline", &self.bytes)
    }

    fn scopes(&self) -> RequiredScopes {
        RequiredScopes::none()
    }

    async fn fetch(
        &self,
        context: &FetchContext,
        target: &mut dyn Target,
    ) -> Result<Fetched, FetchError> {
        let start = Instant::now();
        let length = self.bytes.len() as u64;
        let interval = context.config().progress_interval;
        let mut meter = Meter::start(&self.subject(), context.listener(), interval);
        meter.position(0, Some(length));
        self.store(target)
            .await
            .map_err(|source| FetchError::Target {
                subject: self.subject(),
                source,
            })?;
        meter.add(length);
        meter.finish();
        Ok(Fetched {
            bytes: length,
            attempts: 0,
            elapsed: start.elapsed(),
        })
    }
}

impl InlineReference {
    async fn store(&self, target: &mut dyn Target) -> Result<(), TargetError> {
        target.reset().await?;
        target.write(self.bytes.clone()).await?;
        target.commit().await
    }
}

impl fmt::Debug for InlineReference {
    /// What a task's author writes inline may be anything, so it stays out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InlineReference({} bytes)", self.bytes.len())
    }
}
