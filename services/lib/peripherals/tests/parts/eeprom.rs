//! 24C02: how it is read, and that nothing else is done to it.

use crate::common::{Replies, told, transcript};
use adit_peripherals::{
    Eeprom, Error,
    eeprom::{Contents, is_write},
};
use embedded_hal_async::i2c::Operation;

/// The first bytes of the published dump of an S19j Pro board (eeprom_tool); the rest of its 256 is FF.
const BHB42601: &str = "0411dc6703f655a9f46716a756ee43c2fdef08b0da4d6d51c6d35ffe79b865ab0f9229e1dc6cc3ad611b140a1d440a0625bff71d\
    b521905ba57c021e3d68cb75ce70a6d8201248b7f43cd853037b7df73c512daefa31fcdd83ee3e718ca1404c6a0162a1fd22bbc7\
    21212619470bb8e649b4";

fn pages(address: u8, bytes: &[u8]) -> embedded_hal_mock::eh1::i2c::Mock {
    let lines = bytes.chunks(16).enumerate();
    let lines = lines.map(|(page, bytes)| format!("> {:02x} < {}\n", page * 16, hex::encode(bytes)));
    transcript(address, &lines.collect::<String>())
}

#[tokio::test]
async fn it_is_read_in_sixteen_pages_and_a_scrambled_board_is_said_to_be_one() {
    let mut bytes = hex::decode(BHB42601.replace(char::is_whitespace, "")).unwrap();
    bytes.resize(256, 0xff);
    let mut bus = pages(0x51, &bytes);
    let board = Eeprom::new(0x51).board(&mut bus).await;
    assert_eq!(
        told(board),
        "EEPROM at 0x51: scrambled (format 4, XXTEA, key 1): cannot be read without the key"
    );
    bus.done();
}

#[tokio::test]
async fn an_s21_plus_board_has_its_name_in_the_clear() {
    let mut bytes = hex::decode("01413348423730373031000000000000d56dc2c7f31f9d5a1c1161cca79efae2").unwrap();
    bytes.resize(256, 0xff);
    let mut bus = pages(0x50, &bytes);
    assert_eq!(Eeprom::new(0x50).board(&mut bus).await.unwrap().name, "A3HB70701");
    bus.done();
}

#[tokio::test]
async fn an_empty_or_missing_eeprom_is_named() {
    let read = Eeprom::new(0x52).board(&mut Replies::always(0xff)).await;
    assert!(matches!(read, Err(Error::Contents { address: 0x52, contents: Contents::Blank(0xff), .. })));
    let read = Eeprom::new(0x52).board(&mut Replies::none()).await;
    assert!(told(read).starts_with("EEPROM at 0x52: The device did not acknowledge"));
}

#[test]
fn only_what_an_eeprom_would_store_is_a_write() {
    let mut byte = [0];
    for address in 0x50..=0x57 {
        assert!(is_write(address, &[Operation::Write(&[0x10, 0xff])]));
        assert!(is_write(address, &[Operation::Write(&[0x10, 0xff]), Operation::Read(&mut byte)]));
        // In two pieces it is the same transfer.
        assert!(is_write(address, &[Operation::Write(&[0x10]), Operation::Write(&[0xff])]));
        assert!(!is_write(address, &[Operation::Write(&[0x10]), Operation::Read(&mut byte)]));
        assert!(!is_write(address, &[Operation::Read(&mut byte)]));
    }
    for address in [0x48, 0x4f, 0x58] {
        assert!(!is_write(address, &[Operation::Write(&[1, 2, 3])]), "{address:#04x}");
    }
}
