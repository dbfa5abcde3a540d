use super::*;

/// Bytes 0 to 113 of the EEPROM of an S19j Pro board that eeprom_tool publishes, unscrambled.
const BHB42601: &str = "041148594454594e474241414a41493036424500454400533143543231434232330000000003463156303542324331003001\
    100000000000008e0f4143004248423432363031004859445432303231313030313030332d593100000000000001010e\
    500521020d271c1d0100010100000014";
/// The same of an S21 board.
const BHB68701: &str = "05112020376d696e6572732e6e65742d312020004544004531564232344147303400000000034631563035423343310000010000\
    000000000000004141004248423638373031004851445a32303234303230313030312d5931000000000000010118d2053a02\
    ef262d3d000101010000001b";

fn dump(text: &str) -> [u8; SIZE] {
    let mut bytes = [BLANK; SIZE];
    let begun = hex::decode(text.replace(char::is_whitespace, "")).unwrap();
    bytes[..begun.len()].copy_from_slice(&begun);
    bytes
}

/// As a board without a scrambler would have it: the header says so, and that changes the sum of region 1.
fn unscrambled(text: &str) -> [u8; SIZE] {
    let mut bytes = dump(text);
    bytes[1] = 0;
    bytes[BOARD_SUM] = crc5(&bytes[..BOARD_SUM]);
    bytes
}

#[test]
fn sums_are_those_that_the_factory_wrote() {
    for text in [BHB42601, BHB68701] {
        let bytes = dump(text);
        assert_eq!(crc5(&bytes[..BOARD_SUM]), bytes[BOARD_SUM]);
        assert_eq!(crc5(&bytes[TESTS..TESTS_SUM]), bytes[TESTS_SUM]);
    }
}

/// Against what eeprom_tool's documentation says of this board.
#[test]
fn a_board_without_a_scrambler_tells_everything() {
    let board = read(&unscrambled(BHB42601)).unwrap();
    assert_eq!((board.format, board.name.as_str()), (4, "BHB42601"));
    let details = board.details.unwrap();
    assert_eq!(details.serial, "HYDTYNGBAAJAI06BE");
    assert_eq!((details.chip_die.as_str(), details.chip_marking.as_str()), ("ED", "S1CT21CB23"));
    assert_eq!((details.chip_bin, details.chip_technology.as_str()), (3, "AC"));
    assert_eq!(details.test_program, "F1V05B2C1");
    assert_eq!(details.factory_job, "HYDT20211001003-Y1");
    assert_eq!((details.pcb_version, details.bom_version), (0x0130, 0x0010));
    assert_eq!((details.pic_sensor, details.pic_sensor_mask), (PicSensor::Lm75a, 0x0f));
    assert!(details.passed);
    let tests = details.tests.unwrap();
    assert_eq!((tests.volts, tests.mhz, tests.nonce_rate, tests.passed), (13.6, 545, 9997, true));

    let board = read(&unscrambled(BHB68701)).unwrap();
    assert_eq!((board.format, board.name.as_str()), (5, "BHB68701"));
    assert_eq!(board.details.unwrap().tests.unwrap().mhz, 570);
}

#[test]
fn a_board_that_was_not_tested_as_a_whole_has_no_such_test() {
    let mut bytes = unscrambled(BHB42601);
    bytes[TESTS..=TESTS_SUM].fill(BLANK);
    assert_eq!(read(&bytes).unwrap().details.unwrap().tests, None);
}

/// First bytes of four published dumps: S19j Pro, S21, S21+, and the older format of S19 Pro.
#[test]
fn scrambled_contents_are_reported_and_not_guessed_at() {
    let told = |text| read(&dump(text)).map_err(|contents| contents.to_string());
    let scrambled = "scrambled (format 4, XXTEA, key 1): cannot be read without the key";
    assert_eq!(told("0411dc6703f655a9f46716a756ee43c2").unwrap_err(), scrambled);
    let scrambled = "scrambled (format 5, XXTEA, key 1): cannot be read without the key";
    assert_eq!(told("0511787b6841e5d3c978a928834d398a").unwrap_err(), scrambled);
    let scrambled = "scrambled (format 17, XXTEA, key 1): cannot be read without the key";
    assert_eq!(told("114a").unwrap_err(), scrambled);
    let board = told("01413348423730373031000000000000d56dc2c7f31f9d5a").unwrap();
    assert_eq!(board, Board { format: 1, name: "A3HB70701".into(), details: None });
    assert_eq!(
        told("062f").unwrap_err(),
        "scrambled (format 6, XOR, key 15): cannot be read without the key"
    );
    assert_eq!(
        told("04f0").unwrap_err(),
        "scrambled (format 4, algorithm 15, key 0): cannot be read without the key"
    );
}

#[test]
fn damage_is_noticed() {
    for (byte, region) in [(2, 1), (65, 1), (96, 1), (98, 2), (112, 2)] {
        let mut bytes = unscrambled(BHB42601);
        bytes[byte] ^= 0x04;
        assert!(matches!(read(&bytes), Err(Contents::Sum { region: told, .. }) if told == region), "{byte}");
    }
    assert_eq!(read(&[0xff; SIZE]), Err(Contents::Blank(0xff)));
    assert_eq!(read(&[0; SIZE]), Err(Contents::Blank(0)));
    assert_eq!(read(&[0x5a; SIZE]), Err(Contents::Format(0x5a)));
    let mut unreadable = dump("01");
    assert_eq!(read(&unreadable), Err(Contents::Text("board name")));
    unreadable[1] = 0;
    assert_eq!(read(&unreadable), Err(Contents::Text("board name")), "a board must have a name");
}
