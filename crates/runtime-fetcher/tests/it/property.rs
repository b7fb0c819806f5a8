//! For any sequence of faults, the target holds exactly the right bytes or the fetch fails.

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::support::{Request, Server, Step, body, context, get_reference};

const LENGTH: usize = 60_000;

/// What a server does with one request.
#[derive(Clone, Debug)]
enum Fault {
    /// Everything is right.
    Nothing,
    /// The body ends early.
    Cut(usize),
    /// The connection is torn down.
    Reset(usize),
    /// The bytes are of another version, and say so or not.
    OtherVersion { tagged: bool },
    /// The range starts somewhere else than it says.
    Shifted(usize),
    /// The range is ignored.
    NoRange,
    /// Another status.
    Status(u16),
}

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![
        Just(Fault::Nothing),
        (0..LENGTH).prop_map(Fault::Cut),
        (0..LENGTH).prop_map(Fault::Reset),
        any::<bool>().prop_map(|tagged| Fault::OtherVersion { tagged }),
        (1..1000usize).prop_map(Fault::Shifted),
        Just(Fault::NoRange),
        prop_oneof![Just(416), Just(500), Just(404), Just(206), Just(204)].prop_map(Fault::Status),
    ];
    prop::collection::vec(fault, 0..6)
}

fn serve(request: &Request, fault: &Fault) -> Vec<Step> {
    let mut bytes = body(LENGTH);
    let mut tag = "\"right\"";
    if let Fault::OtherVersion { tagged } = fault {
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        tag = if *tagged { "\"other\"" } else { tag };
    }
    if let Fault::Status(status) = fault {
        return Step::answer(&format!("{status} Odd"), &[], b"");
    }
    let start = request
        .range_start()
        .filter(|_| !matches!(fault, Fault::NoRange));
    let mut steps = match start {
        None => Step::answer("200 OK", &[("ETag", tag)], &bytes),
        Some(start) => {
            let from = match fault {
                Fault::Shifted(by) => start.saturating_sub(*by),
                _ => start,
            };
            let range = format!("bytes {start}-{}/{LENGTH}", LENGTH - 1);
            let headers = [("ETag", tag), ("Content-Range", range.as_str())];
            Step::answer(
                "206 Partial Content",
                &headers,
                &bytes[from..][..LENGTH - start],
            )
        }
    };
    if let (Fault::Cut(at) | Fault::Reset(at), Step::Send(body)) = (fault, &mut steps[1]) {
        body.truncate(*at);
        steps.push(if matches!(fault, Fault::Cut(_)) {
            Step::Close
        } else {
            Step::Reset
        });
    }
    steps
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn a_checked_target_holds_the_right_bytes_or_the_fetch_fails(faults in faults()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("there is a runtime").block_on(async {
            let server = Server::start(move |request| {
                serve(request, faults.get(request.number).unwrap_or(&Fault::Nothing))
            }).await;
            let hash = format!("{:x}", Sha256::digest(body(LENGTH)));
            let reference = serde_json::json!({ "url": server.url("/"), "sha256": hash });
            if let Ok(bytes) = get_reference(&context(), reference).await {
                assert!(bytes == body(LENGTH));
            }
        });
    }
}
