//! Text to ids: one call at several sizes, a batch of pages with and without offsets, loading.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use penstock_benches::{SIZES, subjects, texts};

fn encode_one(c: &mut Criterion) {
    let texts = texts();
    for subject in subjects() {
        let mut group = c.benchmark_group(format!("encode/{}", subject.name));
        for text in &texts {
            subject.check(&text.text);
            for size in SIZES {
                let text_of_size = text.prefix(size);
                group.throughput(Throughput::Bytes(text_of_size.len() as u64));
                group.bench_with_input(BenchmarkId::new(text.name, size), text_of_size, |b, input| {
                    b.iter(|| subject.tokenizer.encode_ids(input, false).expect("ids"));
                });
            }
        }
    }
}

fn encode_batch(c: &mut Criterion) {
    let texts = texts();
    for subject in subjects() {
        let mut group = c.benchmark_group(format!("batch/{}", subject.name));
        for text in texts.iter().take(3) {
            subject.check(&text.text);
            let pages = pages(&text.text);
            group.throughput(Throughput::Bytes(text.text.len() as u64));
            for (what, offsets) in [("ids", false), ("ids and offsets", true)] {
                group.bench_with_input(BenchmarkId::new(text.name, what), &pages, |b, pages| {
                    b.iter(|| subject.tokenizer.encode_ragged(pages, false, offsets, &|| false).expect("ids"));
                });
            }
        }
    }
}

/// A text in pieces of about 4 KB.
fn pages(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut pages = Vec::new();
    while !rest.is_empty() {
        let (page, after) = rest.split_at(rest.floor_char_boundary(SIZES[1]));
        pages.push(page);
        rest = after;
    }
    pages
}

criterion_group!(benches, encode_one, encode_batch);
criterion_main!(benches);
