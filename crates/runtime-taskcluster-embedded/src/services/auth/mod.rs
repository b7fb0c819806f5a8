//! The auth service: clients, roles, scopes and tokens.

mod authenticate;
mod clients;
mod roles;
mod test_authenticate;
mod tokens;

use crate::method::Method;

pub(super) const METHODS: &[&[Method]] = &[
    authenticate::METHODS,
    test_authenticate::METHODS,
    tokens::METHODS,
    clients::METHODS,
    roles::METHODS,
];
