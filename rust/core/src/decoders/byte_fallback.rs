use std::borrow::Cow;

/// Runs of tokens like `<0x0A>` become the text of their bytes, or one replacement character per byte if they are no UTF-8.
pub(super) fn decode_chain(tokens: Vec<Cow<'_, str>>) -> Vec<Cow<'_, str>> {
    let mut result = Vec::with_capacity(tokens.len());
    let mut bytes = Vec::new();
    for token in tokens {
        if let Some(byte) = byte_of(&token) {
            bytes.push(byte);
        } else {
            flush(&mut bytes, &mut result);
            result.push(token);
        }
    }
    flush(&mut bytes, &mut result);
    result
}

/// The byte that a token like `<0x0A>` stands for.
pub(super) fn byte_of(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    // The reference parses two bytes as a number, and so takes `<0x+A>` for 10.
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

fn flush(bytes: &mut Vec<u8>, result: &mut Vec<Cow<'_, str>>) {
    match std::str::from_utf8(bytes) {
        Ok("") => {}
        Ok(text) => result.push(Cow::Owned(text.to_owned())),
        Err(_) => result.extend(bytes.iter().map(|_| Cow::Borrowed("\u{fffd}"))),
    }
    bytes.clear();
}
