//! Values that are only formatted if somebody listens.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use runtime_core::monitor::Scope;

/// Replaces the secrets in a text.
pub(crate) type Redact = Arc<dyn Fn(&str) -> Cow<'_, str> + Send + Sync>;

/// The tags of a scope and those that all scopes have.
///
/// `{:?}` gives `name=value name=value`; `{:#?}` gives the members of a JSON object, without braces.
pub(crate) struct Tags<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) common: &'a [(String, String)],
    pub(crate) redact: Option<&'a Redact>,
}

impl Tags<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.common.is_empty() && self.scope.tags().next().is_none()
    }

    /// The outermost first, and each name once, with the innermost value.
    fn collect(&self) -> Vec<(&str, Cow<'_, str>)> {
        let common = self.common.iter().rev();
        let common = common.map(|(name, value)| (&**name, &**value));
        let of_scope = self
            .scope
            .tags()
            .map(|(name, value)| -> (&str, &str) { (name, value) });
        let all = of_scope.chain(common);
        let mut tags: Vec<(&str, Cow<'_, str>)> = Vec::new();
        for (name, value) in all {
            if tags.iter().all(|(known, _)| *known != name) {
                tags.push((name, redacted(self.redact, value)));
            }
        }
        tags.reverse();
        tags
    }
}

impl fmt::Debug for Tags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if f.alternate() { "," } else { " " };
        for (index, (name, value)) in self.collect().into_iter().enumerate() {
            if index > 0 {
                f.write_str(separator)?;
            }
            match f.alternate() {
                true => write!(f, "{}:{}", json(name), json(&value))?,
                false => write!(f, "{name}={value}")?,
            }
        }
        Ok(())
    }
}

/// A text as a JSON string.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A message without secrets.
pub(crate) struct Redacted<'a> {
    pub(crate) message: &'a dyn fmt::Display,
    pub(crate) redact: Option<&'a Redact>,
}

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.redact {
            // Most messages have nothing to hide and go where they are wanted without a copy.
            None => self.message.fmt(f),
            Some(redact) => f.write_str(&redact(&self.message.to_string())),
        }
    }
}

fn redacted<'a>(redact: Option<&Redact>, text: &'a str) -> Cow<'a, str> {
    redact.map_or(Cow::Borrowed(text), |redact| redact(text))
}
