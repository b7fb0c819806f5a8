//! The calls that are expected, and those that have come.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;

use parking_lot::Mutex;

/// Expected calls in their order.
#[derive(Debug, Default)]
pub(super) struct Script {
    expected: Mutex<VecDeque<Expected>>,
    calls: Mutex<Vec<String>>,
}

struct Expected {
    method: &'static str,
    /// What the call must be about; anything if there is nothing.
    subject: Option<String>,
    answer: Box<dyn Any + Send>,
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}({})",
            self.method,
            self.subject.as_deref().unwrap_or("..")
        )
    }
}

impl Script {
    pub(super) fn expect<T: Send + 'static>(
        &self,
        method: &'static str,
        subject: Option<&str>,
        answer: T,
    ) {
        self.expected.lock().push_back(Expected {
            method,
            subject: subject.map(str::to_owned),
            answer: Box::new(answer),
        });
    }

    /// Takes the answer to a call, which must be the next that is expected.
    ///
    /// # Panics
    ///
    /// Panics if it is not.
    pub(super) fn call<T: 'static>(&self, method: &'static str, subject: &str) -> T {
        self.calls.lock().push(format!("{method}({subject})"));
        let expected = self.expected.lock().pop_front();
        let Some(expected) = expected else {
            panic!("{method}({subject}) was called, but no further call is expected");
        };
        let fits = expected
            .subject
            .as_deref()
            .is_none_or(|wanted| wanted == subject);
        assert!(
            expected.method == method && fits,
            "{method}({subject}) was called, but {expected:?} is expected next"
        );
        match expected.answer.downcast() {
            Ok(answer) => *answer,
            Err(_) => panic!("the answer to {method} has the wrong type"),
        }
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.calls.lock().clone()
    }

    pub(super) fn missing(&self) -> Vec<String> {
        let expected = self.expected.lock();
        expected
            .iter()
            .map(|expected| format!("{expected:?}"))
            .collect()
    }
}
