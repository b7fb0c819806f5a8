//! Monitors for workers: logs, metrics and error reports.
