//! adit-image: the command line over the library of the same name.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use adit_image::build::{self, Options};
use adit_image::services::{CrossBuild, PACKAGES, RustStd};
use adit_image::{Board, Cache, SigningKey, SourceTree, kernel};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Builds the images that Adit's control boards boot from.
///
/// Run it anywhere inside the source tree. What takes long (the kernel, compiled dependencies) is kept in a cache outside the
/// tree and made once per machine: $ADIT_CACHE, else $XDG_CACHE_HOME/adit, else ~/.cache/adit.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Where slow products are kept.
    #[arg(long, global = true, value_name = "DIR")]
    cache: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Everything: disk image, slot files, report and, for an emulated board, U-Boot's flash and device tree.
    Build(BuildArgs),
    /// The board's kernel alone; prints where it is. Or only checks its options.
    Kernel {
        #[command(flatten)]
        board: BoardArg,
        /// Add the options that exist to break things in tests.
        #[arg(long)]
        test_kernel: bool,
        /// Build nothing: see whether Kconfig takes every option that the board's fragments and the test fragment ask for.
        #[arg(long, conflicts_with = "test_kernel")]
        check: bool,
    },
    /// The programs of an image alone, into a folder.
    Services {
        #[command(flatten)]
        board: BoardArg,
        /// Where the programs go.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        #[command(flatten)]
        rust: RustArg,
    },
    /// Compiles the programs for a target without making an image: shows that they build for it.
    Check {
        /// Rust target, for example armv7-unknown-linux-musleabihf.
        #[arg(long, value_name = "TRIPLE")]
        target: String,
        #[command(flatten)]
        rust: RustArg,
    },
    /// This machine's development signing key, made if there is none; prints where it is.
    Keys,
}

#[derive(Args)]
struct BoardArg {
    /// Control board: a folder under image/boards.
    #[arg(long, value_name = "NAME")]
    board: String,
}

#[derive(Args)]
struct RustArg {
    /// Standard library for the board's processor.
    #[arg(long, value_enum, default_value_t = StdChoice::Any, value_name = "WHICH")]
    rust_std: StdChoice,
}

#[derive(Clone, Copy, ValueEnum)]
enum StdChoice {
    /// rustup's where there is one, else compiled from source.
    Any,
    /// Compiled from source.
    Source,
}

impl From<StdChoice> for RustStd {
    fn from(choice: StdChoice) -> Self {
        match choice {
            StdChoice::Any => RustStd::Any,
            StdChoice::Source => RustStd::Source,
        }
    }
}

#[derive(Args)]
struct BuildArgs {
    #[command(flatten)]
    board: BoardArg,
    /// Where the results go: disk.img, slot/, report.json, flash.img, control.dtb.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The unit's configuration, put on the disk and imported at the first boot.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Another folder whose files go into the root file system, over those before it. Can be repeated.
    #[arg(long = "overlay", value_name = "DIR")]
    overlays: Vec<PathBuf>,
    /// Another package of this workspace, put into /sbin. Can be repeated.
    #[arg(long = "with", value_name = "PACKAGE")]
    packages: Vec<String>,
    /// Build the kernel with the options that exist to break things in tests.
    #[arg(long)]
    test_kernel: bool,
    /// Call the release this instead of version and commit.
    #[arg(long, value_name = "VERSION")]
    release: Option<String>,
    /// Folder with adit.key and adit.crt, instead of this machine's development key.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    #[command(flatten)]
    rust: RustArg,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("adit-image: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let cache = Cache::open(cli.cache.as_deref())?;
    match cli.command {
        Command::Build(args) => {
            let (tree, board) = find(&args.board)?;
            let options = Options {
                config: args.config,
                overlays: args.overlays,
                packages: args.packages,
                test_kernel: args.test_kernel,
                release: args.release,
                keys: args.keys,
                rust_std: args.rust.rust_std.into(),
            };
            let report = build::build(&tree, &board, &cache, &options, &args.out)?;
            println!("{}", serde_json::to_string(&report)?);
        }
        Command::Kernel { board, check: true, .. } => {
            let (_, board) = find(&board)?;
            kernel::options::check(&board, &cache)?;
        }
        Command::Kernel { board, test_kernel, check: false } => {
            let (_, board) = find(&board)?;
            println!("{}", kernel::kernel(&board, &cache, test_kernel)?.image().display());
        }
        Command::Services { board, out, rust } => {
            let (tree, board) = find(&board)?;
            let build = CrossBuild::prepare(&tree, &board.target, rust.rust_std.into(), &cache)?;
            for program in build.build(&PACKAGES, &out)? {
                println!("{}", program.file.display());
            }
        }
        Command::Check { target, rust } => {
            let tree = SourceTree::here()?;
            CrossBuild::prepare(&tree, &target, rust.rust_std.into(), &cache)?.check(&PACKAGES)?;
        }
        Command::Keys => println!("{}", show(SigningKey::development(&cache)?.folder())),
    }
    Ok(())
}

fn find(board: &BoardArg) -> anyhow::Result<(SourceTree, Board)> {
    let tree = SourceTree::here()?;
    let board = tree.board(&board.board)?;
    Ok((tree, board))
}

fn show(path: &Path) -> impl std::fmt::Display {
    path.display()
}
