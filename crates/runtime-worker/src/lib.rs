//! Claims tasks, runs them in an engine with plugins, and resolves each exactly once.
