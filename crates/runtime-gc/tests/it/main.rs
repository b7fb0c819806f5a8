//! The public API in one test program, so that there is one program to link.

mod amounts;
mod background;
mod collect;
mod config;
mod dispose;
mod limits;
mod plan;
mod reserve;
mod support;
