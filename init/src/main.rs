//! adit-init, PID 1. `--root FOLDER` gives it a world of its own for tests; a unit's kernel starts it without arguments.

use std::process::ExitCode;

use adit_init::Paths;

fn main() -> ExitCode {
    // It kills everyone when it goes down, and reboots: as PID 1 of a machine or of a namespace only.
    let pid = std::process::id();
    if pid != 1 {
        eprintln!(
            "adit-init is PID 1 of a unit, here it is {pid}; to try it: unshare --fork --pid --mount adit-init --root FOLDER"
        );
        return ExitCode::from(2);
    }
    let mut arguments = std::env::args_os().skip(1);
    // Words that the kernel did not know are passed on as arguments and mean nothing here.
    let root = match (arguments.next(), arguments.next()) {
        (Some(option), Some(folder)) if option == "--root" => folder,
        _ => "/".into(),
    };
    adit_init::run(&Paths::new(root))
}
