# Sourced by the scripts beside it: where things are, how to speak, what a machine needs.
# shellcheck shell=bash

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export ADIT_CACHE=${ADIT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/adit}
# Compiled host programs live in the cache: a second clone starts warm.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ADIT_CACHE/target}
# Debian keeps mkfs, veritysetup and debootstrap where a normal user's path does not lead.
export PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH:/usr/sbin:/sbin
mkdir -p "$ADIT_CACHE"
cd "$ROOT"

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# Answers --help from the comment at the top of the script, without installing or building anything.
help_wanted() {
    case " $* " in
        *" -h "* | *" --help "*) sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    esac
}

# Runs a command as root: as it is, or through sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "this needs root once, to install packages: run as root or install sudo"
    fi
}

# Debian packages: compilers and libraries of the kernel build, the reference tools that make and judge images, the emulator.
# linux-source-6.12 is in Debian 12's security archive, which every Debian 12 has, not in its main one.
PACKAGES="build-essential ca-certificates curl xz-utils python3 python3-venv
    bc bison cpio flex gcc-aarch64-linux-gnu libelf-dev libssl-dev linux-source-6.12
    cryptsetup-bin device-tree-compiler e2fsprogs erofs-utils openssl u-boot-tools
    libubootenv-tool dosfstools fdisk mtools systemd util-linux debootstrap
    qemu-system-arm u-boot-qemu dnsmasq-base iproute2 python3-prometheus-client
    python3-zeroconf"

# Judges in tests whose packages would start a service, or take over this machine's clock: they are unpacked, not installed.
JUDGES="chrony prometheus"
unpack_judges() {
    local package place
    for package in $JUDGES; do
        place=$ADIT_CACHE/judges/$package
        if [ ! -d "$place" ]; then
            say "unpacking $package from Debian"
            rm -rf "$place.part" && mkdir -p "$place.part"
            (cd "$place.part" && apt-get -qq download "$package" 2>/dev/null && dpkg-deb -x "$package"_*.deb . && rm "$package"_*.deb) ||
                die "Debian's package $package could not be fetched: does apt-get update work?"
            mv "$place.part" "$place"
        fi
        PATH=$place/usr/sbin:$place/usr/bin:$PATH
    done
}

# U-Boot before these trusts a list of signed nodes that the signature does not cover (CVE-2026-46728): Debian 12's and 13's first fixed ones.
uboot_is_fixed() {
    local version
    version=$(dpkg-query -W -f '${Version}' u-boot-qemu 2>/dev/null) || return 1
    dpkg --compare-versions "$version" ge 2025.01-3+deb13u1 ||
        { dpkg --compare-versions "$version" ge 2023.01+dfsg-2+deb12u3 && dpkg --compare-versions "$version" lt 2023.02; }
}

# What is not installed, or not in a version that will do.
missing_packages() {
    local package installed
    # shellcheck disable=SC2086
    installed=" $(dpkg-query -W -f '${db:Status-Abbrev}|${Package}\n' $PACKAGES 2>/dev/null | sed -n 's/^.i[^|]*|//p' | tr '\n' ' ')"
    for package in $PACKAGES; do
        case $installed in
            *" $package "*) [ "$package" != u-boot-qemu ] || uboot_is_fixed || printf '%s ' "$package" ;;
            *) printf '%s ' "$package" ;;
        esac
    done
}

# apt-get that waits for another one, as a fresh machine's unattended upgrade, and asks nothing.
apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 "$@"; }

# A step of apt-get whose output is only wanted when it fails: then the last complaint, in one line, with what to do.
apt_step() {
    local what=$1 complaint
    shift
    if apt_get "$@" >"$ADIT_CACHE/apt.log" 2>&1; then return; fi
    complaint=$(grep -E '^(E:|sudo:|dpkg: error)' "$ADIT_CACHE/apt.log" | head -n 1 || true)
    die "$what: ${complaint:-$(tail -n 1 "$ADIT_CACHE/apt.log")} (whole log: $ADIT_CACHE/apt.log)"
}

# A machine that took some package from backports may need the rest from there too: lists them when it does not yet.
use_backports() {
    local suite=$1
    apt-get indextargets --format '$(RELEASE)' | grep -qx "$suite-backports" && return
    say "these packages do not fit what is installed; adding $suite-backports as /etc/apt/sources.list.d/adit-backports.sources"
    printf 'Types: deb\nURIs: %s\nSuites: %s-backports\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
        "$(image/debian-mirror)" "$suite" | as_root tee /etc/apt/sources.list.d/adit-backports.sources >/dev/null
    apt_step "apt-get update" update
}

install_packages() {
    local missing suite options=()
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || die "no apt-get: these scripts set up Debian 12 and 13; on another system install the equivalents of: $missing"
    suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-unknown}")
    case $suite in
        bookworm | trixie) ;;
        *) say "this is neither Debian 12 nor 13 ($suite): trying, but these scripts are not tested here" ;;
    esac
    say "installing Debian packages (all of them: 450 MB to download, a few minutes): $missing"
    apt_step "apt-get update" update
    # shellcheck disable=SC2086
    if ! apt-get install -s --no-install-recommends $missing >/dev/null 2>&1; then
        case $suite in
            bookworm | trixie) use_backports "$suite"; options=(-t "$suite-backports") ;;
        esac
    fi
    # shellcheck disable=SC2086
    apt_step "installing packages" install -y --no-install-recommends "${options[@]}" $missing
    uboot_is_fixed || die "u-boot-qemu $(dpkg-query -W -f '${Version}' u-boot-qemu) has CVE-2026-46728 and apt has no newer one: let /etc/apt list Debian's security or updates archive (2023.01+dfsg-2+deb12u3, 2025.01-3+deb13u1 or newer is needed)"
}

# The release of Rust that rust-toolchain.toml names.
rust_release() { sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml; }

# By release, not by presence: Debian's own cargo is older, and ends in puzzling messages.
have_rust() { rustc --version 2>/dev/null | grep -qF "rustc $(rust_release) " && cargo --version >/dev/null 2>&1; }

# Rust by rustup: Debian 13 has it as a package; Debian 12 does not (`apt-cache show` claims it), and beside Debian's cargo it would not install.
install_rust() {
    local packaged
    have_rust && return
    if ! command -v rustup >/dev/null; then
        packaged=$(dpkg-query -W -f '${db:Status-Abbrev}' cargo rustc 2>/dev/null | grep -c '^ii' || true)
        if [ "$packaged" = 0 ] && [ -n "$(apt-cache madison rustup 2>/dev/null)" ]; then
            say "installing rustup from Debian"
            apt_step "installing rustup" install -y --no-install-recommends rustup
        else
            say "installing rustup from static.rust-lang.org into ${CARGO_HOME:-$HOME/.cargo}"
            curl --proto '=https' --tlsv1.2 -fsS https://static.rust-lang.org/rustup/rustup-init.sh -o "$ADIT_CACHE/rustup-init.sh" ||
                die "https://static.rust-lang.org/rustup/rustup-init.sh cannot be reached: install rustup (https://rustup.rs) by other means, then try again"
            sh "$ADIT_CACHE/rustup-init.sh" -y -q --no-modify-path --default-toolchain none --profile minimal >&2 ||
                die "rustup's installer ended with an error: see above"
        fi
        hash -r
    fi
    say "installing Rust $(rust_release), which rust-toolchain.toml names (300 MB to download)"
    rustup toolchain install "$(rust_release)" --no-self-update --profile minimal -c rustfmt -c clippy >&2 ||
        die "rustup could not install Rust $(rust_release): see above"
    have_rust || die "rustc is not $(rust_release) but $(rustc --version 2>&1 | head -n 1): let rustup's rustc come first in PATH, and unset RUSTUP_TOOLCHAIN"
}

# Everything that runs with $1 as its temporary folder: what we started and what that started, and nothing else.
running_in() {
    (unset TMPDIR; cd /proc && grep -lzxF "TMPDIR=$1" [0-9]*/environ 2>/dev/null | cut -d/ -f1) || true
}

# Ends what a killed program left behind (the compilers of a build that lost its make) and removes its temporary files.
tidy() {
    local signal left
    trap '' INT TERM HUP
    # Our own jobs would start more, and their environment is the one that this script was started with.
    # shellcheck disable=SC2046
    kill $(jobs -p) 2>/dev/null || true
    for signal in TERM KILL; do
        left=$(running_in "$SITE")
        [ -n "$left" ] || break
        # shellcheck disable=SC2086
        kill -s "$signal" $left 2>/dev/null || true
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            [ -n "$(running_in "$SITE")" ] || break 2
            sleep 0.2
        done
    done
    rm -rf "$SITE"
}

# From here on everything has a temporary folder of its own, which also tells what belongs to this run.
begin_tidy() {
    SITE=$(mktemp -d "${TMPDIR:-/tmp}/adit-XXXXXX")
    export TMPDIR=$SITE
    trap tidy EXIT
    exit_on_signals
}

exit_on_signals() {
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# Runs a program to its end and hands on the signals that this script alone gets; its exit code is the program's. In the
# background, because bash hears no signal while something runs in front; same process group, so the terminal stays its own.
attended() {
    local child signal status=0 signalled='' after
    (trap - INT QUIT HUP TERM EXIT; exec "$@") <&0 &
    child=$!
    for signal in INT TERM HUP; do
        # shellcheck disable=SC2064
        trap "signalled=1; kill -s $signal $child 2>/dev/null || true" "$signal"
    done
    wait "$child" || status=$?
    # A signal ends `wait`, not the program: its own exit code comes when it has ended in order (none when it has already).
    while [ -n "$signalled" ]; do
        signalled='' after=0
        wait "$child" || after=$?
        [ "$after" -lt 0 ] || [ "$after" = 127 ] || status=$after
    done
    exit_on_signals
    return "$status"
}

# Compiles programs for this machine. On a terminal cargo shows how far it is, in a log it is still.
build_host_programs() {
    local quiet=(--quiet)
    [ ! -t 2 ] || quiet=()
    say "building the host tools$([ -d "$CARGO_TARGET_DIR/host" ] || echo ' (the first time: about 4 minutes on 2 cores)')"
    attended cargo build "${quiet[@]}" --locked --profile host "$@"
}

# cargo takes another clone's crate in this folder for ours when our files are older: a clone that comes after another compiles its own anew.
leave_to_one_tree() {
    local owner=$CARGO_TARGET_DIR/tree
    [ "$(cat "$owner" 2>/dev/null)" != "$ROOT" ] || return 0
    mkdir -p "$CARGO_TARGET_DIR"
    rm -rf "$CARGO_TARGET_DIR"/*/.fingerprint/adit-*
    printf '%s' "$ROOT" >"$owner"
}

setup() {
    install_packages
    install_rust
    begin_tidy
    leave_to_one_tree
}
