//! The boot image: one FIT with the kernel and a device tree for each slot. `conf-a` and `conf-b` are signed as wholes, so
//! kernel, device tree and, in its `/chosen/bootargs`, the command line with the root hash cannot be recombined.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use adit_slots::Slot;
use adit_slots::manifest::Root;
use flate2::GzBuilder;

use crate::board::{Board, Compression, Fit};
use crate::error::{At as _, Error, Result};
use crate::keys::{self, SigningKey};
use crate::progress::step;
use crate::tool::Tool;

/// What Linux keeps of a command line on the smallest architecture in use (ARM); longer ones lose their end.
const MAX_ARGUMENTS: usize = 1023;

/// What a boot image is made from.
pub(crate) struct FitInputs<'a> {
    pub(crate) board: &'a Board,
    pub(crate) kernel: &'a Path,
    pub(crate) root: &'a Root,
    pub(crate) key: &'a SigningKey,
    /// Written as every time stamp: seconds since 1970.
    pub(crate) built: u64,
}

/// Writes the signed FIT to `image`; the compressed kernel's size.
pub(crate) fn build(inputs: &FitInputs<'_>, work: &Path, image: &Path) -> Result<u64> {
    let kernel = work.join("kernel");
    step("kernel compressed", || compress(inputs.board, inputs.kernel, &kernel))?;
    step("boot image signed", || {
        for slot in Slot::BOTH {
            let arguments = arguments(inputs, slot)?;
            let tree = work.join(format!("fdt-{}", slot.suffix()));
            device_tree(inputs.board, Some(&arguments), &tree)?;
        }
        let source = work.join("boot.its");
        fs::write(&source, its(inputs.board)).at("writing", &source)?;
        let signed = work.join("boot.itb");
        sign(&source, work, inputs.key, inputs.built).arg(&signed).run()?;
        fs::copy(&signed, image).at("writing", image)
    })?;
    Ok(fs::metadata(&kernel).at("reading", &kernel)?.len())
}

/// Writes the device tree that U-Boot runs with: the board's, with the public key that every configuration must be signed by.
pub(crate) fn control_tree(board: &Board, key: &SigningKey, work: &Path, control: &Path) -> Result<()> {
    // mkimage puts the public key where it verifies, as a by-product of signing something.
    let tree = work.join("control.dtb");
    device_tree(board, None, &tree)?;
    for slot in Slot::BOTH {
        fs::copy(&tree, work.join(format!("fdt-{}.dtb", slot.suffix()))).at("copying", &tree)?;
    }
    let (source, kernel) = (work.join("boot.its"), work.join("kernel"));
    fs::write(&kernel, b"nothing").at("writing", &kernel)?;
    fs::write(&source, its(board)).at("writing", &source)?;
    sign(&source, work, key, 0).arg("-K").arg(&tree).arg(work.join("thrown-away.itb")).run()?;
    fs::copy(&tree, control).at("writing", control)?;
    Ok(())
}

fn sign(source: &Path, work: &Path, key: &SigningKey, built: u64) -> Tool {
    Tool::new("mkimage", "u-boot-tools")
        .dated(built)
        .dir(work)
        .arg("-f")
        .arg(source)
        .arg("-k")
        .arg(key.folder())
        .arg("-r")
}

/// Writes the kernel as it goes into the boot image. Gzip without a name and a time: the same bytes every time.
fn compress(board: &Board, source: &Path, target: &Path) -> Result<()> {
    let bytes = fs::read(source).at("reading", source)?;
    let compressed = match board.fit.compression {
        Compression::None => bytes,
        Compression::Gzip => {
            let mut writer = GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::best());
            writer.write_all(&bytes).and_then(|()| writer.finish()).at("compressing", source)?
        }
    };
    let (bytes, limit) = (compressed.len() as u64, board.kernel.compressed_bytes_max);
    if bytes > limit {
        return Err(Error::TooLarge { what: "the compressed kernel".to_owned(), bytes, limit });
    }
    fs::write(target, compressed).at("writing", target)
}

/// The whole command line for `slot`: nothing else reaches the kernel.
fn arguments(inputs: &FitInputs<'_>, slot: Slot) -> Result<String> {
    let line = inputs.board.arguments(inputs.root, slot)?;
    if line.len() > MAX_ARGUMENTS {
        let (what, bytes) = ("the kernel's command line".to_owned(), line.len() as u64);
        return Err(Error::TooLarge { what, bytes, limit: MAX_ARGUMENTS as u64 });
    }
    if let Some(odd) = line.chars().find(|c| !(' '..='~').contains(c)) {
        return Err(Error::input("the kernel's command line", format!("has the character {odd:?}")));
    }
    Ok(line)
}

/// Compiles the board's device tree, with a command line or without, to `path` with the ending `.dtb` unless it has one.
fn device_tree(board: &Board, arguments: Option<&str>, path: &Path) -> Result<()> {
    let mut source = format!("/include/ {}\n", quoted(&board.device_tree().display().to_string()));
    if let Some(arguments) = arguments {
        source.push_str(&format!("/ {{ chosen {{ bootargs = {}; }}; }};\n", quoted(arguments)));
    }
    let file = path.with_extension("dts");
    fs::write(&file, source).at("writing", &file)?;
    let compiled: PathBuf = path.with_extension("dtb");
    Tool::new("dtc", "device-tree-compiler")
        .args(["-q", "-I", "dts", "-O", "dtb", "-o"])
        .arg(&compiled)
        .arg(&file)
        .run()?;
    fs::remove_file(&file).at("removing", &file)
}

/// A string as device tree source has it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The FIT's source. The configurations sign kernel and device tree together. None is the default: U-Boot starts the one that the
/// boot script names, or nothing.
fn its(board: &Board) -> String {
    let Fit { arch, load, entry, .. } = &board.fit;
    let compression = match board.fit.compression {
        Compression::Gzip => "gzip",
        Compression::None => "none",
    };
    let tree = |slot: Slot| {
        let slot = slot.suffix();
        format!(
            "\t\tfdt-{slot} {{\n\t\t\tdescription = \"device tree and command line of slot {slot}\";\n\
             \t\t\tdata = /incbin/(\"fdt-{slot}.dtb\");\n\t\t\ttype = \"flat_dt\";\n\t\t\tarch = \"{arch}\";\n\
             \t\t\tcompression = \"none\";\n\t\t\thash-1 {{ algo = \"sha256\"; }};\n\t\t}};\n"
        )
    };
    let configuration = |slot: Slot| {
        let slot = slot.suffix();
        format!(
            "\t\tconf-{slot} {{\n\t\t\tkernel = \"kernel\";\n\t\t\tfdt = \"fdt-{slot}\";\n\
             \t\t\tsignature-1 {{\n\t\t\t\talgo = \"{}\";\n\t\t\t\tkey-name-hint = \"{}\";\n\
             \t\t\t\tsign-images = \"kernel\", \"fdt\";\n\t\t\t}};\n\t\t}};\n",
            keys::ALGORITHM,
            keys::NAME,
        )
    };
    format!(
        "/dts-v1/;\n/ {{\n\tdescription = \"Adit for {board}\";\n\t#address-cells = <1>;\n\
         \timages {{\n\t\tkernel {{\n\t\t\tdescription = \"Linux\";\n\t\t\tdata = /incbin/(\"kernel\");\n\
         \t\t\ttype = \"kernel\";\n\t\t\tarch = \"{arch}\";\n\t\t\tos = \"linux\";\n\t\t\tcompression = \"{compression}\";\n\
         \t\t\tload = <{load:#x}>;\n\t\t\tentry = <{entry:#x}>;\n\t\t\thash-1 {{ algo = \"sha256\"; }};\n\t\t}};\n\
         {fdt_a}{fdt_b}\t}};\n\tconfigurations {{\n{conf_a}{conf_b}\t}};\n}};\n",
        board = board.name,
        fdt_a = tree(Slot::A),
        fdt_b = tree(Slot::B),
        conf_a = configuration(Slot::A),
        conf_b = configuration(Slot::B),
    )
}
