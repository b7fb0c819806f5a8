//! The files that commands see.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use runtime_sandbox::{FileView, Isolation, SpawnError, SpawnStep, Wall};

use crate::support::{is_root, open_folder, run, shell};

fn strict(view: FileView) -> Isolation {
    Isolation::strict().files(view)
}

#[tokio::test]
async fn root_has_only_the_view() {
    let (_, output) = run(shell("ls -A /", Isolation::strict())).await;
    let known = [
        "bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "tmp", "usr",
    ];
    assert!(output.lines().all(|name| known.contains(&name)), "{output}");
    assert!(
        output.contains("usr") && output.contains("proc"),
        "{output}"
    );
}

#[tokio::test]
async fn bound_files_and_folders_appear() {
    let folder = open_folder();
    fs::write(folder.path().join("a"), "content").expect("a file");
    let file = folder.path().join("a");
    let view = FileView::system()
        .read_only(&file, "/deep/er/file")
        .read_write(folder.path(), "/data");
    let (_, output) = run(shell(
        "cat /deep/er/file; echo new >/data/b; cat /data/a",
        strict(view),
    ))
    .await;
    assert_eq!(output, "contentcontent");
    let written = fs::read_to_string(folder.path().join("b")).expect("the new file");
    assert_eq!(written, "new\n");
}

#[tokio::test]
async fn system_file_can_be_replaced() {
    let folder = open_folder();
    let file = folder.path().join("hosts");
    fs::write(&file, "another list").expect("a file");
    let view = FileView::system().read_only(&file, "/etc/hosts");
    let (_, output) = run(shell("cat /etc/hosts", strict(view))).await;
    assert_eq!(output, "another list");
}

#[tokio::test]
async fn read_only_covers_mounts_below() {
    let folder = open_folder();
    let view = FileView::system().read_only("/", "/machine");
    let script = format!(
        "test -d /machine{0} && ! touch /machine{0}/new",
        folder.path().display()
    );
    let (exit, output) = run(shell(&script, strict(view))).await;
    assert!(exit.status.success(), "{output}");
    assert!(!folder.path().join("new").exists());
}

#[tokio::test]
async fn hidden_files_appear_empty() {
    let folder = open_folder();
    fs::create_dir(folder.path().join("keys")).expect("a folder");
    for name in ["secret", "keys/secret"] {
        fs::write(folder.path().join(name), "secret").expect("a file");
    }
    let view = FileView::system().read_only(folder.path(), "/data");
    let view = view
        .hide("/data/secret")
        .hide("/data/keys")
        .hide("/data/missing")
        .hide("/elsewhere");
    let (_, output) = run(shell(
        "cat /data/secret; ls /data/keys; ls /data",
        strict(view),
    ))
    .await;
    assert_eq!(output, "keys\nsecret\n");
}

#[tokio::test]
async fn missing_source_is_named() {
    let view = FileView::system().read_only("/no/such/folder", "/data");
    let error = shell("true", strict(view))
        .spawn()
        .await
        .expect_err("missing");
    match &error {
        SpawnError::Step { step, path, .. } => {
            assert_eq!(*step, SpawnStep::Mount);
            assert_eq!(path.as_deref(), Some(Path::new("/no/such/folder")));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(error.wall(), Some(Wall::Files));
    assert!(error.to_string().contains("`/no/such/folder`"), "{error}");
}

#[tokio::test]
async fn devices_and_terminals_work() {
    let script = "echo x >/dev/null && head -c 3 /dev/zero | wc -c && head -c 1 /dev/urandom | wc -c \
                  && test -c /dev/full && ls /dev/pts && echo a | cat /dev/stdin && echo b >/dev/shm/file";
    let (exit, output) = run(shell(script, Isolation::strict())).await;
    assert_eq!(output, "3\n1\nptmx\na\n");
    assert!(exit.status.success());
}

#[tokio::test]
async fn temporary_files_are_private() {
    let script = "test -z \"$(ls -A /tmp)\" && echo x >/tmp/file && cat /tmp/file";
    for _ in 0..2 {
        let (exit, output) = run(shell(script, Isolation::strict())).await;
        assert!(exit.status.success(), "{output}");
    }
}

#[tokio::test]
async fn only_own_processes_are_visible() {
    for isolation in [Isolation::user(), Isolation::strict()] {
        let (_, output) = run(shell("cd /proc; echo [0-9]*", isolation)).await;
        // The init process does not show itself: it is not dumpable.
        assert_eq!(output, "2\n");
    }
}

/// Creates a folder that can be a root, with links to the system folders of the machine.
fn root_folder() -> tempfile::TempDir {
    let root = open_folder();
    for name in ["dev", "proc", "tmp", "usr", "etc"] {
        fs::create_dir(root.path().join(name)).expect("a folder");
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        match fs::read_link(Path::new("/").join(name)) {
            Ok(target) => symlink(target, root.path().join(name)).expect("a link"),
            Err(_) => fs::create_dir(root.path().join(name)).expect("a folder"),
        }
    }
    fs::write(root.path().join("etc/marker"), "image").expect("a file");
    root
}

#[tokio::test]
async fn folder_can_be_the_root() {
    let root = root_folder();
    let view = FileView::folder(root.path()).read_only("/usr", "/usr");
    let script = "cat /etc/marker && echo x >/tmp/x && cat /tmp/x && ! touch /new 2>/dev/null && test -c /dev/null";
    let (exit, output) = run(shell(script, strict(view))).await;
    assert_eq!(output, "imagex\n");
    assert!(exit.status.success());
}

#[tokio::test]
async fn link_in_a_root_stays_inside() {
    let (root, outside) = (root_folder(), open_folder());
    symlink(outside.path(), root.path().join("out")).expect("a link");
    // The target goes through a link to a folder of the machine, which does not exist inside.
    let view = FileView::folder(root.path())
        .read_only("/usr", "/usr")
        .read_only("/etc", "/out/etc");
    let error = shell("true", strict(view))
        .spawn()
        .await
        .expect_err("no such folder inside");
    assert!(
        matches!(
            error,
            SpawnError::Step {
                step: SpawnStep::Mount,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(fs::read_dir(outside.path()).expect("the folder").count(), 0);
}

#[tokio::test]
async fn overlay_keeps_changes_apart() {
    let (root, layer) = (root_folder(), open_folder());
    let (upper, work) = (layer.path().join("upper"), layer.path().join("work"));
    for folder in [&upper, &work] {
        fs::create_dir(folder).expect("a folder");
    }
    let mut user = None;
    if is_root() {
        // The root folder belongs to the command's user, who can then create files in it.
        user = Some((54_321, 54_321));
        for folder in [&upper, &work, &root.path().to_owned()] {
            std::os::unix::fs::chown(folder, Some(54_321), Some(54_321)).expect("root");
        }
    }
    let view = FileView::overlay([root.path()], &upper, &work).read_only("/usr", "/usr");
    let mut command = shell("cat /etc/marker; echo new >/file; cat /file", strict(view));
    if let Some((user, group)) = user {
        command = command.user(user, group);
    }
    let (_, output) = run(command).await;
    assert_eq!(output, "imagenew\n");
    assert!(upper.join("file").exists() && !root.path().join("file").exists());
    // The kernel created it with mode 0, so that only root could list it to remove the folders.
    fs::remove_dir(work.join("work")).expect("it is empty");
}

#[tokio::test]
async fn landlock_alone_restricts_files() {
    let (allowed, denied) = (open_folder(), open_folder());
    for folder in [&allowed, &denied] {
        fs::write(folder.path().join("file"), "x\n").expect("a file");
    }
    let view = FileView::system().read_write(allowed.path(), allowed.path());
    let isolation = Isolation::none().with(Wall::Landlock).files(view);
    let script = format!(
        "cat {0}/file && echo y >{0}/new && ! cat {1}/file 2>/dev/null && ! touch /etc/sandbox-test 2>/dev/null",
        allowed.path().display(),
        denied.path().display()
    );
    let (exit, output) = run(shell(&script, isolation)).await;
    assert!(exit.status.success(), "{output}");
    assert_eq!(output, "x\n");
}
