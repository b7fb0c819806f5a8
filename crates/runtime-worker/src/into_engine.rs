//! The result of creating an engine.

use runtime_core::BoxError;

use crate::engine::Engine;

/// An engine, or a `Result` with one: the result of a function that creates an engine, which may fail.
pub trait IntoEngine {
    /// The type of the engine.
    type Engine: Engine + 'static;

    /// Returns the engine.
    ///
    /// # Errors
    ///
    /// The error of the function.
    fn into_engine(self) -> Result<Self::Engine, BoxError>;
}

impl<E: Engine + 'static> IntoEngine for E {
    type Engine = E;

    fn into_engine(self) -> Result<E, BoxError> {
        Ok(self)
    }
}

impl<E: Engine + 'static, X: Into<BoxError>> IntoEngine for Result<E, X> {
    type Engine = E;

    fn into_engine(self) -> Result<E, BoxError> {
        self.map_err(Into::into)
    }
}
