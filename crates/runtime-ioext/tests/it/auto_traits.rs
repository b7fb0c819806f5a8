//! Auto traits of the public handles and futures.

use runtime_ioext::Root;
use runtime_ioext::log::{
    FollowedLog, LineWriter, LogReader, LogWriter, OutputLimit, OutputLimitWriter, RedactingWriter,
    Redactor,
};
use runtime_ioext::pipe::{
    BoundedReader, BoundedWriter, Credit, CreditReader, CreditWriter, PipeStats,
};
use runtime_ioext::stream::{ObservedStream, TellHandle, TellReader};

fn handle<T: Send + Sync + Unpin + 'static>() {}
fn future<T: Future + Send>(_: T) {}

#[test]
fn handles_are_send_sync_and_unpin() {
    handle::<FollowedLog>();
    handle::<LogReader>();
    handle::<LogWriter>();
    handle::<LineWriter>();
    handle::<Redactor>();
    handle::<OutputLimit>();
    handle::<RedactingWriter<LineWriter<OutputLimitWriter>>>();
    handle::<BoundedReader>();
    handle::<BoundedWriter>();
    handle::<PipeStats>();
    handle::<Credit>();
    handle::<CreditReader>();
    handle::<CreditWriter>();
    handle::<Root>();
    handle::<TellReader<LogReader>>();
    handle::<TellHandle>();
    handle::<ObservedStream<LogReader>>();
}

#[test]
fn futures_are_send() {
    let folder = tempfile::tempdir().unwrap();
    let log = FollowedLog::create(folder.path().join("task.log")).unwrap();
    let (mut reader, mut writer) = (log.reader(), log.writer());
    future(reader.next_chunk());
    future(runtime_ioext::copy::copy(&mut reader, &mut writer));
    future(runtime_ioext::copy::copy_and_close(
        log.reader(),
        log.writer(),
    ));
    future(runtime_ioext::copy::copy_and_flush(
        &mut reader,
        &mut writer,
        std::time::Duration::ZERO,
    ));
    future(runtime_ioext::bounded_read_all(log.reader(), 1));
    let (bounded, mut unread) = runtime_ioext::pipe::bounded_pipe(1);
    future(unread.next_chunk());
    future(bounded.stats().next());
}
