//! The resources of the collector, in the order of eviction.

use maud::{Markup, html};
use runtime_core::util::ByteSize;
use runtime_gc::{CollectionPlan, PlannedAction, PlannedResource, Size};

/// The maximum number of listed resources.
const MAX_ROWS: usize = 50;

pub(super) fn section(plan: &CollectionPlan) -> Markup {
    let resources = &plan.resources;
    let disk: u64 = resources.iter().map(|it| it.footprint.disk.known()).sum();
    html! {
        section #caches data-live {
            h2 {
                "Caches " span.count { (resources.len()) } " "
                span.quiet { (ByteSize(disk)) " on disk" }
            }
            @if plan.shortages.is_empty() {
                p.quiet { "No threshold is exceeded, nothing needs to be evicted." }
            }
            @for shortage in &plan.shortages { p.problem { (shortage) } }
            @for skipped in &plan.skipped { p.quiet { (skipped) } }
            @if resources.is_empty() {
                p.empty { "No cached resources." }
            } @else {
                (table(resources))
            }
        }
    }
}

fn table(resources: &[PlannedResource]) -> Markup {
    html! {
        table {
            thead {
                tr { th { "resource" } th { "cost" } th.n { "disk" } th.n { "memory" } th { "next collection" } }
            }
            tbody { @for resource in resources.iter().take(MAX_ROWS) { (row(resource)) } }
        }
        @if let Some(more @ 1..) = resources.len().checked_sub(MAX_ROWS) {
            p.quiet { "and " (more) " more" }
        }
    }
}

fn row(resource: &PlannedResource) -> Markup {
    let class = match resource.action {
        PlannedAction::Evict(_) | PlannedAction::Disposing => "running",
        PlannedAction::Quarantined(_) => "bad",
        _ => "idle",
    };
    html! {
        tr {
            td { (resource.name) }
            td { (resource.class) }
            td.n { (size(resource.footprint.disk)) }
            td.n { (size(resource.footprint.memory)) }
            td { span class={ "dot " (class) } {} (resource.action) }
        }
    }
}

fn size(size: Size) -> String {
    match size {
        Size::None => "–".to_owned(),
        Size::Known(bytes) => ByteSize(bytes).to_string(),
        Size::Unknown => "?".to_owned(),
    }
}
