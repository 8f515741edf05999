//! Embeds `migrations/` into the binary: the numbered files, the functions and the manifest.
//!
//! Paths are told from the package's directory, so that a build directory may be used elsewhere.

use std::{env, error::Error, fmt::Write, fs, path::Path};

const ROOT: &str = "../migrations";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let mut code = String::new();
    for (name, folder) in [("MIGRATIONS", ROOT), ("FUNCTIONS", &format!("{ROOT}/functions"))] {
        let mut files: Vec<_> =
            fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
        files.retain(|path| path.extension().is_some_and(|e| e == "sql"));
        files.sort();
        writeln!(code, "pub(crate) const {name}: &[(&str, &str)] = &[")?;
        for file in files {
            let stem = file.file_stem().unwrap_or_default();
            writeln!(code, "    ({stem:?}, {}),", include(&file))?;
        }
        writeln!(code, "];")?;
    }
    let manifest = include(&Path::new(ROOT).join("MANIFEST"));
    writeln!(code, "pub(crate) const MANIFEST: &str = {manifest};")?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("migrations.rs"), code)?;
    Ok(())
}

/// What puts a file into the binary.
fn include(file: &Path) -> String {
    format!("include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{}\"))", file.display())
}
