//! Writes `docs/statements/` anew into the folder given as argument: `generate_docs docs/statements`.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: generate_docs FOLDER");
        return ExitCode::from(2);
    };
    match generate(&folder) {
        Ok(count) => {
            println!("{count} files in `{}`", folder.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("`{}`: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn generate(folder: &std::path::Path) -> Result<usize, Box<dyn std::error::Error>> {
    let files = statement::example::docs::files()?;
    std::fs::create_dir_all(folder.join("vectors"))?;
    for (path, text) in &files {
        std::fs::write(folder.join(path), text)?;
    }
    Ok(files.len())
}
