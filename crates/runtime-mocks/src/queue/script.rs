//! The script of a mock: expected calls with their results, and the calls so far.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;

use parking_lot::Mutex;

/// The expected calls in order, and the calls so far.
#[derive(Debug, Default)]
pub(super) struct Script {
    expected: Mutex<VecDeque<ExpectedCall>>,
    calls: Mutex<Vec<String>>,
}

struct ExpectedCall {
    method: &'static str,
    /// The expected argument, such as a name. `None` accepts all.
    argument: Option<String>,
    /// The result, whose type depends on the method. The methods of `MockQueue` and the ports agree
    /// on it: one queue of boxed values keeps the order of calls across all ports.
    result: Box<dyn Any + Send>,
}

impl fmt::Debug for ExpectedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let argument = self.argument.as_deref().unwrap_or("..");
        write!(f, "{}({argument})", self.method)
    }
}

impl Script {
    /// Adds an expected call with its result.
    pub(super) fn expect<T: Send + 'static>(
        &self,
        method: &'static str,
        argument: Option<&str>,
        result: T,
    ) {
        self.expected.lock().push_back(ExpectedCall {
            method,
            argument: argument.map(str::to_owned),
            result: Box::new(result),
        });
    }

    /// Records a call and returns its result.
    ///
    /// # Panics
    ///
    /// Panics if the next expected call is another one, or if no call is expected.
    pub(super) fn call<T: 'static>(&self, method: &'static str, argument: &str) -> T {
        self.calls.lock().push(format!("{method}({argument})"));
        // The lock is released before the panics below: `missing` takes it when the handle drops.
        let expected = self.expected.lock().pop_front();
        let Some(expected) = expected else {
            panic!("unexpected call {method}({argument}): no further call is expected");
        };
        let is_expected = expected.method == method
            && expected
                .argument
                .as_deref()
                .is_none_or(|expected| expected == argument);
        assert!(
            is_expected,
            "unexpected call {method}({argument}): {expected:?} is expected next"
        );
        match expected.result.downcast() {
            Ok(result) => *result,
            Err(_) => panic!("the result of {method} has the wrong type"),
        }
    }

    /// Returns the calls so far.
    pub(super) fn calls(&self) -> Vec<String> {
        self.calls.lock().clone()
    }

    /// Returns the expected calls that were not made.
    pub(super) fn missing(&self) -> Vec<String> {
        let expected = self.expected.lock();
        expected.iter().map(|call| format!("{call:?}")).collect()
    }
}
