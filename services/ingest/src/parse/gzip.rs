//! Plain or gzip: told by the first two bytes.

use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Read};

/// A reader of what the bytes mean, decompressed where they are gzip.
pub fn plain(input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut input = BufReader::with_capacity(1 << 18, input);
    if input.fill_buf()?.starts_with(&[0x1F, 0x8B]) {
        Ok(Box::new(MultiGzDecoder::new(input)))
    } else {
        Ok(Box::new(input))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn both_are_read() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"school_urn").unwrap();
        for bytes in [b"school_urn".to_vec(), packed.finish().unwrap()] {
            let mut text = String::new();
            plain(io::Cursor::new(bytes)).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "school_urn");
        }
    }
}
