//! Trains our own small model and writes its folder: `cargo xtask gen model`.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: train_tiny FOLDER");
        return ExitCode::from(2);
    };
    let every = range::tiny::RECIPE.schedule.steps / 10;
    let made = range::tiny::make(|step, loss| {
        if step % every == 0 {
            eprintln!("step {step}: loss {loss:.4}");
        }
    });
    let written =
        made.map_err(|error| format!("{error}: {:?}", std::error::Error::source(&error))).and_then(|files| {
            let told = |error: std::io::Error| format!("`{}`: {error}", folder.display());
            std::fs::create_dir_all(&folder).map_err(told)?;
            for (name, bytes) in files {
                std::fs::write(folder.join(name), bytes).map_err(told)?;
            }
            Ok(())
        });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
