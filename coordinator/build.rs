//! Embeds `migrations/` into the binary: the numbered files, the functions and the manifest.

use std::{env, error::Error, fmt::Write, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../migrations").canonicalize()?;
    println!("cargo:rerun-if-changed={}", root.display());
    let mut code = String::new();
    for (name, folder) in [("MIGRATIONS", root.clone()), ("FUNCTIONS", root.join("functions"))] {
        let mut files: Vec<_> =
            fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
        files.retain(|path| path.extension().is_some_and(|e| e == "sql"));
        files.sort();
        writeln!(code, "pub(crate) const {name}: &[(&str, &str)] = &[")?;
        for file in files {
            let stem = file.file_stem().unwrap_or_default();
            writeln!(code, "    ({stem:?}, include_str!({file:?})),")?;
        }
        writeln!(code, "];")?;
    }
    let manifest = root.join("MANIFEST");
    writeln!(code, "pub(crate) const MANIFEST: &str = include_str!({manifest:?});")?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("migrations.rs"), code)?;
    Ok(())
}
