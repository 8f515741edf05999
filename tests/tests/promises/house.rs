//! The rules of the house that no compiler holds: who may import whom, where SQL and Docker are,
//! how long a file may be.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::MetadataCommand;

/// What each crate may depend on, of our own.
const CRATES: [(&str, &[&str]); 7] = [
    ("postq-common", &[]),
    ("postq-runtime", &[]),
    ("postq-proto", &["postq-common"]),
    ("postq-coordinator", &["postq-proto", "postq-common", "postq-runtime"]),
    ("postq-agent", &["postq-proto", "postq-common", "postq-runtime"]),
    (
        "postq",
        &["postq-coordinator", "postq-agent", "postq-proto", "postq-common", "postq-runtime"],
    ),
    (
        "postq-tests",
        &[
            "postq",
            "postq-coordinator",
            "postq-agent",
            "postq-proto",
            "postq-common",
            "postq-runtime",
        ],
    ),
];

/// Folders with our sources.
const SOURCES: [&str; 7] = ["common", "proto", "runtime", "coordinator", "agent", "cli", "tests"];
/// A file longer than this has two subjects.
const MOST_LINES: usize = 600;

/// A file beside the others that no test program names would never be compiled, and nobody would know.
#[test]
fn every_file_of_tests_is_part_of_a_test_program() {
    for (folder, program) in [
        ("tests/tests/promises", "main.rs"),
        ("tests/tests/workspace", "../workspace.rs"),
        ("agent/tests/agent", "main.rs"),
    ] {
        let program = fs::read_to_string(root().join(folder).join(program)).unwrap();
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            let module = name.strip_suffix(".rs").filter(|module| *module != "main");
            if let Some(module) = module {
                assert!(program.contains(&format!("mod {module};")), "{folder}/{name}");
            }
        }
    }
}

/// The workspace's own folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Files below a folder that end so, with their paths from the root.
fn files(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let is_ours = !name.starts_with('.') && name != "target";
            if path.is_dir() && is_ours {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let shown = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.push((shown, fs::read_to_string(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The lines of product code outside of `allowed` that break a rule: `"path:line: text"`.
fn breaches(allowed: &[&str], is_breach: impl Fn(&str) -> bool) -> Vec<String> {
    let product = SOURCES.iter().filter(|folder| **folder != "tests");
    let files = product.flat_map(|folder| files(&format!("{folder}/src"), &[".rs"]));
    let outside = files.filter(|(path, _)| !allowed.iter().any(|it| path.starts_with(it)));
    let lines = outside.flat_map(|(path, text)| {
        let lines = text.lines().enumerate().map(|(n, line)| (n, line.trim().to_owned()));
        let code = lines.filter(|(_, line)| !line.starts_with("//") && is_breach(line));
        code.map(|(n, line)| format!("{path}:{}: {line}", n + 1)).collect::<Vec<_>>()
    });
    lines.collect()
}

#[test]
fn crates_depend_on_each_other_one_way() {
    let allowed: BTreeMap<_, _> = CRATES.into_iter().collect();
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec();
    for package in metadata.unwrap().workspace_packages() {
        let name = package.name.as_str();
        let own = package.dependencies.iter().map(|dependency| dependency.name.as_str());
        let own: BTreeSet<_> = own.filter(|it| allowed.contains_key(it)).collect();
        let Some(may) = allowed.get(name) else {
            // A new crate stands above the others and says so here.
            assert!(name == "postq-bench", "put {name} into the table in {}", file!());
            continue;
        };
        for dependency in own {
            assert!(may.contains(&dependency), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn rooms_import_downwards_only() {
    let rooms: [(&str, &[(&str, u32)]); 2] = [
        (
            "coordinator",
            &[
                ("store", 0),
                ("workspace", 1),
                ("dispatch", 2),
                ("api", 3),
                ("upkeep", 3),
                ("http", 3),
            ],
        ),
        (
            "agent",
            &[
                ("process", 0),
                ("executor", 1),
                ("workspace", 1),
                ("logs", 1),
                ("attempt", 2),
                ("supervisor", 3),
                ("session", 4),
            ],
        ),
    ];
    let mut wrong = Vec::new();
    for (name, ranks) in rooms {
        let rank = |room: &str| ranks.iter().find(|(it, _)| *it == room).map(|(_, rank)| *rank);
        for (path, text) in files(&format!("{name}/src"), &[".rs"]) {
            let below = path.split('/').nth(2).unwrap().trim_end_matches(".rs");
            let Some(own) = rank(below) else { continue };
            for room in imported(&text) {
                if rank(&room).is_some_and(|other| other > own) {
                    wrong.push(format!("{path} imports {room}"));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "what is lower must not know what is above it");
}

/// The first names behind `crate::`.
fn imported(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, word) in text.match_indices("crate::") {
        let rest = &text[at + word.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            found.insert(first_name(rest));
            continue;
        };
        let mut depth = 0_i32;
        let mut item = String::new();
        for letter in list.chars() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    found.insert(first_name(item.trim()));
                    item.clear();
                    continue;
                }
                _ => {}
            }
            item.push(letter);
        }
        found.insert(first_name(item.trim()));
    }
    found
}

fn first_name(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

#[test]
fn sqlx_is_used_in_the_store_alone() {
    // How to connect is handed through, and errors are told.
    let is_handed_through =
        |line: &str| line.contains("PgConnectOptions") || line.contains("sqlx::Error");
    let found = breaches(&["coordinator/src/store"], |line| {
        line.contains("sqlx") && !is_handed_through(line)
    });
    assert_eq!(found, Vec::<String>::new(), "what speaks to Postgres is in coordinator/src/store");
}

#[test]
fn sql_is_written_in_the_store_alone() {
    let begins = ["select ", "insert into ", "update ", "delete from ", "/* "];
    let goes_on = ["from postq.", "join postq.", "into postq.", "update postq.", "select postq."];
    let is_sql = |line: &str| {
        let mut texts = line.split('"').skip(1).step_by(2);
        let is_statement = |text: &str| begins.iter().any(|it| text.trim_start().starts_with(it));
        texts.any(is_statement) || goes_on.iter().any(|it| line.contains(it))
    };
    let found = breaches(&["coordinator/src/store"], is_sql);
    assert_eq!(found, Vec::<String>::new(), "SQL is in coordinator/src/store and migrations");
}

#[test]
fn docker_is_known_to_its_executor_alone() {
    let found = breaches(&["agent/src/executor"], |line| line.contains("bollard"));
    assert_eq!(found, Vec::<String>::new(), "what speaks to Docker is in agent/src/executor");
}

#[test]
fn common_does_no_io_and_knows_no_clock() {
    let words =
        ["std::fs", "std::net", "std::env", "tokio", "Instant::now", "SystemTime::now", "rand::"];
    let is_breach = |line: &str| words.iter().any(|word| line.contains(word));
    let elsewhere = ["proto", "runtime", "coordinator", "agent", "cli"];
    let found = breaches(&elsewhere, is_breach);
    assert_eq!(found, Vec::<String>::new(), "the pure core gets these as arguments");
}

#[test]
fn files_have_one_subject() {
    let all = SOURCES.iter().chain(&["migrations", "scripts"]);
    let files = all.flat_map(|folder| files(folder, &[".rs", ".sql", ".proto", ".sh", ".py"]));
    let long = files.map(|(path, text)| (path, text.lines().count()));
    let long: Vec<_> = long.filter(|(_, lines)| *lines > MOST_LINES).collect();
    assert_eq!(long, Vec::new(), "split what has more than {MOST_LINES} lines");
}

#[test]
fn every_source_says_first_what_it_owns() {
    let files = SOURCES.iter().flat_map(|folder| files(folder, &[".rs"]));
    let silent: Vec<_> =
        files.filter(|(_, text)| !text.starts_with("//!")).map(|(path, _)| path).collect();
    assert_eq!(silent, Vec::<String>::new(), "begin with //! and what the file owns");
}
