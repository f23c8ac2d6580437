//! Deflate with a dictionary: what every body repeats is known to both sides, and takes no room in the item.
//!
//! RFC 1951 knows no dictionaries, but a copy may reach back over everything that came before it. The packer is shown
//! the dictionary first and what it makes of that is thrown away; whoever unpacks begins with the dictionary in its
//! memory. A body is the number of its dictionary, then the deflated bytes.

use miniz_oxide::DataFormat;
use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress_to_output, create_comp_flags_from_zip_params,
};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// Names and usual values of a run in the middle of a canary, most frequent last: near copies are the short ones. It
/// never changes, as stored bodies cannot be read without it; a better one is a file of its own and the next number.
const WORDS: &[u8] = include_bytes!("dictionary.txt");

/// Its number.
const NUMBER: u8 = 1;

/// Effort of 0 to 10: beyond it the size falls by a few percent and the time doubles.
const LEVEL: i32 = 6;

/// A body shrinks to between a tenth and a quarter.
const USUAL: usize = 8;

/// Deflates a body.
pub(super) fn deflated(body: &[u8]) -> Vec<u8> {
    let flags = create_comp_flags_from_zip_params(LEVEL, DataFormat::Raw.to_window_bits(), 0);
    let mut packer = CompressorOxide::new(flags);
    compress_to_output(&mut packer, WORDS, TDEFLFlush::Sync, |_| true);
    let mut out = vec![NUMBER];
    let (status, _) = compress_to_output(&mut packer, body, TDEFLFlush::Finish, |bytes| {
        out.extend_from_slice(bytes);
        true
    });
    debug_assert_eq!(status, TDEFLStatus::Done, "memory takes everything");
    out
}

/// Inflates a body of at most `limit` bytes.
///
/// # Errors
/// In words: it has another dictionary, it is torn, or it is larger.
pub(super) fn inflated(packed: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let Some((NUMBER, packed)) = packed.split_first().map(|(number, rest)| (*number, rest)) else {
        let found = packed.first();
        return Err(format!("it has dictionary {found:?}; this weir knows {NUMBER}"));
    };
    let mut out = WORDS.to_vec();
    let limit = WORDS.len() + limit;
    out.resize(limit.min(WORDS.len() + USUAL * packed.len()), 0);
    let mut state = Box::<DecompressorOxide>::default();
    let (mut read, mut written) = (0, WORDS.len());
    loop {
        let rest = &packed[read..];
        let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, more_read, more_written) = decompress(&mut state, rest, &mut out, written, flags);
        (read, written) = (read + more_read, written + more_written);
        match status {
            TINFLStatus::Done => {
                out.truncate(written);
                return Ok(out.split_off(WORDS.len()));
            }
            TINFLStatus::HasMoreOutput if out.len() < limit => out.resize(limit.min(2 * out.len()), 0),
            TINFLStatus::HasMoreOutput => return Err("it is larger than a body may be".to_owned()),
            status => return Err(format!("{status:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the middle of the dictionary, with other values.
    const BODY: &str = r#"{"candidate_seen":{"crashes":0,"desired":3,"gpus":3,"last_crash":null,"phase":"serving","phases":{"serving":3},"pods":3,"terminating":0,"warm":3,"words":"serving"}}"#;

    #[test]
    fn what_both_sides_know_takes_no_room() {
        let packed = deflated(BODY.as_bytes());
        assert!(
            packed.len() < BODY.len() / 3,
            "{} of {}",
            packed.len(),
            BODY.len()
        );
        assert_eq!(inflated(&packed, BODY.len()).unwrap(), BODY.as_bytes());
    }

    #[test]
    fn anything_comes_back_as_it_was() {
        let mut noise = Vec::new();
        let mut state = 7_u32;
        for size in [0, 1, 63, 4_096, 100_000] {
            while noise.len() < size {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                noise.push((state >> 24) as u8);
            }
            assert_eq!(inflated(&deflated(&noise), size).unwrap(), noise, "{size} bytes");
            let words = WORDS.repeat(1 + size / WORDS.len());
            assert_eq!(inflated(&deflated(&words), words.len()).unwrap(), words);
        }
    }

    #[test]
    fn what_is_torn_foreign_or_too_large_is_no_body() {
        let packed = deflated(BODY.as_bytes());
        assert!(inflated(&packed[..packed.len() - 1], 1_000).is_err());
        assert!(inflated(&packed, BODY.len() - 1).unwrap_err().contains("larger"));
        let foreign = [&[9], &packed[1..]].concat();
        assert!(
            inflated(&foreign, 1_000)
                .unwrap_err()
                .contains("dictionary Some(9)")
        );
        assert!(inflated(&[], 1_000).unwrap_err().contains("dictionary None"));
    }

    #[test]
    fn the_dictionary_is_the_one_that_bodies_were_written_with() {
        let sum = WORDS
            .iter()
            .fold(0_u32, |sum, byte| sum.rotate_left(5) ^ u32::from(*byte));
        assert_eq!(
            (WORDS.len(), sum),
            (6_568, 0xc6c340b6),
            "a changed dictionary is a new number"
        );
    }
}
