//! The worker manager for static workers: pools, registration, errors.

mod pools;
mod register;

use crate::method::Method;

pub(super) const METHODS: &[&[Method]] = &[register::METHODS, pools::METHODS];
