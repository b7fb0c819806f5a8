//! Finds the place of a problem: a line of the text, or a layer.

use serde_json::Value;

use super::external_values::visit_leaves;
use super::format::Format;
use super::lines::line_of;
use crate::problem::{Origins, Problem};

/// A layer of a configuration.
pub(super) struct Layer {
    /// `None` for the text of the configuration.
    pub(super) name: Option<String>,
    pub(super) value: Value,
    /// Whether errors must not quote its values.
    pub(super) is_secret: bool,
}

/// Adds the values of secret layers to those that errors must not quote.
pub(super) fn hide_secret_layers(layers: &[Layer], origins: &mut Origins) {
    for layer in layers {
        visit_leaves(&layer.value, "", &mut |pointer, _| match &layer.name {
            // A reference in the layer has another source already.
            Some(name) if layer.is_secret => {
                let origin = origins.entry(pointer.to_owned());
                origin.or_insert_with(|| name.clone());
            }
            _ => {}
        });
    }
}

/// Renders problems with their places, in the order of the lines.
pub(super) fn with_places(
    problems: Vec<Problem>,
    layers: &[Layer],
    (text, format): (&str, Format),
) -> Vec<String> {
    let mut problems: Vec<_> = problems
        .into_iter()
        .map(|problem| {
            let layer = layer_of(layers, &problem.pointer);
            if let Some(name) = layer.and_then(|layer| layer.name.as_deref()) {
                return (usize::MAX, format!("in {name}: {}", problem.text));
            }
            let line = line_of(text, format, &problem.pointer)
                // A missing key has the line of its map.
                .or_else(|| line_of(text, format, parent(&problem.pointer)));
            let rendered = match line {
                Some(line) => format!("line {line}: {}", problem.text),
                None => problem.text,
            };
            (line.unwrap_or(usize::MAX), rendered)
        })
        .collect();
    // A stable sort keeps the notice about further problems, which has no line, at the end.
    problems.sort_by_key(|(line, _)| *line);
    problems.into_iter().map(|(_, problem)| problem).collect()
}

/// Returns the highest layer with this key. A missing key is in none.
fn layer_of<'a>(layers: &'a [Layer], pointer: &str) -> Option<&'a Layer> {
    let mut layers = layers.iter().rev();
    layers.find(|layer| !pointer.is_empty() && layer.value.pointer(pointer).is_some())
}

fn parent(pointer: &str) -> &str {
    pointer.rsplit_once('/').map_or("", |(parent, _)| parent)
}
