//! The public API in one test program, so that there is one program to link.

mod authorizer;
mod calls;
mod claims;
mod clocks;
mod deployment;
mod extremes;
mod identity;
mod pool_config;
mod registration;
mod services;
mod shutdown;
mod support;
mod taskcluster;
mod trace_ids;
mod upload;
mod upload_wire;
