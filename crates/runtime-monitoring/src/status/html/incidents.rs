//! The most recent incidents.

use std::sync::Arc;

use jiff::Timestamp;
use maud::{Markup, html};
use runtime_core::monitor::Severity;

use super::units::time;
use crate::incidents::Incident;

pub(super) fn section(incidents: &[Arc<Incident>], now: Timestamp) -> Markup {
    html! {
        section #incidents data-live {
            h2 { "Incidents " span.count { (incidents.len()) } }
            @if incidents.is_empty() { p.empty { "No incidents." } }
            @for incident in incidents { (card(incident, now)) }
        }
    }
}

fn card(incident: &Incident, now: Timestamp) -> Markup {
    let (class, severity) = match incident.severity {
        Severity::Error => ("bad", "error"),
        Severity::Warning => ("warn", "warning"),
    };
    html! {
        article.incident {
            p {
                span class={ "chip " (class) } { (severity) }
                b { (incident.context) }
                (time(incident.at, now))
            }
            ol { @for cause in &incident.errors { li { (cause.message) } } }
            p.quiet {
                code { (incident.id) }
                @if !incident.prefix.is_empty() { span { (incident.prefix) } }
                @for (name, value) in &incident.tags { span { (name) "=" (value) } }
            }
        }
    }
}
