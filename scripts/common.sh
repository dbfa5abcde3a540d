# Sourced by the scripts beside it: where things are, how to speak, what a machine needs.

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export ADIT_CACHE=${ADIT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/adit}
# Compiled host programs live in the cache: a second clone starts warm.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ADIT_CACHE/target}
export PATH=$HOME/.cargo/bin:$PATH
mkdir -p "$ADIT_CACHE"
cd "$ROOT"

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# Runs a command as root: as it is, or through sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "this needs root once, to install packages: run as root or install sudo"
    fi
}

# Debian packages: compilers and libraries of the kernel build, the reference tools that make and judge images, the emulator.
PACKAGES="build-essential ca-certificates curl xz-utils python3 python3-venv
    bc bison cpio flex gcc-aarch64-linux-gnu libelf-dev libssl-dev linux-source-6.12
    cryptsetup-bin device-tree-compiler e2fsprogs erofs-utils openssl u-boot-tools
    libubootenv-tool dosfstools fdisk mtools systemd util-linux debootstrap
    qemu-system-arm u-boot-qemu dnsmasq-base iproute2"

missing_packages() {
    local package
    for package in $PACKAGES; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || printf '%s ' "$package"
    done
}

# The mirror that apt uses for Debian itself.
debian_mirror() {
    apt-get indextargets --format '$(SITE) $(RELEASE)' 2>/dev/null |
        awk -v suite="$1" '$2 == suite && $1 !~ /security/ { print $1; exit }'
}

install_packages() {
    local missing suite options=()
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || die "no apt-get: these scripts set up Debian 12 and 13; on another system install the equivalents of: $missing"
    say "installing Debian packages: $missing"
    as_root apt-get update -qq
    # A machine whose qemu-utils comes from backports takes the emulator from there too.
    # shellcheck disable=SC2086
    if ! apt-get install -s --no-install-recommends $missing >/dev/null 2>&1; then
        suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
        options=(-t "$suite-backports")
        if ! apt-get indextargets --format '$(RELEASE)' | grep -qx "$suite-backports"; then
            local mirror
            mirror=$(debian_mirror "$suite")
            printf 'Types: deb\nURIs: %s\nSuites: %s-backports\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
                "${mirror:-http://deb.debian.org/debian}" "$suite" |
                as_root tee /etc/apt/sources.list.d/adit-backports.sources >/dev/null
            as_root apt-get update -qq
        fi
    fi
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${options[@]}" $missing >"$ADIT_CACHE/apt.log" 2>&1 ||
        { tail -n 5 "$ADIT_CACHE/apt.log" >&2; die "apt-get could not install: $missing (whole log: $ADIT_CACHE/apt.log)"; }
}

# Rust of the version that rust-toolchain.toml names, by rustup.
install_rust() {
    cargo --version >/dev/null 2>&1 && return 0
    if ! command -v rustup >/dev/null; then
        if apt-cache show rustup >/dev/null 2>&1; then
            say "installing rustup from Debian"
            as_root apt-get install -y -qq --no-install-recommends rustup >/dev/null
        else
            say "installing rustup from rustup.rs into ~/.cargo"
            curl --proto '=https' --tlsv1.2 -fsS https://sh.rustup.rs | sh -s -- -y -q --no-modify-path --default-toolchain none --profile minimal
        fi
    fi
    say "installing the Rust toolchain that rust-toolchain.toml names"
    rustup toolchain install "$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)" --profile minimal -c rustfmt -c clippy
    cargo --version >/dev/null || die "cargo does not run: see the message above"
}

setup() {
    install_packages
    install_rust
}
