//! The search for programs in the folders of `PATH`.

use std::env::split_paths;
use std::ffi::OsStr;
use std::path::PathBuf;

/// The search path of a command that sets no `PATH`, as in `execvp`.
pub(crate) const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Returns the program's path, or its possible paths in the folders of `search_path` if it has no slash.
///
/// Relative paths are relative to the working folder of the command.
pub(crate) fn candidate_paths<'a>(
    program: &'a OsStr,
    search_path: &'a OsStr,
) -> impl Iterator<Item = PathBuf> + 'a {
    let has_folder = program.as_encoded_bytes().contains(&b'/');
    let folders = split_paths(if has_folder {
        OsStr::new("")
    } else {
        search_path
    });
    // An empty folder is the working folder.
    let folders = folders.filter(|_| !program.is_empty());
    folders.map(move |folder| folder.join(program))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn candidates(program: &str, search_path: &str) -> Vec<String> {
        let paths = candidate_paths(program.as_ref(), search_path.as_ref());
        paths.map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn program_is_searched_in_all_folders() {
        assert_eq!(
            candidates("tool", "/bin::rel"),
            ["/bin/tool", "tool", "rel/tool"]
        );
        assert_eq!(candidates("./tool", "/bin"), ["./tool"]);
        assert_eq!(candidates("/opt/tool", "/bin"), ["/opt/tool"]);
        assert_eq!(candidates("", "/bin"), [""; 0]);
    }
}
