//! Auth: who somebody is, and what they may do.

mod authenticate;
pub(crate) mod clients;
mod manage;
mod roles;
mod tokens;

use crate::router::Method;

pub(crate) const METHODS: &[&[Method]] = &[
    authenticate::METHODS,
    tokens::METHODS,
    manage::METHODS,
    roles::METHODS,
];
