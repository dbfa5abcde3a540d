//! Shipped profiles load, and a wrong one is answered with its line and what would be right.
#![allow(clippy::unwrap_used)]

use std::{
    io::{Seek, SeekFrom, Write},
    path::Path,
};

use adit_hardware::profile::{Commissioning, Profile};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../overlay/etc/adit/machines");

fn qemu() -> String {
    std::fs::read_to_string(format!("{SHIPPED}/qemu-bitaxe.toml")).unwrap()
}

#[test]
fn every_shipped_profile_loads_and_is_named_like_its_file() {
    for profile in shipped() {
        assert_ne!(
            profile.simulated, profile.untested,
            "{}: nothing has been run on hardware yet",
            profile.name
        );
        if profile.simulated {
            assert_eq!(adit_hardware::refusals(&profile), Vec::<String>::new(), "{}", profile.name);
        }
    }
}

fn shipped() -> Vec<Profile> {
    let load = |path: std::path::PathBuf| {
        let profile = Profile::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(profile.name, path.file_stem().unwrap().to_str().unwrap());
        profile
    };
    std::fs::read_dir(SHIPPED).unwrap().map(|entry| load(entry.unwrap().path())).collect()
}

/// What keeps each real machine from power, in the order in which the driver says it. `docs/machines.md` tells the same.
#[test]
fn what_is_disputed_or_not_driven_is_named_and_the_rest_may_be_powered() {
    let disputed = |key: &str| {
        format!("cannot be powered: {key} is disputed, and not confirmed in /data/commissioning.toml")
    };
    let ds4432u = "cannot be powered: rail ds4432u without an enable line and a meter is not driven yet";
    let table = [
        ("bitaxe-gamma", vec![]),
        ("bitaxe-max", vec![ds4432u.to_owned()]),
        ("bitaxe-supra", vec![ds4432u.to_owned()]),
        ("bitaxe-supra-402", vec![]),
        ("bitaxe-ultra", vec![ds4432u.to_owned()]),
        ("bitaxe-ultra-207", vec![]),
        ("emberone00", vec![disputed("board.rail.part")]),
        ("emberone00-v4", vec![disputed("board.fan")]),
        ("libreboard", vec![disputed("bus.0.part.linux.i2c")]),
        ("s19j-pro-amlogic", vec![disputed("psu.enable.active")]),
        ("s19j-pro-beaglebone", vec![disputed("bus.1.part.linux.i2c")]),
        ("s21-amlogic", vec![disputed("bus.2")]),
        ("s9-zynq", vec![disputed("bus.1")]),
    ];
    let mut real: Vec<_> = shipped().into_iter().filter(|profile| !profile.simulated).collect();
    real.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(real.len(), table.len());
    for (profile, (name, firsts)) in real.iter().zip(table) {
        assert_eq!(profile.name, name);
        let refusals = adit_hardware::refusals(profile);
        let found = firsts.iter().all(|first| refusals.iter().any(|refusal| refusal.starts_with(first)));
        assert!(found && refusals.is_empty() == firsts.is_empty(), "{name}: {refusals:#?}");
    }
}

#[test]
fn a_wrong_value_is_answered_with_its_line_and_what_would_be_right() {
    let table = [
        (
            "volts = 1.15",
            "volts = 11.5",
            "board.0.rail.volts: 11.5 is not between min_volts 1.05 and max_volts 1.25",
        ),
        ("max_volts = 1.25", "max_volts = 5.0", "board.0.rail.max_volts: 5 is not within 0.5 to 1.5"),
        ("mhz = 525.0", "mhz = 700.0", "board.0.chain.mhz: 700 is not within 50 to 600"),
        ("mhz = 525.0", "mhz = nan", "board.0.chain.mhz: NaN is not within 50 to 600"),
        (
            "chip = \"BM1370\"",
            "chip = \"BM9999\"",
            "board.0.chain.chip: \"BM9999\" is not a known chip; known: BM1362, BM1366, BM1368, BM1370, BM1387, BM1397",
        ),
        (
            "baud = 115_740",
            "baud = 230_400",
            "board.0.chain.baud: 230400 is not 25 MHz / (8 · n): 3125000, 1562500, 1041666, …, 115740",
        ),
        ("chips = 1", "chips = 0", "board.0.chain.chips: 0 is not within 1 to 128"),
        (
            "work_interval_ms = 500",
            "work_interval_ms = 1287",
            "board.0.chain.work_interval_ms: 1287 is not below 1287, after which a BM1370 has searched a job through",
        ),
        (
            "chain]\nport = \"/dev/ttyS0\"",
            "chain]\nport = \"/dev/ttyS1\"",
            "board.0.chain.port: /dev/ttyS1 is used twice",
        ),
        (
            "address = 0x24",
            "address = 0x80",
            "board.0.rail.part.tps546d24a.address: 128 is not within 8 to 119",
        ),
        (
            "name = \"qemu-bitaxe\"",
            "name = \"QEMU\"",
            "name: \"QEMU\" is not of the form a-z, 0-9 and -, at most 64 long",
        ),
        (
            "part = { emc2101 =",
            "part = { emc9 =",
            "unknown variant `emc9`, expected one of `emc2101`, `emc2305`, `pwm`, `hwmon`, `s9-fpga`",
        ),
        (
            "tps546d24a]\nbus = \"control\"",
            "tps546d24a]\nbus = \"i2c-0\"",
            "board.0.rail.part.tps546d24a.bus: there is no bus \"i2c-0\"; there is control",
        ),
        (
            "address = 0x24",
            "address = 0x50",
            "board.0.rail.part.tps546d24a.address: 0x50 is where boards have their EEPROM, which nothing may write to",
        ),
        (
            "of = \"board\"",
            "of = \"intake\"",
            "board.0.sensor.1.of: \"intake\" has no limit in [temperature]: max_celsius must be there",
        ),
        ("min_rpm = 2000", "min_rpm = \"fast\"", "invalid type: string \"fast\", expected u32"),
    ];
    for (right, wrong, answer) in table {
        let text = qemu();
        assert!(text.contains(right), "{right}");
        let text = text.replacen(right, wrong, 1);
        let line = 1 + text[..text.find(wrong).unwrap() + wrong.len()].matches('\n').count();
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
        (line, "board.0.chain.base_bits: 16 needs simulated = true; silicon has 32".into())
    );
}

#[test]
fn a_missing_table_and_a_file_that_is_not_there_are_named() {
    let text = qemu().replace("[temperature]", "[temperatures]");
    assert!(Profile::parse(&text).unwrap_err().1.contains("temperatures"));
    let error = Profile::load(Path::new("/nowhere.toml")).unwrap_err().to_string();
    assert_eq!(error, "/nowhere.toml: No such file or directory (os error 2)");
    assert_eq!(Profile::path("qemu-bitaxe").to_str().unwrap(), "/etc/adit/machines/qemu-bitaxe.toml");
    assert_eq!(Profile::path("./x.toml").to_str().unwrap(), "./x.toml");
}

#[test]
fn a_frequency_at_which_chips_would_search_each_others_nonces_is_refused() {
    let text = std::fs::read_to_string(format!("{SHIPPED}/bench-bm1368.toml")).unwrap();
    let text = text.replace("max_mhz = 525.0", "max_mhz = 600.0");
    let line = text.lines().position(|line| line == "max_mhz = 600.0").unwrap() + 1;
    let what =
        "board.0.chain.max_mhz: above 577.918 each of 108 BM1368 would search nonces of its neighbour, too";
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
    let what = "board.0.chain.domains: 110 chips are not 12 domains of equally many";
    assert_eq!(Profile::parse(&text).unwrap_err(), (line, what.into()));
}

#[test]
fn jobs_come_no_faster_than_the_line_takes_them() {
    let text = std::fs::read_to_string(format!("{SHIPPED}/bench-bm1397.toml")).unwrap();
    let line = text.lines().position(|line| line == "job_interval_us = 200_000").unwrap() + 1;
    let wrong = |from: &str, to: &str| Profile::parse(&text.replace(from, to)).unwrap_err();
    let what =
        "board.0.chain.job_interval_us: a job each 242 µs at 675 MHz, but one takes 243 µs at 6250000 baud";
    assert_eq!(wrong("us = 200_000", "us = 252"), (line, what.into()));
    let computed = text.replace("job_interval_us = 200_000\n", "");
    assert!(Profile::parse(&computed).is_ok());
    let slow = computed.replace("baud = 6_250_000", "baud = 3_125_000");
    let what =
        "board.0.chain.job_interval_us: a job each 436 µs at 675 MHz, but one takes 486 µs at 3125000 baud";
    assert_eq!(Profile::parse(&slow).unwrap_err().1, what, "nine tenths of what the chips take");
    let what = "board.0.chain.baud: 12000000 is not 25 MHz / (8 · n): 3125000, 1562500, 1041666, …, 115740, or 6250000";
    assert_eq!(wrong("baud = 6_250_000", "baud = 12_000_000").1, what);
    let text = qemu().replace("write_gap_ms", "job_interval_us = 1000\nwrite_gap_ms");
    let what =
        "board.0.chain.job_interval_us: a BM1370 rolls versions itself: work_interval_ms is all there is";
    assert_eq!(Profile::parse(&text).unwrap_err().1, what);
}

/// Two boards, one PSU, disputed polarity.
const DISPUTED: &str = r#"
name = "two"
disputed = ["psu.enable.active", "board.1.reset.line"]
[[bus]]
name = "i2c"
part = { linux = { i2c = "/dev/i2c-1" } }
[[bus]]
name = "gpio"
part = { linux = { gpio = "/dev/gpiochip0" } }
[psu]
part = { apw12 = { bus = "i2c", address = 0x10 } }
enable = { bus = "gpio", line = 1, active = "low" }
volts = 13.0
min_volts = 12.0
max_volts = 14.0
rise_ms = 2000
fall_ms = 5000
curve = { volts_at_0 = 15.1, volts_per_count = 0.013 }
heartbeat_ms = 10000
[[fan]]
name = "front"
part = { hwmon = { chip = "emc2305", channel = 1 } }
min_rpm = 1000
spin_up_ms = 5000
[temperature]
max_chip_celsius = 90.0
max_board_celsius = 80.0
start_board_celsius = 50.0
settle_ms = 0
[[board]]
name = "hb0"
reset = { bus = "gpio", line = 2, active = "low" }
reset_settle_ms = 100
sensor = [{ name = "outlet", of = "board", part = { tmp75 = { bus = "i2c", address = 0x48 } } }]
chain = { port = "/dev/ttyS1", chip = "BM1362", chips = 126, domains = 42, mhz = 500.0, max_mhz = 545.0, baud = 3_125_000, ticket_bits = 8, work_interval_ms = 1000, write_gap_ms = 10, ramp = { start_mhz = 56.25, step_mhz = 6.25, step_ms = 100 } }
[[board]]
name = "hb1"
reset = { bus = "gpio", line = 3, active = "low" }
reset_settle_ms = 100
sensor = [{ name = "outlet", of = "board", part = { tmp75 = { bus = "i2c", address = 0x49 } } }]
chain = { port = "/dev/ttyS2", chip = "BM1362", chips = 126, domains = 42, mhz = 500.0, max_mhz = 545.0, baud = 3_125_000, ticket_bits = 8, work_interval_ms = 1000, write_gap_ms = 10, ramp = { start_mhz = 56.25, step_mhz = 6.25, step_ms = 100 } }
"#;

#[test]
fn disputed_keys_stay_open_until_a_unit_confirms_them_and_may_have_its_own_values() {
    let folder = tempfile::tempdir().unwrap();
    let (file, unit) = (folder.path().join("two.toml"), folder.path().join("commissioning.toml"));
    std::fs::write(&file, DISPUTED).unwrap();
    let load = |text: &str| {
        std::fs::write(&unit, text).unwrap();
        Profile::load_commissioned(&file, &Commissioning::load(&unit)?).inspect_err(|error| {
            let text = error.to_string();
            assert!(text.starts_with(unit.to_str().unwrap()), "{text}");
        })
    };
    assert_eq!(Profile::load(&file).unwrap().unconfirmed, ["psu.enable.active", "board.1.reset.line"]);
    let none = Commissioning::load(Path::new("/nowhere/commissioning.toml")).unwrap();
    assert_eq!(Profile::load_commissioned(&file, &none).unwrap().unconfirmed.len(), 2);

    let half = load("machine = \"two\"\n[confirmed]\n\"psu.enable.active\" = \"high\"\n").unwrap();
    assert_eq!(half.unconfirmed, ["board.1.reset.line"]);
    assert_eq!(half.psu.unwrap().enable.active, adit_hardware::profile::Level::High, "as this unit has it");
    let all = "machine = \"two\"\n[confirmed]\n\"psu.enable.active\" = \"low\"\n\"board.1.reset.line\" = 7\n";
    let all = load(all).unwrap();
    assert!(all.unconfirmed.is_empty());
    assert_eq!((all.board[0].reset.line, all.board[1].reset.line), (2, 7));
    let other = load("machine = \"three\"\n[confirmed]\n\"psu.enable.active\" = \"low\"\n").unwrap();
    assert_eq!(other.unconfirmed.len(), 2, "found out about another machine");

    let wrong = |text: &str| load(text).unwrap_err().to_string();
    let open = wrong("machine = \"two\"\n[confirmed]\n\"psu.volts\" = 15.0\n");
    assert!(
        open.ends_with(":3: psu.volts is not disputed in two: psu.enable.active, board.1.reset.line"),
        "{open}"
    );
    let taken = wrong("machine = \"two\"\n[confirmed]\n\"board.1.reset.line\" = 2\n");
    assert!(taken.ends_with(":3: not possible: board.1.reset.line: 2 of gpio is used twice"), "{taken}");
    let level = wrong("machine = \"two\"\n[confirmed]\n\"psu.enable.active\" = \"up\"\n");
    assert!(level.contains(":3: not possible: unknown variant `up`"), "{level}");
    let key = wrong("machine = \"two\"\npower = true\n");
    assert!(key.contains(":2: unknown field `power`"), "{key}");
}

#[test]
fn what_the_driver_leaves_for_its_safe_state_says_the_same_from_memory_and_cannot_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (file, unit) = (folder.path().join("two.toml"), folder.path().join("commissioning.toml"));
    std::fs::write(&file, DISPUTED).unwrap();
    std::fs::write(&unit, "machine = \"two\"\n[confirmed]\n\"psu.enable.active\" = \"high\"\n").unwrap();
    let memory = Commissioning::load(&unit).unwrap().leave().unwrap();
    // What is written since is not what lines were driven by.
    std::fs::remove_file(&unit).unwrap();
    for _ in 0..2 {
        let left = Commissioning::left(memory.try_clone().unwrap()).unwrap();
        let profile = Profile::load_commissioned(&file, &left).unwrap();
        assert_eq!(profile.unconfirmed, ["board.1.reset.line"]);
        assert_eq!(profile.psu.unwrap().enable.active, adit_hardware::profile::Level::High);
        // Whoever holds a copy shares the place to read from, and must not matter.
        std::fs::File::from(memory.try_clone().unwrap()).seek(SeekFrom::Start(5)).unwrap();
    }
    let mut memory = std::fs::File::from(memory);
    assert_eq!(memory.write(b"x").unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
    assert!(memory.set_len(0).is_err());

    let none = Commissioning::load(Path::new("/nowhere/commissioning.toml")).unwrap();
    let none = Commissioning::left(none.leave().unwrap()).unwrap();
    assert_eq!(Profile::load_commissioned(&file, &none).unwrap().unconfirmed.len(), 2);
    let nonsense = tempfile::tempfile().unwrap();
    (&nonsense).write_all(b"\xff").unwrap();
    assert!(Commissioning::left(nonsense.into()).is_err());
}

#[test]
fn a_unit_in_a_liquid_has_no_fans_and_the_liquids_limits() {
    let folder = tempfile::tempdir().unwrap();
    let (file, unit) = (folder.path().join("two.toml"), folder.path().join("commissioning.toml"));
    let limits = "\n[immersion]\nmax_chip_celsius = 80.0\nmax_board_celsius = 60.0\nstart_board_celsius = 40.0\nsettle_ms = 0\n";
    let at = DISPUTED.find("\n[temperature]").unwrap();
    let with_limits = [&DISPUTED[..at], limits, &DISPUTED[at..]].concat();
    let load = |profile: &str, text: &str| {
        std::fs::write(&file, profile).unwrap();
        std::fs::write(&unit, text).unwrap();
        Profile::load_commissioned(&file, &Commissioning::load(&unit)?)
    };
    let immersed = "machine = \"two\"\ncooling = \"immersion\"\n";
    let two = load(&with_limits, immersed).unwrap();
    assert!(two.immersed && two.fan.is_empty() && two.board.iter().all(|board| board.fan.is_empty()));
    assert_eq!(two.temperature.max_board_celsius, 60.0);
    assert_eq!(
        load(DISPUTED, immersed).unwrap().temperature.max_board_celsius,
        80.0,
        "the air's without others"
    );
    for air in [
        "machine = \"two\"\n",
        "machine = \"two\"\ncooling = \"air\"\n",
        "machine = \"three\"\ncooling = \"immersion\"\n",
    ] {
        let two = load(&with_limits, air).unwrap();
        assert!(!two.immersed && !two.fan.is_empty(), "{air}");
    }
    let wrong = |profile: &str, text: &str| load(profile, text).unwrap_err().to_string();
    let hot = with_limits.replace("max_board_celsius = 60.0", "max_board_celsius = 160.0");
    assert!(wrong(&hot, immersed).ends_with("160 is not within 30 to 110"));
    let fan = wrong(&qemu(), "machine = \"qemu-bitaxe\"\ncooling = \"immersion\"\n");
    assert!(
        fan.ends_with(
            ":2: cooling: qemu-bitaxe cannot do without its fan, whose controller reads the sensor chip"
        ),
        "{fan}"
    );
    let word = wrong(DISPUTED, "machine = \"two\"\ncooling = \"water\"\n");
    assert!(word.contains(":2: unknown variant `water`"), "{word}");
}

#[test]
fn what_a_machine_of_several_boards_says_wrong_is_answered_with_its_line_too() {
    let table = [
        (
            "[\"psu.enable.active\"",
            "[\"psu.enable.polarity\"",
            "disputed.0: there is no psu.enable.polarity in this file",
        ),
        (
            "\"board.1.reset.line\"]",
            "\"board.reset.line\"]",
            "disputed.1: board.reset.line has several values here: name each, as in board.0.reset.line",
        ),
        (
            "address = 0x49",
            "address = 0x78",
            "board.1.sensor.0.part.tmp75.address: 120 is not within 8 to 119",
        ),
        ("name = \"hb1\"", "name = \"hb0\"", "board.1.name: \"hb0\" is there twice"),
        ("line = 3,", "line = 2,", "board.1.reset.line: 2 of gpio is used twice"),
        ("{ bus = \"gpio\", line = 3", "{ bus = \"i2c\", line = 3", "board.1.reset.bus: \"i2c\" has no gpio"),
        (
            "volts_per_count = 0.013",
            "volts_per_count = 0.2",
            "psu.curve.volts_per_count: 0.2 is not within 0.001 to 0.1",
        ),
        (
            "volts_at_0 = 15.1",
            "volts_at_0 = 12.9",
            "psu.curve: 13 V would be count -8, which is not within 0 to 255",
        ),
        (
            "heartbeat_ms = 10000",
            "heartbeat_ms = 30000",
            "psu.heartbeat_ms: 30000 is not within 100 to 10000",
        ),
        ("max_volts = 14.0", "max_volts = 24.0", "psu.max_volts: 24 is not within 5 to 22"),
        ("port = \"/dev/ttyS2\"", "port = \"/dev/ttyS1\"", "board.1.chain.port: /dev/ttyS1 is used twice"),
        (
            "[temperature]",
            "[safety]\ncut_off = \"psu-heartbeat\"\n[temperature]",
            "safety.cut_off_ms: 0 is not within 100 to 600000: how long the cut-off takes must be known",
        ),
        (
            "[temperature]",
            "[safety]\ncut_off = \"pic-heartbeat\"\n[temperature]",
            "safety.cut_off: not every board has a pic16f1704 or dspic33 as its rail",
        ),
    ];
    assert!(Profile::parse(DISPUTED).is_ok(), "{:?}", Profile::parse(DISPUTED));
    for (right, wrong, answer) in table {
        assert!(DISPUTED.contains(right), "{right}");
        let text = DISPUTED.replacen(right, wrong, 1);
        let (line, what) = Profile::parse(&text).unwrap_err();
        assert_eq!(what, answer, "{wrong}");
        let around = text.lines().nth(line - 1).unwrap();
        let last = wrong.lines().rfind(|line| !line.starts_with("[temperature")).unwrap();
        let here = around.contains(last) || around.starts_with("[safety]") || around.starts_with("[psu]");
        assert!(here || around.contains("curve"), "{wrong}: line {line} is {around}");
    }
}

#[test]
fn a_rail_that_nothing_measures_must_be_disputed_and_a_trim_must_reach_its_voltage() {
    let read = |name: &str| std::fs::read_to_string(format!("{SHIPPED}/{name}.toml")).unwrap();
    let wrong = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Profile::parse(&text.replace(from, to)).unwrap_err().1
    };
    let s9 = read("s9-zynq");
    assert_eq!(
        wrong(&s9, "\"board.rail.part.pic16f1704.off_shown_by\", ", ""),
        "board.0.rail.part.pic16f1704.off_shown_by: must be disputed: nothing measures this rail, so that a person has to say that it is enough"
    );
    assert_eq!(
        wrong(&s9, "max_volts = 9.4", "max_volts = 9.6"),
        "board.0.rail.volts: a PIC16F1704 can be told 7.94 to 9.44 V"
    );
    let slow = wrong(&s9, "heartbeat_ms = 1000", "heartbeat_ms = 5000");
    assert_eq!(slow, "board.0.rail.part.pic16f1704.heartbeat_ms: 5000 is not within 100 to 3000");
    let far = wrong(&s9, "chip = 61, address = 0x4c", "chip = 63, address = 0x4c");
    assert_eq!(far, "board.0.sensor.0.part.chip-i2c.chip: 63 is not within 0 to 62");
    let ember = read("emberone00-v4");
    let beyond = wrong(&ember, "volts = 3.1\nmin_volts = 2.9", "volts = 2.8\nmin_volts = 2.7");
    assert_eq!(beyond, "board.0.rail.part.ds4432u.feedback: 2.8 V cannot be reached with these resistors");
    let ohms = wrong(&ember, "lower_ohms = 1020.0", "lower_ohms = 0.0");
    assert_eq!(ohms, "board.0.rail.part.ds4432u.feedback.lower_ohms: 0 is not within 100 to 1000000");
    let twice = wrong(&ember, "line = 1, active = \"high\"", "line = 0, active = \"high\"");
    assert_eq!(twice, "board.0.rail.enable.line: 0 of control is used twice");
    let linux = ember.replace(
        "bitaxe-raw = { usb = { manufacturer = \"256F\", product = \"EmberOne00\" }, baud = 115_200 }",
        "linux = { i2c = \"/dev/i2c-0\", gpio = \"/dev/gpiochip0\" }",
    );
    let linux = linux.replace("usb = { bus = \"control\", port = 1 }", "port = \"/dev/ttyS1\"");
    let what =
        "board.0.rail.part.ds4432u.meter: \"control\" has no converter: only a bitaxe-raw controller does";
    assert_eq!(Profile::parse(&linux).unwrap_err().1, what);
}
