//! Random operations on a log, compared with a vector.

use std::io::SeekFrom;

use proptest::prelude::*;
use runtime_ioext::FollowedLog;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    Flush,
    Seek(f64),
    Read(usize),
    Chunk,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_usize..300).prop_map(Step::Write),
        (0_usize..200_000).prop_map(Step::Write),
        Just(Step::Flush),
        (0.0..1.0).prop_map(Step::Seek),
        (1_usize..100_000).prop_map(Step::Read),
        Just(Step::Chunk),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn readers_match_the_model(steps in prop::collection::vec(step(), 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let log = FollowedLog::create(folder.path().join("task.log")).unwrap();
            let (writer, mut reader) = (log.writer(), log.reader());
            let (mut written, mut at) = (Vec::new(), 0);
            for step in steps {
                let is_behind = at < written.len();
                match step {
                    Step::Write(len) => {
                        let bytes: Vec<u8> = (0..len).map(|i| ((written.len() + i) % 251) as u8).collect();
                        writer.write_all(&bytes).unwrap();
                        written.extend(bytes);
                    }
                    Step::Flush => writer.flush().unwrap(),
                    Step::Seek(part) => {
                        at = (written.len() as f64 * part) as usize;
                        reader.seek(SeekFrom::Start(at as u64)).await.unwrap();
                    }
                    Step::Read(most) if is_behind => {
                        let mut buffer = vec![0; most];
                        let n = reader.read(&mut buffer).await.unwrap();
                        assert!(n > 0 && buffer[..n] == written[at..at + n]);
                        at += n;
                    }
                    Step::Chunk if is_behind => {
                        let chunk = reader.next_chunk().await.unwrap().unwrap();
                        assert!(chunk[..] == written[at..at + chunk.len()]);
                        at += chunk.len();
                    }
                    Step::Read(_) | Step::Chunk => {}
                }
                assert_eq!(reader.offset(), at as u64);
                assert_eq!(log.len(), written.len() as u64);
            }
            log.close().unwrap();
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).await.unwrap();
            assert!(rest == written[at..]);
            assert!(std::fs::read(log.path()).unwrap() == written);
        });
    }
}
