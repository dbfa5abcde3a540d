//! The status as metrics: pure, from a value to text. Families and their names: `docs/api.md`.

mod format;

pub use format::Dialect;
use format::{Family, Page, Sample, labelled, plain};

use crate::{
    chips::{Chip, Machine},
    server::Connections,
    status::{Board, Chain, Hardware, Miner, State, Status},
};

/// States of adit-miner and stages of adit-hardware, as the bus crate lists them.
const MINER_STATES: [&str; 4] = ["unclaimed", "connecting", "waiting", "hashing"];
const HARDWARE_STAGES: [&str; 7] = ["off", "fans", "power", "enumerate", "ramp", "hashing", "fault"];

/// All that this unit says of itself. What is not known is left out.
pub fn text(dialect: Dialect, status: &Status, chips: Option<&Machine>, connections: Connections) -> String {
    let mut page = Page::new(dialect);
    add_unit(&mut page, status);
    if let Some(miner) = &status.miner {
        add_miner(&mut page, miner);
    }
    if let Some(hardware) = &status.hardware {
        add_hardware(&mut page, hardware);
    }
    if let Some(chips) = chips {
        add_chips(&mut page, chips);
    }
    page.add(
        Family::counter("adit_gateway_connections", "Connections by what became of them"),
        [("served", connections.served), ("refused", connections.refused)]
            .map(|(result, count)| labelled("result", result, count as f64)),
    );
    page.end()
}

fn add_unit(page: &mut Page, status: &Status) {
    let unit = &status.unit;
    let machine = status.hardware.as_ref().map(|hardware| hardware.machine.clone());
    let simulated = status.hardware.as_ref().map(|hardware| hardware.simulated.to_string());
    let about = [
        ("version", unit.version.clone()),
        ("board", unit.board.clone()),
        ("slot", unit.slot.clone()),
        ("machine", machine),
        ("simulated", simulated),
    ];
    let known = about.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    page.add(Family::info("adit_unit", "What this unit is"), [Sample { labels: known, value: 1.0 }]);
    let uptime = Family::gauge("adit_uptime_seconds", "seconds", "Time since the kernel's entry");
    page.add(uptime, [plain(unit.uptime_seconds as f64)]);
    let hashing = Family::gauge("adit_hashing", "", "1 while verified nonces come back, else 0");
    page.add(hashing, [plain(flag(status.state == State::Hashing))]);
    page.add(
        Family::gauge("adit_service_answers", "", "1 while the service's status door answers, else 0"),
        [
            ("adit-hardware", status.hardware.is_some()),
            ("adit-miner", status.miner.is_some()),
            ("adit-network", status.network.is_some()),
        ]
        .map(|(service, answers)| labelled("service", service, flag(answers))),
    );
}

fn add_miner(page: &mut Page, miner: &Miner) {
    let state = Family::states("adit_miner_state", "What the miner is doing");
    page.add(state, MINER_STATES.map(|name| labelled("adit_miner_state", name, flag(name == miner.state))));
    page.add(
        Family::info("adit_pool", "The pool that is mined for"),
        [labelled("url", &miner.pool_url, 1.0)],
    );
    page.add(
        Family::gauge(
            "adit_hash_rate_hashes_per_second",
            "hashes_per_second",
            "Hash rate by verified nonces of the last minute",
        ),
        miner.hash_rate_hashes_per_second.map(plain),
    );
    page.add(
        Family::gauge("adit_pool_difficulty", "", "Share difficulty that the pool asks for"),
        miner.pool_difficulty.map(plain),
    );
    page.add(
        Family::gauge(
            "adit_best_share_difficulty",
            "",
            "Difficulty of the best share since the miner's start",
        ),
        miner.best_share_difficulty.map(plain),
    );
    page.add(
        Family::counter("adit_shares", "Shares by what became of them; stale ones were not sent"),
        [
            ("accepted", miner.shares_accepted),
            ("rejected", miner.shares_rejected),
            ("stale", miner.shares_stale),
        ]
        .map(|(result, count)| labelled("result", result, count as f64)),
    );
    page.add(
        Family::counter("adit_blocks_accepted", "Blocks that this unit found and one of its own nodes took"),
        [plain(miner.blocks_accepted as f64)],
    );
    page.add(
        Family::counter("adit_nonces_invalid", "Nonces whose hash lacks the ticket's zero bits"),
        [plain(miner.nonces_invalid as f64)],
    );
}

fn add_hardware(page: &mut Page, hardware: &Hardware) {
    let stage = Family::states("adit_hardware_stage", "How far the machine is on its way to hashing");
    let stages =
        HARDWARE_STAGES.map(|name| labelled("adit_hardware_stage", name, flag(name == hardware.stage)));
    page.add(stage, stages);
    page.add(
        Family::gauge("adit_rail_volts", "volts", "Voltage at the chips as measured"),
        hardware.rail_volts.map(plain),
    );
    page.add(
        Family::gauge("adit_fan_speed_rpm", "rpm", "Fan speed, revolutions per minute"),
        hardware.fans.iter().map(|fan| labelled("fan", &fan.fan.to_string(), fan.speed_rpm.into())),
    );
    let boards = |value: fn(&Board) -> Option<f64>| {
        let known = hardware.boards.iter().filter_map(move |board| Some((board, value(board)?)));
        known.map(|(board, value)| labelled("board", &board.board.to_string(), value))
    };
    page.add(
        Family::gauge("adit_board_hashing", "", "1 while the board hashes, else 0"),
        boards(|board| Some(flag(board.state == "hashing"))),
    );
    page.add(
        Family::gauge("adit_board_power_watts", "watts", "Power of the board's rail as measured"),
        boards(|board| board.watts),
    );
    page.add(
        Family::gauge("adit_board_rail_volts", "volts", "Voltage of the board's rail as measured"),
        boards(|board| board.volts),
    );
    page.add(
        Family::gauge("adit_sensor_temperature_celsius", "celsius", "Temperature by a machine's sensor"),
        hardware.sensors.iter().filter_map(|sensor| {
            let board = sensor.board.map_or_else(String::new, |board| board.to_string());
            let labels = vec![("board", board), ("sensor", sensor.name.clone())];
            Some(Sample { labels, value: sensor.celsius? })
        }),
    );
    page.add(
        Family::gauge("adit_faults", "", "Faults that keep power off"),
        [plain(hardware.faults.len() as f64)],
    );
    for (family, value) in chain_families() {
        let values = hardware.chains.iter().filter_map(|chain| Some((chain, value(chain)?)));
        let samples = values.map(|(chain, value)| labelled("chain", &chain.chain.to_string(), value));
        page.add(family, samples);
    }
}

type OfChip = fn(&Chip) -> Option<f64>;

fn add_chips(page: &mut Page, machine: &Machine) {
    let families: [(Family, OfChip); 3] = [
        (Family::counter("adit_chip_nonces", "Nonces that came back from this chip"), |chip| {
            Some(chip.nonces as f64)
        }),
        (Family::counter("adit_chip_errors", "Hashes that this chip found wrong itself"), |chip| {
            chip.hashes_wrong
        }),
        (
            Family::gauge(
                "adit_chip_die_temperature_celsius",
                "celsius",
                "Temperature by the chip's own thermometer",
            ),
            |chip| chip.die_celsius,
        ),
    ];
    for (family, value) in families {
        let chains = machine.chains.iter().flatten();
        let chips = chains.flat_map(|chain| chain.chips.iter().map(move |chip| (chain.chain, chip)));
        let samples = chips.filter_map(|(chain, chip)| {
            let labels = vec![("chain", chain.to_string()), ("chip", chip.place.to_string())];
            Some(Sample { labels, value: value(chip)? })
        });
        page.add(family, samples);
    }
}

type OfChain = fn(&Chain) -> Option<f64>;

fn chain_families() -> [(Family, OfChain); 13] {
    [
        (Family::gauge("adit_chain_chips_found", "", "Chips that answered"), |chain| {
            Some(chain.chips_found.into())
        }),
        (Family::gauge("adit_chain_chips_expected", "", "Chips that the profile names"), |chain| {
            Some(chain.chips_expected.into())
        }),
        (Family::gauge("adit_chain_clock_hertz", "hertz", "The chips' clock"), |chain| {
            chain.clock_megahertz.map(|clock| (clock * 1e6).round())
        }),
        (Family::gauge("adit_chain_target_clock_hertz", "hertz", "The clock that was asked for"), |chain| {
            chain.target_megahertz.map(|clock| (clock * 1e6).round())
        }),
        (Family::gauge("adit_chain_temperature_celsius", "celsius", "Chip temperature"), |chain| {
            chain.chip_celsius
        }),
        (
            Family::gauge(
                "adit_chain_die_temperature_celsius",
                "celsius",
                "Hottest die by the chips' own thermometers",
            ),
            |chain| chain.die_celsius,
        ),
        (Family::counter("adit_chain_works_sent", "Works put on the wire"), |chain| {
            Some(chain.works_sent as f64)
        }),
        (Family::counter("adit_chain_nonces", "Nonces that came back"), |chain| Some(chain.nonces as f64)),
        (
            Family::counter("adit_chain_skipped_bytes", "Bytes on the line that belong to no response"),
            |chain| Some(chain.skipped_bytes as f64),
        ),
        (Family::counter("adit_chain_crc_errors", "Responses with a wrong CRC"), |chain| {
            Some(chain.crc_errors as f64)
        }),
        (Family::counter("adit_chain_impossible_responses", "Responses that cannot be"), |chain| {
            Some(chain.impossible_responses as f64)
        }),
        (Family::counter("adit_chain_chip_hashes", "Hashes by the chips' own count"), |chain| {
            chain.chip_hashes
        }),
        (
            Family::counter("adit_chain_chip_hashes_wrong", "Hashes that chips found wrong themselves"),
            |chain| chain.chip_hashes_wrong,
        ),
    ]
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}
