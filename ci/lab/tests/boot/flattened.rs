//! Finds a property inside a flattened device tree. Format: Devicetree Specification 0.4, chapter 5.

use std::ops::Range;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;
const NOTHING: u32 = 4;

fn word(tree: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(tree[at..at + 4].try_into().unwrap())
}

fn name(tree: &[u8], at: usize) -> &str {
    let end = at + tree[at..].iter().position(|&byte| byte == 0).unwrap();
    std::str::from_utf8(&tree[at..end]).unwrap()
}

/// Where the value of `property` in the node at `path` (its names below the root, outermost first) lies in `tree`.
pub(crate) fn value(tree: &[u8], path: &[&str], property: &str) -> Range<usize> {
    assert_eq!(word(tree, 0), 0xd00d_feed, "not a flattened device tree");
    let [structure, strings] = [8, 12].map(|field| word(tree, field) as usize);
    let (mut at, mut inside) = (structure, Vec::new());
    loop {
        let token = word(tree, at);
        at += 4;
        match token {
            BEGIN_NODE => {
                let name = name(tree, at);
                at = (at + name.len() + 1).next_multiple_of(4);
                inside.push(name);
            }
            END_NODE => {
                inside.pop();
            }
            PROPERTY => {
                let (length, called) = (word(tree, at) as usize, word(tree, at + 4) as usize);
                let value = at + 8..at + 8 + length;
                // The root's own name is empty.
                if inside[1..] == *path && name(tree, strings + called) == property {
                    return value;
                }
                at = value.end.next_multiple_of(4);
            }
            NOTHING => {}
            _ => panic!("{}/{property} is not there", path.join("/")),
        }
    }
}
