//! Plots of soak tests and benchmarks as standalone SVG files.
//!
//! The program `plots` reads the JSON lines of benchmarks and writes a file for each plot that they mention.

mod frame;
mod growth;
mod time;

pub use frame::Series;
pub use growth::GrowthPlot;
pub use time::plot_over_time;
