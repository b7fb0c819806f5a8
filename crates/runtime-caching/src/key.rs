//! The key of a cached resource.

use std::fmt;
use std::hash::Hash;

/// The trait bounds of a cache key. Implemented for every type that satisfies them.
pub trait CacheKey: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static {}

impl<K: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static> CacheKey for K {}
