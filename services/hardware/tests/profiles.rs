//! Shipped profiles load, and a wrong one is answered with its line and what would be right.
#![allow(clippy::unwrap_used)]

use adit_hardware::profile::Profile;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../overlay/etc/adit/machines");

fn qemu() -> String {
    std::fs::read_to_string(format!("{SHIPPED}/qemu-bitaxe.toml")).unwrap()
}

#[test]
fn every_shipped_profile_loads_and_is_named_like_its_file() {
    let mut count = 0;
    for entry in std::fs::read_dir(SHIPPED).unwrap() {
        let path = entry.unwrap().path();
        let profile = Profile::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(profile.name, path.file_stem().unwrap().to_str().unwrap());
        count += 1;
    }
    assert!(count >= 4);
}

#[test]
fn a_wrong_value_is_answered_with_its_line_and_what_would_be_right() {
    let table = [
        ("volts = 1.15", "volts = 11.5", "volts: 11.5 is not between min_volts 1.05 and max_volts 1.25"),
        ("max_volts = 1.25", "max_volts = 5.0", "max_volts: 5 is not within 0.5 to 1.5"),
        ("mhz = 525.0", "mhz = 700.0", "mhz: 700 is not within 50 to 600"),
        ("mhz = 525.0", "mhz = nan", "mhz: NaN is not within 50 to 600"),
        (
            "chip = \"BM1370\"",
            "chip = \"BM9999\"",
            "chip: \"BM9999\" is not a known chip; known: BM1362, BM1366, BM1368, BM1370, BM1387, BM1397",
        ),
        (
            "baud = 115_740",
            "baud = 230_400",
            "baud: 230400 is not 25 MHz / (8 · n): 3125000, 1562500, 1041666, …, 115740",
        ),
        ("chips = 1", "chips = 0", "chips: 0 is not within 1 to 128"),
        (
            "work_interval_ms = 500",
            "work_interval_ms = 1287",
            "work_interval_ms: 1287 is not below 1287, after which a BM1370 has searched a job through",
        ),
        ("port = \"/dev/ttyS0\"", "port = \"/dev/ttyS1\"", "port: /dev/ttyS1 is used twice"),
        ("address = 0x24", "address = 0x80", "address: 128 is not within 8 to 119"),
        (
            "name = \"qemu-bitaxe\"",
            "name = \"QEMU\"",
            "name: \"QEMU\" is not of the form a-z, 0-9 and -, at most 64 long",
        ),
        ("kind = \"emc2101\"", "kind = \"emc9\"", "unknown variant `emc9`, expected `emc2101`"),
        ("min_rpm = 2000", "min_rpm = \"fast\"", "invalid type: string \"fast\", expected u32"),
    ];
    for (right, wrong, answer) in table {
        let text = qemu();
        assert!(text.contains(right), "{right}");
        let text = text.replacen(right, wrong, 1);
        let line = 1 + text.lines().collect::<Vec<_>>().iter().rposition(|line| *line == wrong).unwrap();
        let (at, what) = Profile::parse(&text).unwrap_err();
        assert_eq!((at, what.as_str()), (line, answer), "{wrong}");
    }
}

#[test]
fn an_unknown_key_is_refused_where_it_stands() {
    let text = qemu().replace("chips = 1\n", "chips = 1\nvolts = 1.3\n");
    let line = text.lines().position(|line| line == "volts = 1.3").unwrap() + 1;
    let (at, what) = Profile::parse(&text).unwrap_err();
    assert_eq!(at, line);
    assert!(what.starts_with("unknown field `volts`"), "{what}");
}

#[test]
fn only_a_simulated_machine_may_have_easier_tickets() {
    let text = qemu().replace("simulated = true\n", "");
    let line = text.lines().position(|line| line == "base_bits = 16").unwrap() + 1;
    assert_eq!(
        Profile::parse(&text).unwrap_err(),
        (line, "base_bits: 16 needs simulated = true; silicon has 32".into())
    );
}

#[test]
fn a_missing_table_and_a_file_that_is_not_there_are_named() {
    let text = qemu().replace("[fan]", "[fans]");
    assert!(Profile::parse(&text).unwrap_err().1.contains("fans"));
    let error = Profile::load(std::path::Path::new("/nowhere.toml")).unwrap_err().to_string();
    assert_eq!(error, "/nowhere.toml: No such file or directory (os error 2)");
    assert_eq!(Profile::path("qemu-bitaxe").to_str().unwrap(), "/etc/adit/machines/qemu-bitaxe.toml");
    assert_eq!(Profile::path("./x.toml").to_str().unwrap(), "./x.toml");
}

#[test]
fn a_frequency_at_which_chips_would_search_each_others_nonces_is_refused() {
    let text = std::fs::read_to_string(format!("{SHIPPED}/bench-bm1368.toml")).unwrap();
    let text = text.replace("max_mhz = 525.0", "max_mhz = 600.0");
    let line = text.lines().position(|line| line == "max_mhz = 600.0").unwrap() + 1;
    let what = "max_mhz: above 577.918 each of 108 BM1368 would search nonces of its neighbour, too";
    assert_eq!(Profile::parse(&text).unwrap_err(), (line, what.into()));
}

#[test]
fn domains_must_divide_the_chips() {
    let text = std::fs::read_to_string(format!("{SHIPPED}/bench-bm1366.toml")).unwrap();
    for (domains, right) in [(11, true), (110, true), (1, true), (12, false), (0, false), (220, false)] {
        let text = text.replace("domains = 11", &format!("domains = {domains}"));
        assert_eq!(Profile::parse(&text).is_ok(), right, "{domains}");
    }
    let text = text.replace("domains = 11", "domains = 12");
    let line = text.lines().position(|line| line == "domains = 12").unwrap() + 1;
    let what = "domains: 110 chips are not 12 domains of equally many";
    assert_eq!(Profile::parse(&text).unwrap_err(), (line, what.into()));
}

#[test]
fn jobs_come_no_faster_than_the_line_takes_them() {
    let text = std::fs::read_to_string(format!("{SHIPPED}/bench-bm1397.toml")).unwrap();
    let line = text.lines().position(|line| line == "job_interval_us = 200_000").unwrap() + 1;
    let wrong = |from: &str, to: &str| Profile::parse(&text.replace(from, to)).unwrap_err();
    let what = "job_interval_us: a job each 242 µs at 675 MHz, but one takes 243 µs at 6250000 baud";
    assert_eq!(wrong("us = 200_000", "us = 252"), (line, what.into()));
    let computed = text.replace("job_interval_us = 200_000\n", "");
    assert!(Profile::parse(&computed).is_ok());
    let slow = computed.replace("baud = 6_250_000", "baud = 3_125_000");
    let what = "job_interval_us: a job each 436 µs at 675 MHz, but one takes 486 µs at 3125000 baud";
    assert_eq!(Profile::parse(&slow).unwrap_err().1, what, "nine tenths of what the chips take");
    let what = "baud: 12000000 is not 25 MHz / (8 · n): 3125000, 1562500, 1041666, …, 115740, or 6250000";
    assert_eq!(wrong("baud = 6_250_000", "baud = 12_000_000").1, what);
    let text = qemu().replace("write_gap_ms", "job_interval_us = 1000\nwrite_gap_ms");
    let what = "job_interval_us: a BM1370 rolls versions itself: work_interval_ms is all there is";
    assert_eq!(Profile::parse(&text).unwrap_err().1, what);
}
