//! Plain or gzip: told by the first two bytes.

use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

/// A reader of what the bytes mean, decompressed where they are gzip. Its errors say whether gzip is cut off or damaged,
/// and what to do.
pub fn plain(input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut input = BufReader::with_capacity(1 << 18, input);
    if input.fill_buf()?.starts_with(&[0x1F, 0x8B]) {
        Ok(Box::new(Unpacked(MultiGzDecoder::new(input))))
    } else {
        Ok(Box::new(input))
    }
}

struct Unpacked<R>(R);

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => told(
                &error,
                "the gzip data are cut off, or something else follows them; copy or send them again as a whole",
            ),
            ErrorKind::InvalidInput | ErrorKind::InvalidData => {
                told(&error, &format!("the gzip data are damaged ({error}); copy or send them again"))
            }
            _ => error,
        })
    }
}

fn told(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text).unwrap();
        packed.finish().unwrap()
    }

    fn read(bytes: Vec<u8>) -> io::Result<String> {
        let mut text = String::new();
        plain(io::Cursor::new(bytes)).unwrap().read_to_string(&mut text).map(|_| text)
    }

    #[test]
    fn both_are_read() {
        for bytes in [b"school_urn".to_vec(), packed(b"school_urn"), [packed(b"school"), packed(b"_urn")].concat()] {
            assert_eq!(read(bytes).unwrap(), "school_urn");
        }
    }

    #[test]
    fn cut_or_damaged_gzip_says_so_and_what_to_do() {
        let text: Vec<u8> =
            (0..10_000_u32).flat_map(|number| (number * 7_919 % 1_013).to_string().into_bytes()).collect();
        let whole = packed(&text);
        for length in [3, 10, 11, whole.len() / 2, whole.len() - 8, whole.len() - 1] {
            let error = read(whole[..length].to_vec()).unwrap_err().to_string();
            assert_eq!(
                error, "the gzip data are cut off, or something else follows them; copy or send them again as a whole",
                "{length}"
            );
        }
        let mut damaged = whole;
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0xFF;
        let error = read(damaged).unwrap_err().to_string();
        assert!(error.starts_with("the gzip data are damaged (") && error.ends_with("send them again"), "{error}");
    }
}
