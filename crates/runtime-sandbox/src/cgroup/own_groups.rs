//! The control groups of this process, from `/proc/self/cgroup` and `/proc/self/mountinfo`.
//!
//! A *hierarchy* is a tree of groups. Version 2 has one tree, version 1 one for each set of controllers. A hybrid host
//! has both: systemd tracks processes in a tree of version 2 without controllers, and the controllers use version 1.

use std::path::{Component, Path, PathBuf};

use super::folder::GroupFiles;

/// The controllers of version 1 that count or limit something, or that can stop processes.
const USED_CONTROLLERS: [&str; 5] = ["memory", "pids", "cpu", "cpuacct", "freezer"];

/// A hierarchy, and the folder in it below which this process may try to create groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// `v2`, or the controllers of version 1, such as `cpu,cpuacct`.
    pub(super) name: String,
    pub(super) folder: PathBuf,
    /// The files of its groups, once one has been created.
    pub(super) files: GroupFiles,
}

impl Hierarchy {
    fn new(name: String, folder: PathBuf) -> Self {
        Self {
            name,
            folder,
            files: GroupFiles::default(),
        }
    }

    pub(super) fn is_v2(&self) -> bool {
        self.name == V2
    }

    /// Returns whether it has a controller of version 1.
    pub(super) fn has(&self, controller: &str) -> bool {
        self.name.split(',').any(|name| name == controller)
    }
}

/// Returns the folders of this process's own groups in all useful hierarchies, given the content of the two files.
pub(super) fn own_groups(cgroup: &str, mountinfo: &str) -> Vec<Hierarchy> {
    let mounts = parse_mounts(mountinfo);
    let memberships = parse_memberships(cgroup).into_iter();
    let useful = memberships.filter(Membership::is_useful);
    useful
        .filter_map(|member| {
            // A later mount covers earlier ones at the same place.
            let mut mounts = mounts.iter().rev().filter(|mount| mount.contains(&member));
            let folder = mounts.find_map(|mount| mount.folder_of(Path::new(&member.path)))?;
            let name = member.name();
            Some(Hierarchy::new(name, folder))
        })
        .collect()
}

/// Returns the hierarchies that contain a group at the same path as `parent` has in its own one, either from the root or
/// from the group of this process.
///
/// A folder outside of all hierarchies that the file lists, as in a `chroot`, counts as version 2.
pub(super) fn groups_at(
    parent: &Path,
    cgroup: &str,
    mountinfo: &str,
    is_group: impl Fn(&Path) -> bool,
) -> Vec<Hierarchy> {
    let mounts = parse_mounts(mountinfo);
    let group = mounts.iter().rev().find_map(|mount| mount.group_at(parent));
    let Some((own, group)) = group else {
        return vec![Hierarchy::new(V2.to_owned(), parent.to_owned())];
    };
    let memberships = parse_memberships(cgroup);
    let member = memberships.iter().find(|it| own.contains(it));
    let relative = member.and_then(|it| group.strip_prefix(&it.path).ok());
    let useful = memberships.iter().filter(|it| it.is_useful());
    useful
        .filter_map(|member| {
            let name = member.name();
            if own.contains(member) {
                let folder = parent.to_owned();
                return Some(Hierarchy::new(name, folder));
            }
            let from_own = relative.map(|relative| join(Path::new(&member.path), relative));
            let groups = [Some(group.clone()), from_own].into_iter().flatten();
            let folders = groups.filter_map(|group| {
                let mut mounts = mounts.iter().rev().filter(|mount| mount.contains(member));
                mounts.find_map(|mount| mount.folder_of(&group))
            });
            let folder = folders.into_iter().find(|folder| is_group(folder))?;
            Some(Hierarchy::new(name, folder))
        })
        .collect()
}

/// The name of the hierarchy of version 2.
const V2: &str = "v2";

/// A line of `/proc/PID/cgroup`: a hierarchy, and the group of the process in it.
#[derive(Debug, PartialEq, Eq)]
struct Membership {
    /// Empty for version 2.
    controllers: Vec<String>,
    path: String,
}

impl Membership {
    fn is_v2(&self) -> bool {
        self.controllers.is_empty()
    }

    fn is_useful(&self) -> bool {
        let is_used = |controller: &String| USED_CONTROLLERS.contains(&controller.as_str());
        self.is_v2() || self.controllers.iter().any(is_used)
    }

    fn name(&self) -> String {
        if self.is_v2() {
            V2.to_owned()
        } else {
            self.controllers.join(",")
        }
    }
}

/// Parses lines such as `4:memory:/user.slice` or, for version 2, `0::/user.slice`. The path may contain colons.
fn parse_memberships(text: &str) -> Vec<Membership> {
    let lines = text.lines().filter_map(|line| {
        let (id, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let has_no_controllers = controllers.is_empty();
        // Version 2 always has the id 0. A hierarchy of version 1 without controllers has a name.
        if has_no_controllers != (id == "0") || !path.starts_with('/') {
            return None;
        }
        let controllers = controllers.split(',').filter(|name| !name.is_empty());
        Some(Membership {
            controllers: controllers.map(str::to_owned).collect(),
            path: path.to_owned(),
        })
    });
    lines.collect()
}

/// A mounted hierarchy, or a part of one.
#[derive(Debug, PartialEq, Eq)]
struct CgroupMount {
    is_v2: bool,
    /// The options of the file system; for version 1 with the controllers.
    options: Vec<String>,
    /// The group that is mounted. Not the root of the hierarchy in a container without a namespace for groups.
    root: PathBuf,
    mount_point: PathBuf,
}

impl CgroupMount {
    fn contains(&self, member: &Membership) -> bool {
        let mut controllers = member.controllers.iter();
        self.is_v2 == member.is_v2() && controllers.all(|name| self.options.contains(name))
    }

    /// Returns the folder of a group; `None` if it is outside of the mounted part.
    fn folder_of(&self, group: &Path) -> Option<PathBuf> {
        let relative = group.strip_prefix(&self.root).ok()?;
        is_plain(relative).then(|| join(&self.mount_point, relative))
    }

    /// Returns this mount and the path of the group whose folder is `folder`, if it is below the mount point.
    fn group_at(&self, folder: &Path) -> Option<(&Self, PathBuf)> {
        let relative = folder.strip_prefix(&self.mount_point).ok()?;
        is_plain(relative).then(|| (self, join(&self.root, relative)))
    }
}

/// Returns whether a path leads down only. A group outside of the namespace of this process starts with `/..`.
fn is_plain(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_)))
}

/// Joins two paths without a slash at the end, which `Path::join` adds for an empty path.
fn join(folder: &Path, relative: &Path) -> PathBuf {
    folder.components().chain(relative.components()).collect()
}

/// Parses the mounts of control groups in the format of proc_pid_mountinfo(5):
/// `id parent major:minor root mount-point options optional-fields... - type source super-options`.
fn parse_mounts(text: &str) -> Vec<CgroupMount> {
    let mounts = text.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, mount_point) = (mount.next()?, mount.next()?);
        let mut file_system = file_system.split(' ');
        let is_v2 = match file_system.next()? {
            "cgroup" => false,
            "cgroup2" => true,
            _ => return None,
        };
        let options = file_system.nth(1)?.split(',').map(str::to_owned).collect();
        Some(CgroupMount {
            is_v2,
            options,
            root: unescape(root)?.into(),
            mount_point: unescape(mount_point)?.into(),
        })
    });
    mounts.collect()
}

/// Decodes `\040` and other octal escapes of blanks, line ends and backslashes.
fn unescape(field: &str) -> Option<String> {
    let mut parts = field.split('\\');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(3)?;
        bytes.push(u8::from_str_radix(digits, 8).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folders(cgroup: &str, mountinfo: &str) -> Vec<(String, String)> {
        let groups = own_groups(cgroup, mountinfo).into_iter();
        groups
            .map(|group| (group.name, group.folder.display().to_string()))
            .collect()
    }

    fn pairs<const N: usize>(expected: [(&str, &str); N]) -> Vec<(String, String)> {
        expected
            .map(|(name, folder)| (name.to_owned(), folder.to_owned()))
            .into()
    }

    #[test]
    fn pure_v2_has_one_hierarchy() {
        let cgroup = "0::/system.slice/worker.service\n";
        let mountinfo = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";
        let expected = pairs([("v2", "/sys/fs/cgroup/system.slice/worker.service")]);
        assert_eq!(folders(cgroup, mountinfo), expected);
    }

    #[test]
    fn hybrid_host_has_several_hierarchies() {
        let cgroup =
            "9:name=systemd:/\n8:pids:/\n7:blkio:/\n4:memory:/box/7\n2:cpu,cpuacct:/\n0::/\n";
        let mountinfo = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
        let expected = pairs([
            ("pids", "/sys/fs/cgroup/pids"),
            ("memory", "/sys/fs/cgroup/memory/box/7"),
            ("cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct"),
            ("v2", "/sys/fs/cgroup/unified"),
        ]);
        assert_eq!(folders(cgroup, mountinfo), expected);
    }

    #[test]
    fn container_mounts_its_own_group() {
        let cgroup = "4:memory:/docker/4f1\n3:pids:/docker/4f1\n";
        let mountinfo = "\
35 31 0:32 /docker/4f1 /sys/fs/cgroup/memory ro,relatime master:9 - cgroup cgroup rw,memory
39 31 0:36 /docker/other /sys/fs/cgroup/pids ro,relatime master:9 - cgroup cgroup rw,pids
";
        // The group of the other hierarchy is not visible.
        let expected = pairs([("memory", "/sys/fs/cgroup/memory")]);
        assert_eq!(folders(cgroup, mountinfo), expected);
    }

    #[test]
    fn group_outside_of_the_namespace_is_skipped() {
        let mountinfo = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(folders("0::/../other\n", mountinfo), []);
        let parent = "30 23 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(folders("0::/other\n", parent), []);
    }

    #[test]
    fn last_mount_wins() {
        let mountinfo = "\
30 23 0:26 / /first rw - cgroup2 cgroup2 rw
31 23 0:26 / /with\\040blank rw - cgroup2 cgroup2 rw
";
        assert_eq!(
            folders("0::/a:b\n", mountinfo),
            pairs([("v2", "/with blank/a:b")])
        );
    }

    #[test]
    fn configured_parent_is_found_in_all_hierarchies() {
        let cgroup = "8:pids:/\n4:memory:/box\n0::/\n";
        let mountinfo = "\
35 31 0:32 / /cg/memory rw - cgroup cgroup rw,memory
39 31 0:36 / /cg/pids rw - cgroup cgroup rw,pids
41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw
";
        let groups = ["/cg/pids/ci/tasks", "/cg/memory/box/ci/tasks"];
        let exists = |folder: &Path| groups.iter().any(|group| folder == Path::new(group));
        let parent = Path::new("/cg/unified/ci/tasks");
        let found = groups_at(parent, cgroup, mountinfo, exists);
        let found: Vec<_> = found.iter().map(|it| it.folder.to_str()).collect();
        assert_eq!(
            found,
            [
                Some("/cg/pids/ci/tasks"),
                Some("/cg/memory/box/ci/tasks"),
                Some("/cg/unified/ci/tasks"),
            ]
        );
        let elsewhere = groups_at(Path::new("/tmp/group"), cgroup, mountinfo, exists);
        let expected = Hierarchy::new(V2.to_owned(), "/tmp/group".into());
        assert_eq!(elsewhere, [expected]);
    }

    #[test]
    fn own_files_are_parsed() -> std::io::Result<()> {
        let cgroup = std::fs::read_to_string("/proc/self/cgroup")?;
        assert_eq!(parse_memberships(&cgroup).len(), cgroup.lines().count());
        Ok(())
    }

    /// A path of some groups, without the characters that end a line.
    fn group() -> impl Strategy<Value = String> {
        "(/[a-z:.][a-z0-9 :,-]{0,8}){0,4}".prop_map(|path| {
            let path = path.replace("/.", "/x");
            if path.is_empty() { "/".into() } else { path }
        })
    }

    fn escape(path: &str) -> String {
        path.replace('\\', "\\134").replace(' ', "\\040")
    }

    proptest! {
        #[test]
        fn parsers_never_panic(text in "([0-9]{1,3}[: /.,a-z\\\\0-9-]{0,40}\n?){0,6}|.{0,200}") {
            let _ = own_groups(&text, &text);
            let _ = groups_at(Path::new(&text), &text, &text, |_| true);
        }

        #[test]
        fn group_is_found_below_its_mount(outer in group(), inner in group(), point in group(), is_v2: bool) {
            let path = join(Path::new(&outer), Path::new(inner.trim_start_matches('/')));
            let (line, kind) = if is_v2 { ("0:", "cgroup2") } else { ("7:memory,pids", "cgroup") };
            let cgroup = format!("{line}:{}\n", path.display());
            let mountinfo = format!(
                "1 2 0:3 {} {} rw shared:1 master:2 - {kind} none rw,pids,memory\n",
                escape(&outer), escape(&point),
            );
            let found = own_groups(&cgroup, &mountinfo);
            let expected = join(Path::new(&point), Path::new(inner.trim_start_matches('/')));
            prop_assert_eq!(found.len(), 1, "{}{}", cgroup, mountinfo);
            prop_assert_eq!(&found[0].folder, &expected);
            let below = groups_at(&expected, &cgroup, &mountinfo, |_| false);
            prop_assert_eq!(below, found);
        }
    }
}
