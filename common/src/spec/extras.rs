//! The rules for how a container is made and for references to secrets.
//!
//! Invariant: what passes leads nowhere else: no mount covers what PostQ mounts itself, no path has
//! `..` in it.

use super::{Container, TaskSpec, check::Check, shown, text::variable_name_fault};

/// Directories of every container that PostQ fills.
const OURS: [&str; 2] = ["workspace", "postq"];

impl Check<'_> {
    /// The fields of a task for its container and its secrets.
    pub(super) fn extras(&mut self, task: &TaskSpec) {
        if let Some(container) = &task.container {
            if task.image.is_none() {
                let message = "is for an image, and the task has none; name one, or remove it";
                self.add("container", message);
            }
            self.container(container);
        }
        if !task.secrets.is_empty() {
            self.secrets(task);
        }
    }

    fn container(&mut self, container: &Container) {
        if container.entrypoint.first().is_some_and(String::is_empty) {
            self.add("container.entrypoint[0]", "is empty; name a program");
        }
        let bytes = container.entrypoint.iter().map(|word| word.len() + 1).sum();
        self.size("container.entrypoint", bytes, self.limits.command_bytes);
        if container.entrypoint.iter().any(|word| word.contains('\0')) {
            self.nul("container.entrypoint");
        }
        let max = self.limits.name_bytes;
        for (field, text, is_good, message) in [
            (
                "container.user",
                &container.user,
                is_user(&container.user, max),
                "is no user; write a name or a number, or USER:GROUP",
            ),
            (
                "container.network",
                &container.network,
                is_name(&container.network, max),
                "is not the name of a network",
            ),
            (
                "container.platform",
                &container.platform,
                is_platform(&container.platform, max),
                "is no platform; write it as linux/arm64",
            ),
            (
                "container.gpus",
                &container.gpus,
                is_gpus(&container.gpus),
                "is no number of GPUs; write all, or a number from 1 to 999",
            ),
        ] {
            if !text.is_empty() && !is_good {
                self.add(field, message);
            }
        }
        let (n, max) = (container.mounts.len(), self.limits.extras);
        if n > max {
            self.add("container.mounts", format!("has {n} mounts; it may have {max}"));
        }
        for (index, mount) in container.mounts.iter().enumerate() {
            self.add_fault(
                &format!("container.mounts[{index}]"),
                mount_fault(mount, self.limits.extra_bytes),
            );
        }
    }

    fn secrets(&mut self, task: &TaskSpec) {
        if task.handler.is_some() {
            let message = "are for a command, and a handler runs none; remove them";
            self.add("secrets", message);
        }
        let (n, max) = (task.secrets.len(), self.limits.extras);
        if n > max {
            self.add("secrets", format!("has {n} secrets; it may have {max}"));
        }
        for (name, reference) in &task.secrets {
            let field = format!("secrets.{}", shown(name));
            self.add_fault(&field, variable_name_fault(name, self.limits.name_bytes));
            if !is_reference(reference, self.limits.extra_bytes, self.limits.name_bytes) {
                let message = "is no reference; write env:NAME, file:PATH or the name of a secret";
                self.add(&field, message);
            }
        }
    }
}

/// Letters and digits of ASCII with `_`, `.` and `-` between them.
fn is_name(text: &str, max: usize) -> bool {
    text.len() <= max
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

fn is_user(text: &str, max: usize) -> bool {
    text.len() <= max && text.splitn(2, ':').all(|part| is_name(part, max))
}

fn is_platform(text: &str, max: usize) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    text.len() <= max && text.split('/').count() <= 3 && text.split('/').all(is_word)
}

fn is_gpus(text: &str) -> bool {
    let is_number = (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text == "all" || (is_number && !text.starts_with('0'))
}

fn mount_fault(mount: &str, max: usize) -> Option<String> {
    if mount.len() > max {
        return Some(format!("has {} bytes; it may have {max}", mount.len()));
    }
    let parts: Vec<&str> = mount.split(':').collect();
    let target = match parts[..] {
        [source, target] | [source, target, "ro" | "rw"]
            if [source, target].into_iter().all(is_absolute) =>
        {
            target
        }
        _ => {
            let form = "SOURCE:TARGET or SOURCE:TARGET:ro, both absolute and without ..";
            return Some(format!("is no mount; write it as {form}"));
        }
    };
    let first = target.split('/').find(|part| !part.is_empty());
    first
        .is_none_or(|first| OURS.contains(&first))
        .then(|| "covers /workspace or /postq, which are taken; choose another target".to_owned())
}

fn is_absolute(path: &str) -> bool {
    path.starts_with('/')
        && !path.chars().any(char::is_control)
        && path.split('/').all(|part| part != "." && part != "..")
}

fn is_reference(text: &str, max: usize, name_max: usize) -> bool {
    if text.len() > max {
        return false;
    }
    if let Some(name) = text.strip_prefix("env:") {
        return name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    }
    if let Some(path) = text.strip_prefix("file:") {
        return !path.chars().any(char::is_control)
            && path.split('/').all(|part| !["", ".", ".."].contains(&part));
    }
    is_name(text, name_max) || text.strip_prefix('-').is_some_and(|rest| is_name(rest, name_max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_absolute_and_leave_our_places_alone() {
        for good in ["/a:/b", "/a b:/c:ro", "/:/host", "/a:/b/workspace:rw", "/a//b:/c/"] {
            assert_eq!(mount_fault(good, 99), None, "{good}");
        }
        for bad in [
            "",
            "/a",
            "a:/b",
            "/a:b",
            "/a:/b:rx",
            "/a:/b:ro:",
            "/a/..:/b",
            "/a:/../b",
            "/a:/",
            "/a:/workspace",
            "/a://postq/x",
            "/a:/./b",
            "/a\n:/b",
            "/a:/b:",
        ] {
            assert!(mount_fault(bad, 99).is_some(), "{bad}");
        }
    }

    #[test]
    fn references_stay_in_their_place() {
        for good in ["env:A_1", "file:a/b.c", "db-password", "a.b", "-x"] {
            assert!(is_reference(good, 99, 99), "{good}");
        }
        for bad in [
            "",
            "env:",
            "env:1A",
            "env:A-B",
            "file:",
            "file:/a",
            "file:a/../b",
            "file:a//b",
            "vault:x",
            "a/b",
            ".x",
        ] {
            assert!(!is_reference(bad, 99, 99), "{bad}");
        }
    }
}
