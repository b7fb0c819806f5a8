//! The public API in one test program, so that there is one program to link.

mod artifacts;
mod auth;
mod browsers;
mod claims;
mod faults;
mod observed;
mod page;
mod properties;
mod restarts;
mod services;
mod support;
mod tasks;
mod uploads;
